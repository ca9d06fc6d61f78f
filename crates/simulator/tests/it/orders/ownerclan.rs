use std::time::Duration;

use jebi_domain::Wholesaler;
use jebi_simulator::{Broken, Fault, FaultRule, Settings, SimRequest};
use serde_json::{Value, json};

use super::two_items;
use crate::shape::differences;
use crate::support::{Outside, many};

const ORDER: &str = "key status createdAt updatedAt note ordererNote sellerNote isBeingMediated
    products { key quantity price shippingType itemKey productName
        itemOptionInfo { optionAttributes { name value } price }
        trackingNumber shippingCompanyCode shippingCompanyName shippedDate
        additionalAttributes { key value } taxFree sellerNote }
    shippingInfo { sender { name phoneNumber email }
        recipient { name phoneNumber destinationAddress { addr1 addr2 postalCode } } shippingFee }
    adjustments { reason price taxFree } refundDetails { reason price taxFree }
    transactions { key id kind status amount { currency value } createdAt updatedAt closedAt note }";

fn input(outside: &Outside, note: &str) -> Value {
    let [plain, chosen] = two_items(outside, Wholesaler::Ownerclan);
    let product = |(key, options): &(String, Vec<String>), quantity: u32| json!({ "itemKey": key, "quantity": quantity, "optionAttributes": options });
    json!({
        "sender": { "name": "상점", "phoneNumber": "010-0000-0000", "email": "a@example.com" },
        "recipient": {
            "name": "받는이",
            "phoneNumber": "010-0000-0001",
            "destinationAddress": { "addr1": "서울 예시로 1", "addr2": "2호", "postalCode": "00001" },
        },
        "products": [product(&plain, 2), product(&chosen, 1)],
        "note": note,
        "sellerNote": "M-1",
        "ordererNote": "문 앞",
    })
}

fn create_request(outside: &Outside, input: &Value) -> SimRequest {
    let query = format!(
        "mutation ($input: OrderInput!) {{ createOrder(input: $input, simulationResult: null) {{ {ORDER} }} }}"
    );
    outside.graphql_request(&query, &json!({ "input": input }))
}

fn create(outside: &Outside, input: &Value) -> Value {
    let received = outside.answer(&create_request(outside, input));
    serde_json::from_slice(&received.body).unwrap()
}

fn by_note(outside: &Outside, note: &str) -> Vec<Value> {
    let query = format!(
        "query ($note: String) {{ allOrders(note: $note) {{ edges {{ node {{ {ORDER} }} }} }} }}"
    );
    let data = outside.data(&query, &json!({ "note": note }));
    data["allOrders"]["edges"].as_array().unwrap().iter().map(|edge| edge["node"].clone()).collect()
}

/// An order in the shape of the documents, with values of our own.
fn sample_order() -> Value {
    let product = json!({
        "key": "1", "quantity": 1, "price": 100, "shippingType": "free", "itemKey": "W000001",
        "productName": "이름", "itemOptionInfo": {
            "optionAttributes": [{ "name": "색상", "value": "블랙" }], "price": 100,
        },
        "trackingNumber": null, "shippingCompanyCode": null, "shippingCompanyName": null,
        "shippedDate": null, "additionalAttributes": [], "taxFree": false, "sellerNote": "",
    });
    let address = json!({ "addr1": "a", "addr2": "b", "postalCode": "00000" });
    json!({
        "key": "O1", "status": "paid", "createdAt": 1, "updatedAt": 1, "note": "n",
        "ordererNote": "o", "sellerNote": "s", "isBeingMediated": false, "products": [product],
        "shippingInfo": {
            "sender": { "name": "a", "phoneNumber": "1", "email": "e" },
            "recipient": { "name": "a", "phoneNumber": "1", "destinationAddress": address },
            "shippingFee": 0,
        },
        "adjustments": [], "refundDetails": [],
        "transactions": [{
            "key": "T1", "id": 1, "kind": "payment", "status": "closed",
            "amount": { "currency": "KRW", "value": 1 }, "createdAt": 1, "updatedAt": 1,
            "closedAt": null, "note": "",
        }],
    })
}

#[test]
fn one_request_to_ownerclan_becomes_an_order_for_each_vendor() {
    let outside = Outside::new();
    let input = input(&outside, "ORD-1");
    let answer = create(&outside, &input);
    let sample = json!({ "data": { "createOrder": [sample_order()] } });
    assert_eq!(differences(&sample, &answer), Vec::<String>::new());
    let orders = many(&answer["data"]["createOrder"]);
    assert_eq!(orders.len(), 2);
    assert!(orders.iter().all(|order| order["note"] == "ORD-1" && order["status"] == "paid"));

    let kept = outside.simulator().orders();
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|order| order.received == input && order.request == 1));
    let paid: i64 = kept.iter().map(jebi_simulator::PlacedOrder::total).sum();
    let told = orders.iter().map(|order| order["transactions"][0]["amount"]["value"].as_i64());
    assert_eq!(told.map(Option::unwrap).sum::<i64>(), paid);
}

#[test]
fn a_simulation_says_what_the_order_will_cost_and_places_nothing() {
    let outside = Outside::new();
    let input = input(&outside, "ORD-1");
    let query = "mutation ($input: OrderInput!) { simulateCreateOrder(input: $input) {
        itemAmounts { amount itemKey } shippingAmount extraShippingFeeExists } }";
    let data = outside.data(query, &json!({ "input": input }));
    let shipments = many(&data["simulateCreateOrder"]);
    assert_eq!((shipments.len(), outside.simulator().orders().len()), (2, 0));
    let sum: i64 = shipments
        .iter()
        .map(|shipment| {
            let amounts = many(&shipment["itemAmounts"]);
            let amounts = amounts.iter().map(|amount| amount["amount"].as_i64().unwrap());
            amounts.sum::<i64>() + shipment["shippingAmount"].as_i64().unwrap()
        })
        .sum();
    create(&outside, &input);
    let paid: i64 =
        outside.simulator().orders().iter().map(jebi_simulator::PlacedOrder::total).sum();
    assert_eq!(sum, paid);
}

#[test]
fn ownerclan_places_a_repeated_order_again_and_finds_both_by_the_note() {
    let outside = Outside::new();
    let input = input(&outside, "ORD-1");
    create(&outside, &input);
    assert_eq!(by_note(&outside, "ORD-1").len(), 2);
    create(&outside, &input);
    assert_eq!(by_note(&outside, "ORD-1").len(), 4);
    assert_eq!(by_note(&outside, "ORD-2").len(), 0);
}

#[test]
fn an_order_whose_answer_is_lost_was_placed_all_the_same() {
    let outside = Outside::new();
    outside
        .simulator()
        .add_fault(FaultRule::new(Fault::AcceptThenDrop).route("createOrder").times(1));
    let lost = outside.transport.send(&create_request(&outside, &input(&outside, "ORD-1")));
    assert_eq!(lost.outcome, Err(Broken::Dropped));
    assert_eq!(by_note(&outside, "ORD-1").len(), 2);
    // One that meets a black hole was not.
    outside.simulator().add_fault(FaultRule::new(Fault::BlackHole).route("createOrder"));
    let lost = outside.transport.send(&create_request(&outside, &input(&outside, "ORD-2")));
    assert_eq!(lost.outcome, Err(Broken::Silence));
    assert_eq!(by_note(&outside, "ORD-2").len(), 0);
}

#[test]
fn an_order_of_ownerclan_is_prepared_and_shipped_in_time() {
    let outside = Outside::new();
    create(&outside, &input(&outside, "ORD-1"));
    let status = || by_note(&outside, "ORD-1")[0]["status"].clone();
    outside.pass(Duration::from_hours(6) - Duration::from_millis(1));
    assert_eq!(status(), "paid");
    outside.pass(Duration::from_millis(1));
    assert_eq!(status(), "preparing");
    outside.pass(Duration::from_hours(18) - Duration::from_millis(1));
    assert_eq!(status(), "preparing");
    outside.pass(Duration::from_millis(1));
    let order = &by_note(&outside, "ORD-1")[0];
    assert_eq!(order["status"], "shipped");
    let line = &order["products"][0];
    assert_eq!(line["trackingNumber"].as_str().unwrap().len(), 12);
    assert!(!line["shippingCompanyName"].as_str().unwrap().is_empty());
    assert_eq!(line["shippedDate"].as_i64(), Some(outside.transport.clock().now().unix_ms()));
    let query = "{ allOrders(status: shipped) { edges { node { key } } } }";
    let data = outside.data(query, &json!({}));
    assert_eq!(data["allOrders"]["edges"].as_array().unwrap().len(), 2);
}

#[test]
fn an_order_is_cancelled_while_it_is_paid_and_on_request_while_it_is_prepared() {
    let outside = Outside::new();
    let orders = many(&create(&outside, &input(&outside, "ORD-1"))["data"]["createOrder"]);
    let key = |place: usize| orders[place]["key"].as_str().unwrap().to_owned();
    let cancel = |key: &str| {
        outside.graphql(
            &format!("mutation {{ cancelOrder(key: \"{key}\") {{ status }} }}"),
            &json!({}),
        )
    };
    assert_eq!(cancel(&key(0))["data"]["cancelOrder"]["status"], "cancelled");
    outside.pass(Duration::from_hours(6));
    assert!(cancel(&key(1)).get("errors").is_some());
    let request = format!(
        "mutation {{ requestOrderCancellation(key: \"{}\", input: {{ cancelReason: \"변심\" }}) {{ status }} }}",
        key(1)
    );
    let data = outside.data(&request, &json!({}));
    assert_eq!(data["requestOrderCancellation"]["status"], "cancelled");
}

#[test]
fn notes_can_be_changed_and_what_was_received_cannot() {
    let outside = Outside::new();
    let orders = many(&create(&outside, &input(&outside, "ORD-1"))["data"]["createOrder"]);
    let query = "mutation ($key: ID!) { updateOrderNotes(key: $key, input: { note: \"ORD-9\" }) { note sellerNote } }";
    let data = outside.data(query, &json!({ "key": orders[0]["key"] }));
    assert_eq!(data["updateOrderNotes"], json!({ "note": "ORD-9", "sellerNote": "M-1" }));
    assert_eq!(outside.simulator().orders()[0].received["note"], "ORD-1");
}

#[test]
fn an_order_that_cannot_be_is_an_error_with_200_and_nothing_is_kept() {
    let outside = Outside::with(Settings { balance: 0, ..Settings::default() });
    let good = input(&outside, "ORD-1");
    let message = |input: &Value| {
        let answer = create(&outside, input);
        answer["errors"][0]["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(message(&good), "적립금이 부족합니다.");
    let mut changed = [(); 5].map(|()| good.clone());
    changed[0]["products"][0]["itemKey"] = json!("W1");
    changed[1]["products"][0]["quantity"] = json!(0);
    changed[2]["products"][1]["optionAttributes"] = json!(["없는 색"]);
    changed[3]["recipient"]["destinationAddress"]["addr1"] = json!(" ");
    changed[4]["colour"] = json!("red");
    let beginnings = ["해당 상품", "수량", "옵션", "받는 사람 주소", "Variable"];
    for (input, beginning) in changed.iter().zip(beginnings) {
        let message = message(input);
        assert!(message.starts_with(beginning), "{message}");
    }
    assert_eq!(outside.simulator().orders(), []);
}
