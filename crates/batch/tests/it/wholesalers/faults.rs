//! Whatever goes wrong ends in an error of a class, or costs an item: never in a wrong product, a
//! panic or a loop.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use jebi_batch::Class;
use jebi_batch::wholesaler::{Catalogue as _, Key, Market, Page, Reason};
use jebi_domain::Wholesaler;
use jebi_simulator::{Fault, FaultRule, Oddity, PerWholesaler, Settings, Time, When, item_key};

use crate::wholesalers::support::{DAY, HOUR, Outside, calls};
use crate::wholesalers::walks::assert_true;

/// Each kind that there is, and what an answer is that always has it: the class of the error, or none
/// where something of it can be used.
fn faults(wholesaler: Wholesaler) -> Vec<(Fault, &'static [Class])> {
    let answer = |status, body: &str| Fault::Answer {
        status,
        headers: BTreeMap::new(),
        body: body.to_owned(),
    };
    let retry_after = Fault::Answer {
        status: 502,
        headers: BTreeMap::from([("Retry-After".to_owned(), "60".to_owned())]),
        body: "<html></html>".to_owned(),
    };
    let broken: &[Class] = &[Class::Unanswered, Class::BreakerOpen];
    let bad: &[Class] = &[Class::Unusable];
    let down: &[Class] = &[Class::ServerError, Class::Unavailable, Class::BreakerOpen];
    let waits: &[Class] = &[Class::ServerError, Class::Paused, Class::BreakerOpen];
    let text = "application/json".to_owned();
    let is_xml = wholesaler == Wholesaler::Zentrade;
    vec![
        (Fault::Latency { ms: 2_000, jitter_ms: 500 }, &[]),
        (Fault::Latency { ms: 10_000_000, jitter_ms: 0 }, broken),
        (Fault::Drip { bytes_per_second: 1 }, broken),
        (Fault::Truncate { after_bytes: 0 }, broken),
        (Fault::Truncate { after_bytes: 3_001 }, broken),
        (Fault::Reset { after_bytes: 0 }, broken),
        (Fault::Reset { after_bytes: 700 }, broken),
        (Fault::AcceptThenDrop, broken),
        (Fault::BlackHole, broken),
        (Fault::LyingLength { by: 10 }, broken),
        (Fault::LyingLength { by: -10 }, broken),
        (answer(500, "x"), down),
        (answer(503, ""), down),
        (retry_after, waits),
        (answer(429, "{}"), &[Class::Busy, Class::Paused]),
        (answer(400, "<html></html>"), &[Class::Rejected]),
        (answer(401, ""), &[Class::Rejected]),
        (answer(404, "{\"errors\":{\"code\":\"UNKNOWN_SERVICE\"}}"), &[Class::Rejected]),
        (answer(302, ""), bad),
        (answer(200, "{\"data\":"), if is_xml { bad } else { broken }),
        (answer(200, "{}"), bad),
        (answer(200, "[]"), bad),
        (answer(200, "null"), bad),
        (answer(200, "{\"data\":{\"allItems\":{\"edges\":7}},\"domeggook\":{\"list\":7}}"), bad),
        (answer(200, "<zentrade><product>"), if is_xml { broken } else { bad }),
        (answer(200, "인증에 실패하였습니다."), bad),
        (Fault::WrongCharset, bad),
        (Fault::Html { content_type: text }, bad),
        (Fault::Empty, bad),
        (Fault::GzipBomb { mib: 9 }, bad),
        (Fault::XmlBomb, bad),
        (Fault::TokenRevoked, &[Class::Rejected]),
        (Fault::ShiftPages { by: 5 }, &[]),
        (Fault::ShiftPages { by: -5 }, &[]),
        (Fault::StuckCursor, bad),
        (Fault::LyingTotals { by: 400 }, bad),
        (Fault::LyingTotals { by: -400 }, &[]),
        (Fault::ShrunkCatalogue { to: 3 }, &[]),
    ]
}

fn route(wholesaler: Wholesaler) -> &'static [&'static str] {
    match wholesaler {
        Wholesaler::Ownerclan => &["allItems"],
        Wholesaler::Zentrade => &["product_api"],
        Wholesaler::Domeggook => &["getItemList", "getItemView"],
    }
}

/// All that has come is as it is, and nothing came twice.
fn assert_all_true(outside: &Outside, wholesaler: Wholesaler, pages: &[Page]) {
    let catalogue = outside.simulator().catalogue(wholesaler);
    let items = catalogue.items(outside.now());
    let items: BTreeMap<Key, _> =
        items.map(|item| (Key::new(&item_key(wholesaler, item.number())).unwrap(), item)).collect();
    let mut keys = BTreeSet::new();
    for product in pages.iter().flat_map(|page| &page.products) {
        assert!(keys.insert(&product.key), "{} came twice", product.key);
        assert_true(wholesaler, Market::Supply, product, &items[&product.key]);
    }
}

/// The same, but of what has changed while it was read.
fn assert_true_since(outside: &Outside, wholesaler: Wholesaler, pages: &[Page], asked: Time) {
    let (catalogue, now) = (outside.simulator().catalogue(wholesaler), outside.now());
    let changed: BTreeSet<u64> =
        catalogue.changes(asked, now).map(|change| change.number).collect();
    let still = catalogue.items(now).filter(|item| !changed.contains(&item.number()));
    let still: BTreeMap<String, _> =
        still.map(|item| (item_key(wholesaler, item.number()), item)).collect();
    for product in pages.iter().flat_map(|page| &page.products) {
        if let Some(item) = still.get(product.key.as_str()) {
            assert_true(wholesaler, Market::Supply, product, item);
        }
    }
}

#[test]
fn every_fault_that_stays_ends_in_an_error_of_its_class_or_costs_nothing_but_itself() {
    for &wholesaler in Wholesaler::ALL {
        for route in route(wholesaler) {
            for (fault, classes) in faults(wholesaler) {
                let outside = Outside::of(250);
                outside.fault(FaultRule::new(fault.clone()).on(wholesaler).route(route));
                let client = outside.client_of_bytes(wholesaler, 8 << 20);
                let (pages, failed) = outside.pages(client.walk(None));
                let told = format!("{wholesaler:?} {route} {fault:?}: {failed:?}");
                assert_all_true(&outside, wholesaler, &pages);
                match failed.map(|error| error.class()) {
                    None => {
                        let harmless = matches!(
                            fault,
                            Fault::TokenRevoked | Fault::StuckCursor | Fault::LyingTotals { .. }
                        );
                        assert!(classes.is_empty() || harmless, "{told}");
                    }
                    Some(class) => assert!(classes.contains(&class), "{told}"),
                }
                assert!(outside.calls(wholesaler) < 60, "{told}");
            }
        }
    }
}

#[test]
fn a_fault_that_passes_is_not_felt_where_repeating_helps() {
    for &wholesaler in Wholesaler::ALL {
        let unhurt = Outside::of(250).walk(wholesaler, None);
        let count = |pages: &[Page]| pages.iter().map(|page| page.products.len()).sum::<usize>();
        for fault in [
            Fault::Truncate { after_bytes: 9_001 },
            Fault::Reset { after_bytes: 0 },
            Fault::AcceptThenDrop,
            Fault::BlackHole,
            Fault::LyingLength { by: 10 },
            Fault::LyingLength { by: -10 },
            Fault::Answer { status: 503, headers: BTreeMap::new(), body: String::new() },
            Fault::Answer { status: 429, headers: BTreeMap::new(), body: String::new() },
        ] {
            let outside = Outside::of(250);
            let rule = FaultRule::new(fault).on(wholesaler).when(When::Nth(2));
            outside.fault(rule);
            let pages = outside.walk(wholesaler, None);
            assert_all_true(&outside, wholesaler, &pages);
            assert_eq!(count(&pages), count(&unhurt), "{wholesaler:?}");
        }
    }
}

#[test]
fn who_takes_a_file_slowly_gets_all_of_it_by_one_call() {
    let outside = Outside::of(1_200);
    let unhurt = outside.walk(Wholesaler::Zentrade, None);
    let before = calls(&outside, "product_api");
    // Some seconds for each page.
    outside.fault(FaultRule::new(Fault::Drip { bytes_per_second: 20_000 }));
    let client = outside.zentrade();
    let (mut pages, mut products) = (client.walk(None), 0);
    while let Some(page) = outside.clock.run(pages.next()) {
        products += page.unwrap().products.len();
        outside.clock.advance(DAY);
    }
    let expected: usize = unhurt.iter().map(|page| page.products.len()).sum();
    assert_eq!(products, expected);
    assert!(unhurt.len() > 10);
    assert_eq!(calls(&outside, "product_api") - before, 2);
}

#[test]
fn a_file_that_does_not_come_is_waited_for_no_longer_for_that() {
    let outside = Outside::of(300);
    outside.fault(FaultRule::new(Fault::Drip { bytes_per_second: 100 }));
    let client = outside.zentrade();
    let began = outside.clock.now();
    // 8 kB come in 82 s, and no byte before.
    let error = outside.clock.run(client.walk(None).next()).unwrap().unwrap_err();
    assert_eq!(error.class(), Class::Unanswered, "{error}");
    assert!(outside.clock.now() - began < HOUR);
}

#[test]
fn what_is_rejected_is_told_once_however_often_a_file_is_read() {
    let oddities = BTreeMap::from([(3, Oddity::NegativePrice), (250, Oddity::NegativePrice)]);
    let oddities = PerWholesaler { zentrade: oddities, ..PerWholesaler::default() };
    let outside = Outside::with(Settings { oddities, ..Settings::default() }.with_items(600));
    let size = 450_000;
    outside.fault(FaultRule::new(Fault::Truncate { after_bytes: size }).when(When::Nth(1)));
    let pages = outside.walk(Wholesaler::Zentrade, None);
    assert_eq!(calls(&outside, "product_api"), 3);
    let repeated: usize = pages.iter().map(|page| page.repeated).sum();
    assert!(repeated > 200, "{repeated}");
    let rejected = pages.iter().flat_map(|page| &page.rejected);
    let mut keys: Vec<&str> = rejected.map(|one| one.key.as_ref().unwrap().as_str()).collect();
    keys.sort_unstable();
    let expected = [3, 250].map(|number| item_key(Wholesaler::Zentrade, number));
    assert_eq!(keys, expected);
}

#[test]
fn a_total_that_lies_hides_nothing_and_invents_nothing() {
    for by in [-400, 400] {
        for wholesaler in [Wholesaler::Ownerclan, Wholesaler::Domeggook] {
            let unhurt = Outside::of(2_300).walk(wholesaler, None);
            let outside = Outside::of(2_300);
            outside.fault(FaultRule::new(Fault::LyingTotals { by }).on(wholesaler));
            let (pages, failed) = outside.pages(outside.client(wholesaler).walk(None));
            let count =
                |pages: &[Page]| pages.iter().map(|page| page.products.len()).sum::<usize>();
            assert_all_true(&outside, wholesaler, &pages);
            // Of a cursor that always says there is more it cannot be told where it ends.
            let is_endless = by > 0 && wholesaler == Wholesaler::Ownerclan;
            assert_eq!(failed.is_some(), is_endless, "{failed:?}");
            assert!(is_endless || count(&pages) == count(&unhurt), "{wholesaler:?} {by}");
        }
    }
}

#[test]
fn a_feed_that_goes_wrong_ends_in_an_error_and_never_in_a_wrong_product() {
    for (wholesaler, route) in
        [(Wholesaler::Ownerclan, "itemHistories"), (Wholesaler::Domeggook, "getAllSupplyChk")]
    {
        for (fault, classes) in faults(wholesaler) {
            let settings = Settings { drift: true, ..Settings::default() };
            let outside = Outside::with(settings.with_items(3_000));
            let began = outside.now();
            outside.clock.advance(DAY / 2);
            let asked = outside.now();
            outside.fault(FaultRule::new(fault.clone()).on(wholesaler).route(route));
            let client = outside.client_of_bytes(wholesaler, 8 << 20);
            let (pages, failed) = outside.pages(client.changes(outside.window(began), None));
            let told = format!("{wholesaler:?} {fault:?}: {failed:?}");
            assert_true_since(&outside, wholesaler, &pages, asked);
            let class = failed.map(|error| error.class());
            let is_told = class.is_none_or(|class| classes.contains(&class) || classes.is_empty());
            assert!(is_told, "{told}");
            assert!(outside.calls(wholesaler) < 80, "{told}");
        }
    }
}

#[test]
fn an_odd_item_is_rejected_alone_and_with_its_reason() {
    let oddities = [
        (Oddity::NegativePrice, 3),
        (Oddity::AbsurdPrice, 20),
        (Oddity::NulInName, 41),
        (Oddity::LoneSurrogate, 62),
        (Oddity::ManyOptions, 83),
        (Oddity::HugeDescription, 104),
    ];
    let odd: BTreeMap<u64, Oddity> = oddities.map(|(oddity, number)| (number, oddity)).into();
    for &wholesaler in Wholesaler::ALL {
        let oddities =
            PerWholesaler { ownerclan: odd.clone(), zentrade: odd.clone(), domeggook: odd.clone() };
        let settings = Settings { oddities, ..Settings::default() };
        let outside = Outside::with(settings.with_items(450));
        let (pages, failed) = outside.pages(outside.client(wholesaler).walk(None));
        assert!(failed.is_none(), "{failed:?}");
        let rejected: BTreeMap<Key, Reason> = pages
            .iter()
            .flat_map(|page| &page.rejected)
            .map(|rejected| (rejected.key.clone().unwrap(), rejected.reason))
            .collect();
        let products: BTreeSet<&Key> =
            pages.iter().flat_map(|page| &page.products).map(|product| &product.key).collect();
        println!("{wholesaler:?}: {rejected:?}");
        for (number, oddity) in &odd {
            let key = Key::new(&item_key(wholesaler, *number)).unwrap();
            let is_plain = wholesaler == Wholesaler::Zentrade
                && matches!(oddity, Oddity::LoneSurrogate | Oddity::NulInName);
            assert!(!products.contains(&key) || is_plain, "{wholesaler:?} {oddity:?}");
        }
        assert!(rejected.len() >= 4, "{rejected:?}");
        assert!(products.len() > 380, "{}", products.len());
        assert!(rejected.len() + products.len() <= 450);
    }
}

#[test]
fn a_price_that_is_blank_is_unknown_and_not_nothing() {
    let zentrade = BTreeMap::from([(2, Oddity::BlankPrice), (7, Oddity::BlankPrice)]);
    let oddities = PerWholesaler { zentrade, ..PerWholesaler::default() };
    let outside = Outside::with(Settings { oddities, ..Settings::default() }.with_items(30));
    let pages = outside.walk(Wholesaler::Zentrade, None);
    let products = pages.iter().flat_map(|page| &page.products);
    let blank = products.filter(|product| product.price.is_none());
    assert_eq!(blank.count(), 2);
}

#[test]
fn a_page_that_is_too_large_is_asked_for_in_parts() {
    let settings = Settings { description_bytes: 20_000, ..Settings::default() };
    let outside = Outside::with(settings.with_items(600));
    for &wholesaler in Wholesaler::ALL {
        // One file has no parts.
        if wholesaler == Wholesaler::Zentrade {
            continue;
        }
        let client = outside.client_of_bytes(wholesaler, 1 << 20);
        let (pages, failed) = outside.pages(client.walk(None));
        assert!(failed.is_none(), "{failed:?}");
        assert_all_true(&outside, wholesaler, &pages);
        let products: usize = pages.iter().map(|page| page.products.len()).sum();
        assert!(products > 540, "{products}");
    }
}
