//! The control API, over a socket.

use jebi_domain::Wholesaler;
use jebi_simulator::{Availability, PASSWORD, SimRequest, Time};
use serde_json::{Value, json};

use crate::sockets::Served;
use crate::support::{DAY, DOMEGGOOK, DOMEGGOOK_KEY, ZENTRADE_KEY, auth};

/// Status and body of a control call.
fn control(served: &Served, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let mut request =
        SimRequest::post(format!("/_control/{path}"), "application/json", body.to_string());
    method.clone_into(&mut request.method);
    let (head, body) = served.answer(&request);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

fn get(served: &Served, path: &str) -> Value {
    let (status, body) = control(served, "GET", path, &json!({}));
    assert_eq!(status, 200, "{body}");
    body
}

#[test]
fn faults_are_ordered_counted_and_ended() {
    let served = Served::new();
    let rule = json!({ "wholesaler": "ownerclan", "route": "auth", "times": 1, "fault": "empty" });
    let (status, added) = control(&served, "POST", "faults", &rule);
    assert_eq!((status, &added), (200, &json!({ "id": 1 })));
    assert_eq!(served.answer(&auth("a", PASSWORD)).1, b"");
    assert_ne!(served.answer(&auth("a", PASSWORD)).1, b"");
    let list = get(&served, "faults");
    assert_eq!((&list[0]["seen"], &list[0]["met"]), (&json!(2), &json!(1)));
    assert_eq!(control(&served, "DELETE", "faults/1", &json!({})).0, 200);
    assert_eq!(control(&served, "DELETE", "faults/1", &json!({})).0, 404);
    assert_eq!(control(&served, "DELETE", "faults", &json!({})).0, 200);
    let (status, error) = control(&served, "POST", "faults", &json!({ "fault": "colour" }));
    assert_eq!(status, 422);
    assert!(error["error"].as_str().unwrap().contains("colour"));
}

#[test]
fn the_log_shows_what_was_received_and_no_secrets() {
    let served = Served::new();
    served.answer(&auth("demo-seller", PASSWORD));
    let list =
        format!("{DOMEGGOOK}?aid={DOMEGGOOK_KEY}&om=json&mode=getItemList&ver=4.1&market=dome");
    served.answer(&SimRequest::get(format!("{list}&kw=%b9%ab%bc%b1")));
    served.answer(&SimRequest::get(format!("{list}&ie=utf-8&kw=%EB%AC%B4%EC%84%A0&sId=secret")));
    let log = get(&served, "log?wholesaler=domeggook");
    assert_eq!(log.as_array().unwrap().len(), 2);
    let entry = &log[1];
    assert_eq!((&entry["number"], &entry["route"]), (&json!(3), &json!("getItemList")));
    assert_eq!((&entry["status"], &entry["outcome"]), (&json!(200), &json!("served")));
    assert_eq!(
        (&entry["parameters"]["kw"], &entry["account"]),
        (&json!("무선"), &json!(DOMEGGOOK_KEY))
    );
    assert_eq!(log[0]["parameters"]["kw"], "무선");
    assert_eq!(entry["parameters"]["sId"], "***");
    let all = get(&served, "log").to_string();
    assert!(!all.contains(PASSWORD) && !all.contains("secret"));
    assert_eq!(get(&served, "log?after=2&limit=5").as_array().unwrap().len(), 1);
    let counters = get(&served, "counters");
    assert_eq!(counters["ownerclan"]["routes"]["auth"], 1);
    assert_eq!(counters["domeggook"]["statuses"]["200"], 2);
    control(&served, "DELETE", "log", &json!({}));
    assert_eq!(get(&served, "log"), json!([]));
}

#[test]
fn the_clock_is_moved_and_set() {
    let served = Served::new();
    let before = served.clock.now();
    let (_, moved) = control(&served, "POST", "clock", &json!({ "advance_ms": 1_500 }));
    assert_eq!(moved["now"], before.unix_ms() + 1_500);
    let (_, set) = control(&served, "POST", "clock", &json!({ "set": 1_800_000_000_000_i64 }));
    assert_eq!(get(&served, "clock"), set);
    assert_eq!(served.clock.now(), Time::from_unix_ms(1_800_000_000_000));
}

#[test]
fn settings_are_changed_while_it_runs() {
    let served = Served::new();
    let patch = json!({ "items": { "ownerclan": 7 }, "drift": true, "scale": 50 });
    let (status, settings) = control(&served, "PATCH", "settings", &patch);
    assert_eq!((status, &settings["items"]["zentrade"]), (200, &json!(1_200)));
    assert_eq!(get(&served, "items/ownerclan")["size"], 7);
    let (status, _) = control(&served, "PATCH", "settings", &json!({ "colour": 1 }));
    assert_eq!(status, 422);
    assert!(served.simulator.settings().drift);
}

#[test]
fn the_truth_about_items_is_told() {
    let served = Served::new();
    control(&served, "PATCH", "settings", &json!({ "drift": true }));
    served.clock.advance(5 * DAY);
    let told = get(&served, "items/zentrade?from=1190&limit=50");
    let items = told["items"].as_array().unwrap();
    assert_eq!(told["size"], 1_206);
    assert_eq!(items.len(), 16);
    let catalogue = served.simulator.catalogue(Wholesaler::Zentrade);
    for told in items {
        let number = told["number"].as_u64().unwrap();
        let item = catalogue.item(number, served.clock.now()).unwrap();
        assert_eq!(told["key"], (10_001 + number).to_string());
        assert_eq!((&told["price"], &told["name"]), (&json!(item.price()), &json!(item.name())));
        let is_on_sale = item.availability() == Availability::OnSale;
        assert_eq!(told["availability"] == "on_sale", is_on_sale);
    }
}

#[test]
fn orders_of_zentrade_are_registered_and_all_orders_listed() {
    let served = Served::new();
    let items = get(&served, "items/zentrade?limit=100");
    let is_plain = |item: &&Value| {
        item["availability"] == "on_sale" && item["choices"].as_array().unwrap().len() == 1
    };
    let code = &items["items"].as_array().unwrap().iter().find(is_plain).unwrap()["key"];
    let registration = json!({
        "account": "demo",
        "pordno": "ORD-1",
        "receiver": { "name": "받는이", "mobile": "010-0000-0001", "address": "서울" },
        "items": [{ "code": code, "quantity": 3 }],
    });
    let (status, order) = control(&served, "POST", "zentrade/orders", &registration);
    assert_eq!((status, &order["reference"]), (200, &json!("ORD-1")));
    assert_eq!(
        get(&served, "orders?wholesaler=zentrade&account=demo")[0]["lines"][0]["quantity"],
        3
    );
    assert_eq!(get(&served, "orders?wholesaler=domeggook"), json!([]));
    let mut bad = registration;
    bad["items"][0]["quantity"] = json!(0);
    assert_eq!(control(&served, "POST", "zentrade/orders", &bad).0, 422);
}

#[test]
fn blocks_are_listed_and_lifted() {
    let served = Served::new();
    let request = format!("/zentrade/shop/proc/order_api.php?id=demo&m_skey={ZENTRADE_KEY}");
    (0..101).for_each(|_| drop(served.answer(&SimRequest::get(request.as_str()))));
    let blocks = get(&served, "blocks");
    assert_eq!((&blocks[0]["rule"], &blocks[0]["account"]), (&json!("mistakes"), &json!("demo")));
    assert_eq!(get(&served, "")["blocks"], 1);
    control(&served, "DELETE", "blocks", &json!({}));
    assert_eq!(get(&served, "blocks"), json!([]));
}

#[test]
fn tokens_are_revoked() {
    let served = Served::new();
    let token = String::from_utf8(served.answer(&auth("demo-seller", PASSWORD)).1).unwrap();
    let query =
        SimRequest::get("/ownerclan/v1/graphql?query=%7BallItems%7Bedges%7Bcursor%7D%7D%7D");
    let query = query.with_header("Authorization", &format!("Bearer {token}"));
    assert!(served.answer(&query).0.starts_with("HTTP/1.1 200"));
    let account = json!({ "account": "demo-seller" });
    assert_eq!(control(&served, "POST", "tokens/ownerclan/revoke", &account).0, 200);
    assert!(served.answer(&query).0.starts_with("HTTP/1.1 401"));
    assert_eq!(control(&served, "POST", "tokens/ebay/revoke", &account).0, 404);
}

#[test]
fn what_there_is_not_is_404_with_a_reason() {
    let served = Served::new();
    let (status, error) = control(&served, "PUT", "faults", &json!({}));
    assert_eq!((status, &error["error"]), (404, &json!("there is no PUT /_control/faults")));
    assert!(served.answer(&SimRequest::get("/elsewhere")).0.starts_with("HTTP/1.1 404"));
}
