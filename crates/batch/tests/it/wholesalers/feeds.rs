//! Who follows the changes ends where a walk ends.

use std::collections::BTreeMap;

use jebi_batch::wholesaler::{Availability, Key, Market, Page, WholesaleProduct};
use jebi_domain::Wholesaler;
use jebi_simulator::{Clock as SimClock, Settings, item_key};

use crate::wholesalers::support::{DAY, HOUR, Outside};
use crate::wholesalers::walks::{assert_true, products};

type Products = BTreeMap<Key, WholesaleProduct>;

fn drifting(items: u64) -> Outside {
    let settings = Settings { drift: true, ..Settings::default() };
    Outside::with(settings.with_items(items))
}

/// Puts what has changed in place of what was.
fn follow(known: &mut Products, pages: Vec<Page>) {
    for page in pages {
        assert_eq!(page.rejected, []);
        for key in &page.missing {
            known.remove(key);
        }
        known.extend(page.products.into_iter().map(|product| (product.key.clone(), product)));
    }
}

/// What a walk and a feed can both know: not when something changed, and only what is on sale where
/// nothing else is listed.
fn comparable(wholesaler: Wholesaler, products: Products) -> Products {
    let is_listed = |product: &WholesaleProduct| {
        wholesaler != Wholesaler::Domeggook || product.availability == Availability::OnSale
    };
    let products = products.into_iter().filter(|(_, product)| is_listed(product));
    products.map(|(key, product)| (key, WholesaleProduct { changed_at: None, ..product })).collect()
}

#[test]
fn three_days_of_changes_agree_with_a_walk() {
    for &wholesaler in Wholesaler::ALL {
        let outside = drifting(3_000);
        let mut known = products(outside.walk(wholesaler, None));
        let before = known.clone();
        let mut last = SimClock::BEGINNING;
        for _ in 0..6 {
            outside.clock.advance(DAY / 2);
            // Windows overlap.
            let window = outside.window(last - HOUR);
            last = outside.now();
            let client = outside.client(wholesaler);
            let (pages, failed) = outside.pages(client.changes(window, None));
            assert!(failed.is_none(), "{failed:?}");
            follow(&mut known, pages);
        }
        let mut walked = comparable(wholesaler, products(outside.walk(wholesaler, None)));
        let mut known = comparable(wholesaler, known);
        if wholesaler == Wholesaler::Ownerclan {
            // There is no event for what is new: a walk alone finds it.
            let new = (3_000..3_010).map(|number| Key::new(&item_key(wholesaler, number)).unwrap());
            new.for_each(|key| _ = (walked.remove(&key), known.remove(&key)));
        }
        // A file that is read again says nothing of what is gone from it.
        known.retain(|key, _| wholesaler != Wholesaler::Zentrade || walked.contains_key(key));
        let differing = known.iter().filter(|(key, product)| walked.get(key) != Some(product));
        let differing: Vec<_> = differing.map(|(key, _)| key).collect();
        assert_eq!((differing, known.len()), (vec![], walked.len()), "{wholesaler:?}");
        assert_ne!(comparable(wholesaler, before), walked);
        assert_eq!(outside.simulator().blocks(), []);
    }
}

#[test]
fn what_is_told_of_a_window_is_true_and_is_what_changed_in_it() {
    let outside = drifting(20_000);
    outside.clock.advance(DAY);
    let since = outside.now() - 3 * HOUR;
    for wholesaler in [Wholesaler::Ownerclan, Wholesaler::Domeggook] {
        let (window, now) = (outside.window(since), outside.now());
        let (pages, failed) = outside.pages(outside.client(wholesaler).changes(window, None));
        assert!(failed.is_none());
        let catalogue = outside.simulator().catalogue(wholesaler);
        let changes = catalogue.changes(since, now).map(|change| change.number);
        let is_new = |number: &u64| *number >= 20_000;
        let mut numbers: BTreeMap<Key, u64> = changes
            .filter(|number| wholesaler == Wholesaler::Domeggook || !is_new(number))
            .map(|number| (Key::new(&item_key(wholesaler, number)).unwrap(), number))
            .collect();
        assert!(numbers.len() > 300, "{}", numbers.len());
        for page in pages {
            for key in &page.missing {
                assert!(numbers.remove(key).is_some());
            }
            for product in page.products {
                let number = numbers.remove(&product.key).expect("nothing else has changed");
                let item = catalogue.item(number, now).unwrap();
                assert_true(wholesaler, Market::Supply, &product, &item);
                let told = product.changed_at.expect("both say when");
                assert!(told <= window.until);
            }
        }
        assert_eq!(numbers, BTreeMap::new(), "{wholesaler:?}");
    }
}

#[test]
fn a_window_of_weeks_is_read_in_weeks_and_one_of_ages_is_refused() {
    let outside = drifting(200);
    outside.clock.advance(30 * DAY);
    let client = outside.client(Wholesaler::Ownerclan);
    let window = outside.window(SimClock::BEGINNING);
    let (pages, failed) = outside.pages(client.changes(window, None));
    assert!(failed.is_none() && pages.len() >= 5, "{failed:?}");
    outside.clock.advance(90 * DAY);
    let (pages, failed) = outside.pages(client.changes(window, None));
    assert_eq!(pages.len(), 0);
    assert!(failed.unwrap().to_string().contains("3개월"));
    let upside_down = outside.window(outside.now() + HOUR);
    for &wholesaler in Wholesaler::ALL {
        let (pages, failed) = outside.pages(outside.client(wholesaler).changes(upside_down, None));
        assert!(pages.is_empty() && failed.is_some());
    }
}
