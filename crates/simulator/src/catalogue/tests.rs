use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jebi_domain::Wholesaler;

use super::{Availability, Catalogue, Change, Drift, Plan, Stock, What};
use crate::time::Clock;
use crate::time::Time;

const DAY: Duration = Duration::from_hours(24);
const START: Time = Clock::BEGINNING;

fn catalogue(items: u64, drift: Drift) -> Catalogue {
    let (wholesaler, oddities) = (Wholesaler::Ownerclan, Arc::new(BTreeMap::new()));
    Catalogue::new(Plan { wholesaler, seed: 7, items, drift, description_bytes: 200, oddities })
}

/// What a follower of the catalogue would keep of an item.
fn facts(catalogue: &Catalogue, number: u64, at: Time) -> (i64, Vec<Stock>, Availability) {
    let item = catalogue.item(number, at).unwrap();
    let stocks = item.choices().map(|choice| choice.stock).collect();
    (item.price(), stocks, item.availability())
}

#[test]
fn what_changes_is_told_and_what_is_told_has_changed() {
    let drifting = catalogue(700, Drift::Since(START));
    let later = START + 3 * DAY;
    let mut changed = BTreeMap::<u64, Vec<Change>>::new();
    for change in drifting.changes(START, later) {
        let before = change.at - Duration::from_millis(1);
        if change.what != What::Added {
            let (was, is) = (
                facts(&drifting, change.number, before),
                facts(&drifting, change.number, change.at),
            );
            assert_ne!(was, is, "{change:?}");
        }
        changed.entry(change.number).or_default().push(change);
    }
    for number in 0..700 {
        let moved = facts(&drifting, number, START) != facts(&drifting, number, later);
        assert!(!moved || changed.contains_key(&number), "item {number} has changed in silence");
    }
    assert!(changed.values().flatten().any(|change| change.what == What::Gone));
    assert!(changed.values().flatten().any(|change| change.what == What::Back));
    assert!(changed.values().flatten().any(|change| change.what == What::Added));
}

#[test]
fn a_million_items_have_160_000_changes_a_day_in_the_order_of_time() {
    let drifting = catalogue(1_000_000, Drift::Since(START));
    let hour = (START + 9 * DAY, START + 9 * DAY + Duration::from_hours(1));
    let changes: Vec<Change> = drifting.changes(hour.0, hour.1).collect();
    assert!(changes.is_sorted());
    let a_day = changes.len() * 24;
    assert!((155_000..165_000).contains(&a_day), "{a_day}");
}

#[test]
fn a_change_stands_in_exactly_one_of_two_windows_that_meet() {
    let drifting = catalogue(999, Drift::Since(START));
    let (from, to) = (START + DAY, START + 2 * DAY);
    let all: Vec<Change> = drifting.changes(from, to).collect();
    for cut in [from, from + DAY / 3, all[5].at, to] {
        let mut parts: Vec<Change> =
            drifting.changes(from, cut - Duration::from_millis(1)).collect();
        parts.extend(drifting.changes(cut, to));
        assert_eq!(parts, all);
    }
}

#[test]
fn more_items_change_nothing_of_the_others() {
    let (few, many) = (catalogue(100, Drift::Since(START)), catalogue(5_000, Drift::Since(START)));
    let at = START + 5 * DAY;
    for number in 0..100 {
        assert_eq!(facts(&few, number, at), facts(&many, number, at));
    }
}

#[test]
fn without_drift_nothing_changes_and_after_it_nothing_does_any_more() {
    let still = catalogue(500, Drift::Never);
    let stopped = catalogue(500, Drift::Since(START).off(START + DAY));
    assert_eq!(still.changes(START, START + 30 * DAY).count(), 0);
    assert_ne!(stopped.changes(START, START + DAY).count(), 0);
    assert_eq!(stopped.changes(START + DAY + DAY, START + 30 * DAY).count(), 0);
    for number in 0..500 {
        assert_eq!(facts(&still, number, START), facts(&still, number, START + 30 * DAY));
        assert_eq!(facts(&stopped, number, START + DAY), facts(&stopped, number, START + 30 * DAY));
    }
}

#[test]
fn generations_differ_where_an_item_came_or_went() {
    let drifting = catalogue(300, Drift::Since(START));
    let is_listed = |at| {
        let on_sale = |number| facts(&drifting, number, at).2 == Availability::OnSale;
        (0..drifting.size(at)).map(on_sale).collect::<Vec<_>>()
    };
    let mut before = (drifting.generation(START).of_items(), is_listed(START));
    for hours in 1..300 {
        let at = START + Duration::from_hours(hours);
        let now = (drifting.generation(at).of_items(), is_listed(at));
        assert!(before.1 == now.1 || before.0 != now.0, "{at:?}");
        before = now;
    }
}

#[test]
fn most_items_are_on_sale_and_every_shape_of_choice_is_there() {
    let still = catalogue(2_000, Drift::Never);
    let items: Vec<_> = still.items(START).collect();
    let on_sale = items.iter().filter(|item| item.availability() == Availability::OnSale).count();
    assert!((1_900..2_000).contains(&on_sale), "{on_sale}");
    for attributes in 0..=2 {
        assert!(items.iter().any(|item| {
            item.choices().next().is_some_and(|choice| choice.attributes.len() == attributes)
        }));
    }
    assert!(items.iter().any(|item| item.stock() == Stock::Untracked));
    assert!(items.iter().all(|item| item.price() >= 1_000 && item.price() % 10 == 0));
}
