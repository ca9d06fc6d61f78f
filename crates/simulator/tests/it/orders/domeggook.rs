use jebi_domain::Wholesaler;
use jebi_simulator::{Settings, SimRequest};
use serde_json::{Value, json};

use super::two_items;
use crate::shape::differences;
use crate::support::{DAY, DOMEGGOOK, DOMEGGOOK_KEY, FORM, Outside, many};

/// The form of an order with one product.
fn form(outside: &Outside, item: &str, choices: &str, address: &str) -> String {
    let encoded =
        |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
    let value = encoded(&format!("supply||P||{choices}||||문 앞"));
    format!(
        "aid={DOMEGGOOK_KEY}&om=json&mode=setOrder&ver=4.3&ie=utf-8&oe=utf-8&sId={}&receipt=0&\
         {}={value}&deliinfo={}",
        outside.session(),
        encoded(&format!("item[{item}]")),
        encoded(address)
    )
}

const ADDRESS: &str = "받는이|a@example.com|00001|서울 예시로 1|2호|010-0000-0001||상점|";

fn set_order(outside: &Outside, form: String) -> Value {
    let received = outside.answer(&SimRequest::post(DOMEGGOOK, FORM, form));
    assert_eq!(received.status, 200);
    serde_json::from_slice(&received.body).unwrap()
}

#[test]
fn an_order_of_domeggook_has_the_shape_of_the_sample_and_is_found_in_the_list() {
    let outside = Outside::new();
    let [(plain, _), _] = two_items(&outside, Wholesaler::Domeggook);
    let answer = set_order(&outside, form(&outside, &plain, "00|2", ADDRESS));
    let sample = json!({ "domeggook": {
        "result": "SUCCESS",
        "order": { "orderNo": "20000001", "itemNo": "10000001", "getName": "받는이" },
    } });
    assert_eq!(differences(&sample, &answer), Vec::<String>::new());
    assert_eq!(answer["domeggook"]["order"]["getName"], "받는이");
    let kept = &outside.simulator().orders()[0];
    assert_eq!(kept.received["deliinfo"], ADDRESS);
    assert_eq!(kept.received[format!("item[{plain}]")], "supply||P||00|2||||문 앞");
    assert_eq!(kept.received["sId"], "***");

    // There is no key to know it by: a second time it is placed again.
    set_order(&outside, form(&outside, &plain, "00|2", ADDRESS));
    let list = outside.domeggook("mode=getOrderList&ver=4.0&for=buy&day=20261123&ic=10");
    let orders = many(&list["domeggook"]["items"]);
    assert_eq!(orders.len(), 2);
    assert!(orders.iter().all(|order| order["itemNo"] == plain.as_str() && order["qty"] == "2"));
    let none = outside.domeggook("mode=getOrderList&ver=4.0&for=buy&day=20261122");
    assert_eq!(none["domeggook"]["items"], json!([]));
}

#[test]
fn an_order_of_domeggook_takes_options_by_their_codes_and_is_shipped_in_time() {
    let outside = Outside::new();
    let [_, (chosen, _)] = two_items(&outside, Wholesaler::Domeggook);
    let view = outside.domeggook(&format!("mode=getItemView&ver=4.6&no={chosen}"));
    let options: Value =
        serde_json::from_str(view["domeggook"]["selectOpt"].as_str().unwrap()).unwrap();
    let code = options["data"].as_object().unwrap().keys().next().unwrap().clone();
    let answer = set_order(&outside, form(&outside, &chosen, &format!("{code}|1"), ADDRESS));
    let number = answer["domeggook"]["order"]["orderNo"].as_str().unwrap().to_owned();
    let item = || {
        let view = outside.domeggook(&format!("mode=getOrderView&ver=4.1&no={number}"));
        view["domeggook"]["items"][0].clone()
    };
    assert_eq!(
        (&item()["statusMode"], &item()["delivery"]["code"]),
        (&json!("WAITDELI"), &json!(""))
    );
    outside.pass(DAY);
    assert_eq!(item()["statusMode"], "WAITRCPT");
    assert_eq!(item()["delivery"]["code"].as_str().unwrap().len(), 12);
    outside.pass(2 * DAY);
    assert_eq!(item()["statusMode"], "DONE");
}

#[test]
fn domeggook_says_no_with_200() {
    let outside = Outside::with(Settings { balance: 0, ..Settings::default() });
    let [(plain, _), _] = two_items(&outside, Wholesaler::Domeggook);
    let detail = |form: String| set_order(&outside, form)["errors"]["dcode"].clone();
    let poor = set_order(&outside, form(&outside, &plain, "00|1", ADDRESS));
    let expected = json!({ "errors": {
        "code": "ORDER_ERROR", "message": "주문에 실패했습니다.",
        "dcode": "TOO_LESS_EMONEY_ERROR", "dmessage": "이머니가 부족합니다.",
    } });
    assert_eq!(poor, expected);
    assert_eq!(detail(form(&outside, "1", "00|1", ADDRESS)), "ITEM_ERROR");
    assert_eq!(detail(form(&outside, &plain, "77|1", ADDRESS)), "OPTION_ERROR");
    assert_eq!(detail(form(&outside, &plain, "00|0", ADDRESS)), "QTY_ERROR");
    assert_eq!(detail(form(&outside, &plain, "00|1", "받는이")), "DELIINFO_ERROR");
    assert_eq!(outside.simulator().orders(), []);
}

#[test]
fn an_order_of_domeggook_is_called_off_and_the_money_comes_back() {
    let outside = Outside::new();
    let money = || {
        let asset = outside.domeggook("mode=getMyAsset&ver=1.0");
        let total = &asset["domeggook"]["data"]["currEmoney"]["total"];
        total.as_str().unwrap().parse::<i64>().unwrap()
    };
    let before = money();
    let [(plain, _), _] = two_items(&outside, Wholesaler::Domeggook);
    let answer = set_order(&outside, form(&outside, &plain, "00|1", ADDRESS));
    let number = answer["domeggook"]["order"]["orderNo"].as_str().unwrap().to_owned();
    assert_eq!(money(), before - outside.simulator().orders()[0].total());
    let deny = format!(
        "aid={DOMEGGOOK_KEY}&om=json&mode=setOrdDeny&ver=1.0&type=buy&no={number}&sId={}",
        outside.session()
    );
    assert_eq!(set_order(&outside, deny)["domeggook"]["result"], "complete");
    assert_eq!(money(), before);
}
