use jebi_domain::Wholesaler;
use jebi_simulator::{Receiver, RegisteredItem, Registration};

use super::two_items;
use crate::support::{DAY, Outside};

#[test]
fn zentrade_shows_a_registered_order_by_either_number() {
    let outside = Outside::new();
    let [(plain, _), (chosen, values)] = two_items(&outside, Wholesaler::Zentrade);
    let item =
        |code: &str, option: String| RegisteredItem { code: code.to_owned(), option, quantity: 1 };
    let registration = Registration {
        account: "demo".to_owned(),
        pordno: "ORD-1".to_owned(),
        receiver: Receiver {
            name: "뷁이".to_owned(),
            phone: String::new(),
            mobile: "010-0000-0001".to_owned(),
            address: "서울 예시로 1".to_owned(),
        },
        items: vec![item(&plain, String::new()), item(&chosen, values.join(" / "))],
    };
    let now = outside.transport.clock().now();
    let order = outside.simulator().register_order(&registration, now).unwrap();
    assert_eq!(order.key, "2026112300001");
    let by_reference = outside.zentrade("order_api", "pordno=ORD-1");
    assert_eq!(by_reference, outside.zentrade("order_api", "ordno=2026112300001"));
    for part in [
        "<zentrade version=\"ZENTRADE ORDER XML 1.0\" datetime=\"\">",
        "<ord_info ordno=\"2026112300001\" pordno=\"ORD-1\">",
        "<ord_date>2026-11-23 09:00:00</ord_date>",
        "<nameReceiver>\n        <![CDATA[ 뷁이  ]]>",
        &format!("<ord_item1>\n        <![CDATA[ {plain} - "),
        &format!("<ord_item2>\n        <![CDATA[ {chosen} - "),
        "<deli_info delicom=\"\" delinum=\"\" />",
    ] {
        assert!(by_reference.contains(part), "{part} is not in {by_reference}");
    }
    outside.pass(DAY);
    let shipped = outside.zentrade("order_api", "pordno=ORD-1");
    assert!(!shipped.contains("delinum=\"\""));

    let unknown = outside.zentrade("order_api", "pordno=ORD-2");
    assert!(unknown.ends_with("datetime=\"\">\n</zentrade>\n"));
    let mut bad = registration;
    bad.items[0].code = "1".to_owned();
    assert_eq!(
        outside.simulator().register_order(&bad, now),
        Err("product 1 is not for sale".to_owned())
    );
}
