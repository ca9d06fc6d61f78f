//! Walks over everything: each item once.

use std::collections::BTreeSet;

use jebi_domain::Wholesaler;
use jebi_simulator::{Availability, Fault, FaultRule, Settings, item_key};
use serde_json::{Value, json};

use crate::support::{Outside, many, number};

const PAGE: &str = "query ($first: Int, $after: String) { allItems(first: $first, after: $after) {
    pageInfo { hasNextPage endCursor } edges { node { key } } } }";

/// All keys of Ownerclan, in pages of a size; at most so many pages.
fn walk_ownerclan(outside: &Outside, first: i64, most_pages: usize) -> Vec<String> {
    let (mut keys, mut after) = (Vec::new(), Value::Null);
    for _ in 0..most_pages {
        let data = outside.data(PAGE, &json!({ "first": first, "after": after }));
        let page = &data["allItems"];
        let nodes = page["edges"].as_array().unwrap().iter().map(|edge| &edge["node"]["key"]);
        keys.extend(nodes.map(|key| key.as_str().unwrap().to_owned()));
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    keys
}

/// All numbers of Domeggook in a market, in pages of a size.
fn walk_domeggook(outside: &Outside, market: &str, size: i64) -> Vec<i64> {
    let (mut numbers, mut page, mut pages) = (Vec::new(), 1, 1);
    while page <= pages {
        let query =
            format!("mode=getItemList&ver=4.1&market={market}&mnp=0&sz={size}&pg={page}&so=rd");
        let answer = outside.domeggook(&query);
        pages = number(&answer["domeggook"]["header"]["numberOfPages"]);
        let items = many(&answer["domeggook"]["list"]["item"]);
        numbers.extend(items.iter().map(|item| number(&item["no"])));
        page += 1;
    }
    numbers
}

fn codes_of_zentrade(xml: &str) -> Vec<String> {
    let codes = xml.split("<product code=\"").skip(1);
    codes.map(|rest| rest.split_once('"').unwrap().0.to_owned()).collect()
}

fn unlimited(items: u64) -> Outside {
    let settings = Settings { enforce_limits: false, ..Settings::default() };
    Outside::with(settings.with_items(items))
}

/// The keys of the items that are so far available.
fn truth(outside: &Outside, wholesaler: Wholesaler, shown: &[Availability]) -> BTreeSet<String> {
    let catalogue = outside.simulator().catalogue(wholesaler);
    let items = catalogue.items(outside.transport.clock().now());
    let items = items.filter(|item| shown.contains(&item.availability()));
    items.map(|item| item_key(wholesaler, item.number())).collect()
}

/// Every one once, and none besides.
fn assert_complete(walked: &[String], expected: &BTreeSet<String>) {
    let once: BTreeSet<String> = walked.iter().cloned().collect();
    assert_eq!(once.len(), walked.len(), "something came twice");
    assert_eq!(&once, expected);
}

#[test]
fn a_walk_of_ownerclan_finds_every_item_once_whatever_the_page() {
    let outside = unlimited(2_503);
    let shown = [Availability::OnSale, Availability::SoldOut, Availability::Discontinued];
    let expected = truth(&outside, Wholesaler::Ownerclan, &shown);
    for first in [1, 7, 500, 1_000] {
        assert_complete(&walk_ownerclan(&outside, first, 3_000), &expected);
    }
}

#[test]
fn ownerclan_can_be_walked_backwards() {
    let outside = unlimited(250);
    let query = "query ($before: String) { allItems(last: 60, before: $before) {
        pageInfo { hasPreviousPage startCursor } edges { node { key } } } }";
    let (mut keys, mut before) = (Vec::new(), Value::Null);
    loop {
        let data = outside.data(query, &json!({ "before": before }));
        let page = &data["allItems"];
        let nodes = page["edges"].as_array().unwrap().iter().rev();
        keys.extend(nodes.map(|edge| edge["node"]["key"].as_str().unwrap().to_owned()));
        if page["pageInfo"]["hasPreviousPage"] == false {
            break;
        }
        before = page["pageInfo"]["startCursor"].clone();
    }
    keys.reverse();
    assert_eq!(keys, walk_ownerclan(&outside, 60, 100));
}

#[test]
fn a_walk_of_domeggook_finds_every_item_of_its_market_once() {
    let outside = unlimited(2_503);
    let on_sale = truth(&outside, Wholesaler::Domeggook, &[Availability::OnSale]);
    let mut both = BTreeSet::new();
    for market in ["dome", "supply"] {
        for size in [37, 200] {
            let walked = walk_domeggook(&outside, market, size);
            assert!(walked.is_sorted_by(|newer, older| newer > older));
            assert!(walked.len() > on_sale.len() * 9 / 10 && walked.len() < on_sale.len());
            both.extend(walked.into_iter().map(|number| number.to_string()));
        }
    }
    assert_eq!(both, on_sale);
}

#[test]
fn zentrade_sends_everything_at_once() {
    let outside = unlimited(2_503);
    let shown = [Availability::OnSale, Availability::SoldOut];
    let walked = codes_of_zentrade(&outside.zentrade("product_api", ""));
    assert_complete(&walked, &truth(&outside, Wholesaler::Zentrade, &shown));
}

#[test]
fn pages_that_shift_bring_some_items_twice_or_never() {
    let outside = unlimited(1_000);
    let expected = walk_ownerclan(&outside, 100, 20);
    let shift = |by| FaultRule::new(Fault::ShiftPages { by }).when(jebi_simulator::When::Nth(3));
    outside.simulator().add_fault(shift(-5));
    let twice = walk_ownerclan(&outside, 100, 20);
    assert!(twice.len() > expected.len());
    assert_eq!(BTreeSet::from_iter(&twice), BTreeSet::from_iter(&expected));
    outside.simulator().clear_faults();
    outside.simulator().add_fault(shift(5));
    assert!(walk_ownerclan(&outside, 100, 20).len() < expected.len());
}

#[test]
fn a_stuck_cursor_leads_nowhere() {
    let outside = unlimited(1_000);
    outside.simulator().add_fault(FaultRule::new(Fault::StuckCursor));
    let keys = walk_ownerclan(&outside, 10, 20);
    assert_eq!(keys.len(), 200);
    assert_eq!(BTreeSet::from_iter(&keys).len(), 10);
}

#[test]
fn totals_can_lie_and_catalogues_shrink() {
    let outside = unlimited(1_000);
    let header = |outside: &Outside| {
        let answer = outside.domeggook("mode=getItemList&ver=4.1&market=dome&mnp=0&sz=200");
        answer["domeggook"]["header"].clone()
    };
    let pages = number(&header(&outside)["numberOfPages"]);
    let lie = outside.simulator().add_fault(FaultRule::new(Fault::LyingTotals { by: 400 }));
    assert_eq!(number(&header(&outside)["numberOfPages"]), pages + 2);
    assert!(outside.simulator().remove_fault(lie));
    outside.simulator().add_fault(FaultRule::new(Fault::ShrunkCatalogue { to: 3 }));
    assert!(number(&header(&outside)["numberOfItems"]) <= 3);
    assert_eq!(walk_ownerclan(&outside, 100, 20).len(), 3);
    assert!(codes_of_zentrade(&outside.zentrade("product_api", "")).len() <= 3);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let everything = |seed: u64| {
        let outside = Outside::with(Settings { seed, ..Settings::default() });
        let item = "{ allItems(first: 1000) { edges { node { key name price content } } } }";
        let ownerclan = outside.graphql(item, &json!({})).to_string();
        let zentrade = outside.zentrade("product_api", "");
        let list = "mode=getItemList&ver=4.1&market=dome&mnp=0&sz=200";
        (ownerclan, zentrade, outside.domeggook(list).to_string())
    };
    let (one, same, other) = (everything(1), everything(1), everything(2));
    assert_eq!(one, same);
    assert_ne!(one.0, other.0);
    assert_ne!(one.1, other.1);
    assert_ne!(one.2, other.2);
}
