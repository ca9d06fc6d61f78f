use jebi_simulator::{
    ExpiredToken, Fault, FaultRule, Form, OversizedPage, PASSWORD, Quirks, Settings, SimRequest,
    TokenForm,
};
use serde_json::{Value, json};

use crate::shape::differences;
use crate::support::{DAY, Outside, auth, json_of, text};

pub(crate) const ITEM: &str = "key createdAt updatedAt name model production origin price \
    fixedPrice pricePolicy searchKeywords content shippingFee shippingType status \
    options { key quantity status price optionAttributes { name value } } \
    taxFree adultOnly returnable noReturnReason guaranteedShippingPeriod openmarketSellable \
    boxQuantity attributes closingTime returnCriteria metadata images(size: large) \
    category { key name fullName }";

fn all_items(first: i64) -> String {
    let info = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";
    let edges = format!("edges {{ cursor node {{ {ITEM} }} }}");
    format!(
        "query ($after: String) {{ allItems(first: {first}, after: $after) {{ {info} {edges} }} }}"
    )
}

fn with(quirks: Quirks) -> Outside {
    Outside::with(Settings { quirks, ..Settings::default() })
}

/// Own values in the shapes of the documents: an item with options, and one whose `metadata` is
/// text.
fn sample_page() -> Value {
    let option = json!({
        "key": "1", "quantity": 40, "status": "available", "price": 7700,
        "optionAttributes": [{ "name": "색상", "value": "블랙" }],
    });
    let item = json!({
        "key": "W00000A", "createdAt": 1_780_000_000_001_i64, "updatedAt": 1_780_000_000_002_i64,
        "name": "무선 손난로", "model": null, "production": "제조", "origin": "국산",
        "price": 7700, "fixedPrice": null, "pricePolicy": "free", "searchKeywords": ["손난로"],
        "content": "<p>설명</p>", "shippingFee": 2500, "shippingType": "inAdvance",
        "status": "available", "options": [option], "taxFree": false, "adultOnly": false,
        "returnable": true, "noReturnReason": null, "guaranteedShippingPeriod": 2,
        "openmarketSellable": true, "boxQuantity": 5, "attributes": ["ATTR_OVERSEA"],
        "closingTime": "15:00", "returnCriteria": "seller",
        "metadata": { "vendorKey": "V009", "grade": "A" },
        "images": ["https://img.example.com/1.jpg"],
        "category": { "key": "10010001", "name": "계절가전", "fullName": "가전/디지털 > 계절가전" },
    });
    let mut other = item.clone();
    other["metadata"] = json!("{\"vendorKey\":\"V010\"}");
    let edge = |node| json!({ "cursor": "Y3Vyc29yOjE=", "node": node });
    json!({ "data": { "allItems": {
        "pageInfo": {
            "hasNextPage": true, "hasPreviousPage": false,
            "startCursor": "Y3Vyc29yOjE=", "endCursor": "Y3Vyc29yOjI=",
        },
        "edges": [edge(item), edge(other)],
    } } })
}

#[test]
fn a_page_of_items_has_the_shape_of_the_sample() {
    let outside = Outside::new();
    let answer = outside.graphql(&all_items(500), &json!({}));
    assert_eq!(differences(&sample_page(), &answer), Vec::<String>::new());

    let page = &answer["data"]["allItems"];
    assert_eq!(page["edges"][0]["cursor"], "Y3Vyc29yOjE=");
    let nodes: Vec<&Value> =
        page["edges"].as_array().unwrap().iter().map(|edge| &edge["node"]).collect();
    let hollow = nodes.iter().find(|node| node["status"] == "discontinued").unwrap();
    assert_eq!((&hollow["name"], &hollow["price"]), (&Value::Null, &Value::Null));
    assert_eq!((&hollow["options"], &hollow["images"]), (&json!([]), &json!([])));
    let is_plain = |node: &&&Value| node["options"][0]["optionAttributes"] == json!([]);
    let plain = nodes.iter().find(is_plain).unwrap();
    assert_eq!(plain["options"].as_array().unwrap().len(), 1);
    let quantities = nodes.iter().filter_map(|node| node["options"][0]["quantity"].as_i64());
    assert!(quantities.clone().any(|quantity| quantity == 9_999));
    assert!(quantities.clone().any(|quantity| quantity < 250));
    assert!(nodes.iter().any(|node| node["metadata"].is_string()));
    assert!(nodes.iter().any(|node| node["metadata"].is_object()));
    assert!(nodes.iter().any(|node| node["price"].is_f64()));
}

#[test]
fn an_empty_page_has_no_cursors() {
    let outside = Outside::with(Settings::default().with_items(0));
    let answer = outside.graphql(&all_items(10), &json!({}));
    let info = json!({
        "hasNextPage": false, "hasPreviousPage": false, "startCursor": null, "endCursor": null,
    });
    assert_eq!(answer, json!({ "data": { "allItems": { "pageInfo": info, "edges": [] } } }));
}

#[test]
fn a_token_is_bare_text_and_its_other_forms_are_to_be_had() {
    let is_jwt = |text: &str| text.starts_with("eyJ") && text.split('.').count() == 3;
    let token = text(&Outside::new().answer(&auth("demo-seller", PASSWORD)));
    assert!(is_jwt(&token), "{token}");
    let quoted = with(Quirks { token_form: TokenForm::Quoted, ..Quirks::default() });
    let quoted = text(&quoted.answer(&auth("demo-seller", PASSWORD)));
    assert!(quoted.starts_with('"') && quoted.ends_with("\"\n") && is_jwt(&quoted[1..]));
    let object = with(Quirks { token_form: TokenForm::Object, ..Quirks::default() });
    let object = json_of(&object.answer(&auth("demo-seller", PASSWORD)));
    assert!(is_jwt(object["token"].as_str().unwrap()));
}

#[test]
fn who_has_no_good_token_is_not_served() {
    let mut outside = Outside::new();
    assert_eq!(outside.answer(&auth("demo-seller", "wrong")).status, 401);
    let stranger = SimRequest::get("/ownerclan/v1/graphql?query=%7Border(key:%221%22)%7Bkey%7D%7D");
    assert_eq!(outside.answer(&stranger).status, 401);

    let query = outside.graphql_request("{ allItems(first: 1) { edges { cursor } } }", &json!({}));
    assert_eq!(outside.answer(&query).status, 200);
    outside.pass(30 * DAY);
    assert_eq!(outside.answer(&query).status, 401);
    outside.log_in();
    let query = outside.graphql_request("{ allItems(first: 1) { edges { cursor } } }", &json!({}));
    outside.simulator().add_fault(FaultRule::new(Fault::TokenRevoked).times(1));
    assert_eq!(outside.answer(&query).status, 401);
    assert_eq!(outside.answer(&query).status, 401);
    outside.log_in();
    let data = outside.data("{ allItems(first: 1) { edges { cursor } } }", &json!({}));
    assert_eq!(data["allItems"]["edges"][0]["cursor"], "Y3Vyc29yOjE=");
}

#[test]
fn an_expired_token_can_be_told_with_200() {
    let quirks = Quirks { expired_token: ExpiredToken::Errors, ..Quirks::default() };
    let outside = with(quirks);
    outside.pass(30 * DAY);
    let answer = outside.graphql("{ allItems { edges { cursor } } }", &json!({}));
    assert_eq!(answer, json!({ "errors": [{ "message": "jwt expired" }], "data": null }));
}

#[test]
fn data_is_partial_where_one_of_two_items_is_not_there() {
    let outside = Outside::new();
    let found = "a: item(key: \"W000000\") { key }";
    let answer =
        outside.graphql(&format!("{{ {found} b: item(key: \"W1\") {{ key }} }}"), &json!({}));
    let error = json!({
        "message": "해당 상품을 찾을 수 없습니다.",
        "locations": [{ "line": 1, "column": 35 }],
        "path": ["b"],
    });
    assert_eq!(
        answer,
        json!({ "errors": [error], "data": { "a": { "key": "W000000" }, "b": null } })
    );
    // Alone it leaves no data at all.
    let answer = outside.graphql("{ item(key: \"W1\") { key } }", &json!({}));
    assert_eq!(answer["data"], Value::Null);
}

#[test]
fn what_the_schema_lacks_is_an_error_with_200() {
    let outside = Outside::new();
    let received =
        outside.answer(&outside.graphql_request("{ item(key: \"W1\") { colour } }", &json!({})));
    assert_eq!(received.status, 200);
    let error = json!({
        "message": "Cannot query field \"colour\" on type \"Item\".",
        "locations": [{ "line": 1, "column": 21 }],
    });
    assert_eq!(json_of(&received), json!({ "errors": [error], "data": null }));
}

#[test]
fn a_query_comes_by_get_and_a_mutation_does_not() {
    let outside = Outside::new();
    let bearer = outside.graphql_request("", &json!({})).headers.remove(1).1;
    let get = |query: &str| {
        let query: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let request = SimRequest::get(format!("/ownerclan/v1/graphql?query={query}"));
        outside.answer(&request.with_header("Authorization", &bearer))
    };
    assert_eq!(
        json_of(&get("{ item(key: \"W000000\") { key } }"))["data"]["item"]["key"],
        "W000000"
    );
    let refused = json_of(&get("mutation { cancelOrder(key: \"1\") { key } }"));
    assert_eq!(refused["errors"][0]["message"], "Mutations are sent by POST");
}

#[test]
fn a_page_above_a_thousand_is_cut_or_refused() {
    let settings = Settings::default().with_items(2_000);
    let query = "{ allItems(first: 1500) { edges { cursor } } }";
    let capped = Outside::with(settings.clone()).data(query, &json!({}));
    assert_eq!(capped["allItems"]["edges"].as_array().unwrap().len(), 1_000);
    let quirks = Quirks { oversized_page: OversizedPage::Refused, ..Quirks::default() };
    let refused = Outside::with(Settings { quirks, ..settings }).graphql(query, &json!({}));
    assert!(refused["errors"][0]["message"].as_str().unwrap().contains("1000"));
}

#[test]
fn metadata_has_the_form_that_is_set() {
    for (form, is_text) in [(Form::Native, false), (Form::Text, true)] {
        let outside = with(Quirks { metadata: form, ..Quirks::default() });
        let data =
            outside.data("{ allItems(first: 20) { edges { node { metadata } } } }", &json!({}));
        let edges = data["allItems"]["edges"].as_array().unwrap();
        assert!(edges.iter().all(|edge| edge["node"]["metadata"].is_string() == is_text));
    }
}

#[test]
fn filters_find_what_they_say() {
    let outside = Outside::new();
    let found = |filter: &str, field: &str| {
        let query =
            format!("{{ allItems(first: 1000, {filter}) {{ edges {{ node {{ {field} }} }} }} }}");
        let data = outside.data(&query, &json!({}));
        data["allItems"]["edges"].as_array().unwrap().clone()
    };
    let wireless = found("search: \"무선\"", "name");
    assert!(wireless.len() >= 20, "{}", wireless.len());
    assert!(wireless.iter().all(|edge| edge["node"]["name"].as_str().unwrap().contains("무선")));
    let cheap = found("maxPrice: 5000, minPrice: 2000", "price");
    assert!(!cheap.is_empty());
    let within =
        |edge: &Value| (2_000.0..=5_000.0).contains(&edge["node"]["price"].as_f64().unwrap());
    assert!(cheap.iter().all(within));
    assert!(!found("status: soldout", "status").is_empty());
    assert!(!found("category: \"10010001\"", "category { name }").is_empty());
}

#[test]
fn categories_are_a_tree_below_a_root() {
    let outside = Outside::new();
    let query = "{ category(key: \"00000000\") { name descendants(first: 3) {
        pageInfo { hasNextPage endCursor } edges { node { key fullName } } } } }";
    let data = outside.data(query, &json!({}));
    let below = &data["category"]["descendants"];
    assert_eq!(below["pageInfo"]["hasNextPage"], true);
    assert_eq!(below["edges"][0]["node"]["fullName"], "가전/디지털");
    assert_eq!(below["edges"][1]["node"]["fullName"], "가전/디지털 > 계절가전");
}

#[test]
fn events_have_the_shape_of_the_sample() {
    let outside = Outside::with(Settings { drift: true, ..Settings::default() });
    outside.pass(DAY);
    let query = "{ itemHistories(first: 500) { pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        edges { cursor node { itemKey kind title valueBefore valueAfter createdAt } } } }";
    let answer = outside.graphql(query, &json!({}));
    let event = json!({
        "itemKey": "W000001", "kind": "priceDecreased", "title": "가격 인하",
        "valueBefore": "1200", "valueAfter": "1100", "createdAt": 1_795_393_800_001_i64,
    });
    let sample = json!({ "data": { "itemHistories": {
        "pageInfo": {
            "hasNextPage": false, "hasPreviousPage": false,
            "startCursor": "aGlzdDox", "endCursor": "aGlzdDo1",
        },
        "edges": [{ "cursor": "aGlzdDo1", "node": event }],
    } } });
    assert_eq!(differences(&sample, &answer), Vec::<String>::new());
    let edges = answer["data"]["itemHistories"]["edges"].as_array().unwrap();
    let kinds: Vec<&str> = edges.iter().filter_map(|edge| edge["node"]["kind"].as_str()).collect();
    for kind in ["priceIncreased", "priceDecreased", "stockChanged", "optionStockChanged"] {
        assert!(kinds.contains(&kind), "{kind} is not in {kinds:?}");
    }
    let is_untracked = |edge: &&Value| edge["node"]["valueAfter"] == "재고파악안함";
    assert!(edges.iter().any(|edge| is_untracked(&edge)));
}

#[test]
fn history_reaches_back_three_months_and_seven_days_at_a_time() {
    let mut outside = Outside::with(Settings { drift: true, ..Settings::default() });
    outside.pass(120 * DAY);
    outside.log_in();
    let now = outside.transport.clock().now();
    let asks = |from: jebi_simulator::Time, to: jebi_simulator::Time, item: &str| {
        let (from, to) = (from.unix_ms(), to.unix_ms());
        let query = format!(
            "{{ itemHistories(dateFrom: {from}, dateTo: {to}{item}) {{ edges {{ cursor }} }} }}"
        );
        outside.graphql(&query, &json!({})).get("errors").is_none()
    };
    assert!(asks(now - 7 * DAY, now, ""));
    assert!(!asks(now - 7 * DAY - std::time::Duration::from_millis(1), now, ""));
    assert!(asks(now - 30 * DAY, now, ", itemKey: \"W000000\""));
    assert!(asks(now - 91 * DAY, now - 90 * DAY, ""));
    assert!(!asks(now - 92 * DAY, now - 90 * DAY, ""));
    // Who sends seconds asks for 1970.
    let (from, to) = (now.unix_seconds() - 60, now.unix_seconds());
    let seconds = jebi_simulator::Time::from_unix_ms;
    assert!(!asks(seconds(from), seconds(to), ""));
}
