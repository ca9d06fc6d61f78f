//! A list that moves while it is read: pages by number shift, and nothing is lost between them.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt as _;
use jebi_batch::wholesaler::{Catalogue as _, Checkpoint, Error, Key, Page};
use jebi_domain::Wholesaler;
use jebi_simulator::{Availability, Fault, FaultRule, Market, Settings, Time, What, item_key};

use crate::wholesalers::support::{DAY, HOUR, Outside, calls};

const WHO: Wholesaler = Wholesaler::Domeggook;

fn drifting(items: u64, days: u32) -> Outside {
    let settings = Settings { drift: true, ..Settings::default() };
    let outside = Outside::with(settings.with_items(items));
    outside.clock.advance(DAY * days);
    outside
}

fn keys(page: Page) -> impl Iterator<Item = Key> {
    page.products.into_iter().map(|product| product.key)
}

/// The keys of what was on sale all the time since then, and how many items went meanwhile.
fn steady(outside: &Outside, began: Time) -> (BTreeSet<Key>, usize) {
    let (catalogue, now) = (outside.simulator().catalogue(WHO), outside.now());
    let moves = |what| matches!(what, What::Gone | What::Back | What::Added);
    let moved: Vec<_> = catalogue.changes(began, now).filter(|change| moves(change.what)).collect();
    let numbers: BTreeSet<u64> = moved.iter().map(|change| change.number).collect();
    let is_sold = |number: &u64| {
        let item = catalogue.item(*number, began).unwrap();
        item.availability() == Availability::OnSale && Market::Supply.sells(&item)
    };
    let all = (0..catalogue.size(began)).filter(|number| !numbers.contains(number));
    let key = |number| Key::new(&item_key(WHO, number)).unwrap();
    let gone = moved.iter().filter(|change| change.what == What::Gone).count();
    (all.filter(is_sold).map(key).collect(), gone)
}

/// Walks, and lets some time pass after each page. After every so many pages it stops, and goes on
/// from the checkpoint as another process does.
fn walk(outside: &Outside, pause: Duration, stops: Option<usize>) -> BTreeSet<Key> {
    let client = outside.domeggook();
    let (mut found, mut from): (_, Option<Checkpoint>) = (BTreeSet::new(), None);
    loop {
        let mut pages = client.walk(from.as_ref());
        for _ in 0..stops.unwrap_or(usize::MAX) {
            let mut page = outside.clock.run(pages.next()).unwrap().unwrap();
            from = page.next.take();
            found.extend(keys(page));
            if from.is_none() {
                return found;
            }
            outside.clock.advance(pause);
        }
    }
}

fn lost(outside: &Outside, pause: Duration, stops: Option<usize>) -> (Vec<Key>, usize) {
    let began = outside.now();
    let found = walk(outside, pause, stops);
    let (steady, gone) = steady(outside, began);
    (steady.difference(&found).cloned().collect(), gone)
}

#[test]
fn what_is_on_sale_all_along_is_found_however_the_list_moves() {
    // On the first day items only go, later others come back meanwhile.
    for days in [0, 3] {
        // Of 40 items a day, one goes now and then, several between two pages, or many.
        for pause in [HOUR / 4, HOUR * 3, DAY] {
            let outside = drifting(8_000, days);
            let (lost, gone) = lost(&outside, pause, None);
            assert_eq!(lost, [], "{pause:?} between pages");
            assert!(gone > 8, "{gone}");
        }
    }
}

#[test]
fn as_much_as_pages_may_slip_at_once() {
    let whole = walk(&Outside::of(4_000), Duration::ZERO, None);
    let both = [1, 4, 40, 150, 400, -3, -700].map(|by| [(by, false), (by, true)]).concat();
    for (by, stops) in both.into_iter().chain([(900, false)]) {
        let outside = Outside::of(4_000);
        let client = outside.domeggook();
        let (mut pages, mut found) = (client.walk(None), BTreeSet::new());
        let mut read = 0;
        while let Some(page) = outside.clock.run(pages.next()) {
            let mut page = page.unwrap();
            let next = page.next.take();
            found.extend(keys(page));
            read += 1;
            if read == 7 {
                outside.fault(FaultRule::new(Fault::ShiftPages { by }).on(WHO));
                if stops {
                    pages = client.walk(next.as_ref());
                }
            }
        }
        let lost: Vec<_> = whole.difference(&found).collect();
        assert!(lost.is_empty(), "{by} {stops}: {lost:?}");
        // It goes back by a hundred at once and no further than it has to, and at the end once more:
        // the total says nothing of the shift.
        let back = calls(&outside, "getItemList") - read;
        assert!(back as u64 <= by.unsigned_abs().div_ceil(100) + 2, "{by}: {back}");
        let is_far = by >= 40 || (by == -700 && stops);
        assert_eq!(back > 0, is_far, "{by}: {back}");
    }
}

#[test]
fn a_checkpoint_of_which_all_items_are_gone_ends_no_walk() {
    let outside = Outside::of(2_000);
    let checkpoint = r#"{"of":"domeggook_items","page":8,"within":7,"after":["1","2"]}"#;
    let checkpoint: Checkpoint = serde_json::from_str(checkpoint).unwrap();
    let rest = outside.walk(WHO, Some(&checkpoint));
    let found: usize = rest.iter().map(|page| page.products.len()).sum();
    assert!((700..1_200).contains(&found), "{found}");
}

#[test]
fn where_nothing_moves_there_are_few_calls_more_than_pages() {
    let outside = Outside::of(8_000);
    let found = walk(&outside, Duration::ZERO, None).len();
    // Had pages nothing in common, 200 items would take one of these and two of those.
    let (lists, views) = (calls(&outside, "getItemList"), calls(&outside, "getItemView"));
    assert!(found > 7_000 && lists * 200 < found * 9 / 8, "{lists} lists of {found}");
    assert_eq!(views, found.div_ceil(100));
}

#[test]
fn a_list_that_moves_beyond_all_measure_is_an_error_and_not_read_for_ever() {
    let outside = Outside::of(8_000);
    let client = outside.domeggook();
    let mut pages = client.walk(None);
    for _ in 0..10 {
        outside.clock.run(pages.next()).unwrap().unwrap();
    }
    let before = calls(&outside, "getItemList");
    outside.fault(FaultRule::new(Fault::ShrunkCatalogue { to: 300 }).on(WHO));
    let error = outside.clock.run(pages.next()).unwrap().unwrap_err();
    assert!(matches!(error, Error::Stuck(_)), "{error}");
    let more = calls(&outside, "getItemList") - before;
    assert!((2..20).contains(&more), "{more}");
}

#[test]
fn a_walk_that_stops_and_goes_on_loses_nothing_either() {
    for stops in [1, 2, 7] {
        let outside = drifting(4_000, 0);
        let (lost, gone) = lost(&outside, HOUR * 6, Some(stops));
        assert_eq!(lost, [], "after every {stops} pages");
        assert!(gone > 50, "{gone}");
    }
}
