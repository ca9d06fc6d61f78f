//! Orders at Zentrade, looked up.

use jebi_batch::wholesaler::OrderBy;
use jebi_domain::Wholesaler;
use jebi_simulator::{Availability, Receiver, RegisteredItem, Registration, item_key};

use crate::wholesalers::support::{DAY, Outside};

#[test]
fn an_order_is_found_by_either_number_and_shows_its_parcel_once_it_is_sent() {
    let outside = Outside::of(100);
    let client = outside.zentrade();
    let catalogue = outside.simulator().catalogue(Wholesaler::Zentrade);
    let is_plain = |item: &jebi_simulator::Item<'_>| {
        item.availability() == Availability::OnSale && item.choice_count() == 1
    };
    let item = catalogue.items(outside.now()).find(is_plain).unwrap();
    let code = item_key(Wholesaler::Zentrade, item.number());
    let (name, mobile) = ("아무개".to_owned(), "010-0000-0001".to_owned());
    let receiver =
        Receiver { name, phone: String::new(), mobile, address: "서울 어딘가".to_owned() };
    let registration = Registration {
        account: "demo".to_owned(),
        pordno: "J-1".to_owned(),
        receiver,
        items: vec![RegisteredItem { code: code.clone(), option: String::new(), quantity: 1 }],
    };
    outside.simulator().register_order(&registration, outside.now()).unwrap();

    let find = |by| outside.clock.run(client.orders(by)).unwrap();
    let [order] = &find(OrderBy::Reference("J-1"))[..] else { panic!("there is one") };
    assert_eq!((order.reference.as_str(), &order.courier), ("J-1", &None));
    assert!(order.items[0].starts_with(&code));
    assert_eq!(order.tracking_number, None);
    outside.clock.advance(3 * DAY);
    let [sent] = &find(OrderBy::Number(&order.number))[..] else { panic!("there is one") };
    assert!(sent.courier.is_some());
    assert_eq!(sent.tracking_number.as_ref().unwrap().len(), 12);
    assert_eq!(find(OrderBy::Reference("J-2")), []);
}
