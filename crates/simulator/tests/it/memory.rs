//! A million items take no memory.

use std::time::Duration;

use jebi_simulator::{Body, Settings};
use serde_json::{Value, json};

use crate::support::{Outside, many, number, zentrade_request};

const ITEMS: u64 = 1_000_000;

fn outside(items: u64) -> Outside {
    let settings = Settings { drift: true, enforce_limits: false, ..Settings::default() };
    Outside::with(settings.with_items(items))
}

/// The most bytes that were in use at once while it worked.
fn most_bytes(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).bytes_max
}

#[test]
fn a_million_items_of_ownerclan_are_walked_in_3_mb() {
    let outside = outside(ITEMS);
    outside.pass(Duration::from_hours(30));
    let query = "query ($after: String) { allItems(first: 1000, after: $after) {
        pageInfo { hasNextPage endCursor } edges { node { key price } } } }";
    let mut items = 0;
    let bytes = most_bytes(|| {
        let mut after = Value::Null;
        loop {
            let data = outside.data(query, &json!({ "after": after }));
            let page = &data["allItems"];
            items += page["edges"].as_array().unwrap().len() as u64;
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
    });
    assert!(items > ITEMS * 99 / 100, "{items}");
    assert!(bytes < 3_000_000, "{bytes}");
}

#[test]
fn any_page_of_a_million_items_of_domeggook_costs_the_same_memory() {
    let outside = outside(ITEMS);
    outside.pass(Duration::from_hours(30));
    let page = |page: i64| {
        let query = format!("mode=getItemList&ver=4.1&market=dome&mnp=0&sz=200&pg={page}");
        outside.domeggook(&query)
    };
    let mut pages = 0;
    let first = most_bytes(|| pages = number(&page(1)["domeggook"]["header"]["numberOfPages"]));
    assert!(first < 3_000_000, "{first}");
    for number in [2, pages / 2, pages] {
        let mut items = 0;
        let bytes = most_bytes(|| items = many(&page(number)["domeggook"]["list"]["item"]).len());
        assert!((1..=200).contains(&items));
        assert!(bytes < 3_000_000, "{bytes}");
    }
}

#[test]
fn forty_megabytes_of_zentrade_are_made_while_they_are_sent() {
    let settings = Settings { description_bytes: 11_000, ..Settings::default() };
    let outside = Outside::with(settings.with_items(3_500));
    let mut sent = 0;
    let bytes = most_bytes(|| {
        let Body::Pieces(pieces) = outside.ask(&zentrade_request("product_api", "")).body else {
            panic!("it is whole");
        };
        sent = pieces.map(|piece| piece.len()).sum();
    });
    assert!(sent > 30_000_000, "{sent}");
    assert!(bytes < 1_000_000, "{bytes}");
}
