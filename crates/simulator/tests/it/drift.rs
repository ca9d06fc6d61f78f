//! A follower of the change feeds ends where a full walk ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jebi_domain::Wholesaler;
use jebi_simulator::{Settings, item_key};
use serde_json::{Value, json};

use crate::support::{DAY, Outside, many, number};

const NODE: &str = "key name status price options { key quantity price }";

fn drifting() -> Outside {
    let settings = Settings { drift: true, enforce_limits: false, ..Settings::default() };
    Outside::with(settings.with_items(3_000))
}

/// Items of Ownerclan by their keys.
type Items = BTreeMap<String, Value>;

fn walk(outside: &Outside) -> Items {
    let query = format!(
        "query ($after: String) {{ allItems(first: 1000, after: $after) {{
        pageInfo {{ hasNextPage endCursor }} edges {{ node {{ {NODE} }} }} }} }}"
    );
    let (mut items, mut after) = (Items::new(), Value::Null);
    loop {
        let data = outside.data(&query, &json!({ "after": after }));
        let page = &data["allItems"];
        for edge in page["edges"].as_array().unwrap() {
            let key = edge["node"]["key"].as_str().unwrap().to_owned();
            assert_eq!(items.insert(key, edge["node"].clone()), None);
        }
        if page["pageInfo"]["hasNextPage"] == false {
            return items;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

/// The keys of a window's events, page by page; and how many events came.
fn changed(outside: &Outside, from: i64, to: i64) -> (BTreeSet<String>, usize) {
    let query = "query ($from: Timestamp, $to: Timestamp, $after: String) {
        itemHistories(first: 50, dateFrom: $from, dateTo: $to, after: $after) {
        pageInfo { hasNextPage endCursor } edges { node { itemKey createdAt } } } }";
    let (mut keys, mut after, mut events) = (BTreeSet::new(), Value::Null, 0);
    loop {
        let variables = json!({ "from": from, "to": to, "after": after });
        let data = outside.data(query, &variables);
        let page = &data["itemHistories"];
        let edges = page["edges"].as_array().unwrap();
        assert!(edges.len() <= 50);
        for edge in edges {
            let at = edge["node"]["createdAt"].as_i64().unwrap();
            assert!((from..=to).contains(&at));
            keys.insert(edge["node"]["itemKey"].as_str().unwrap().to_owned());
            events += 1;
        }
        if page["pageInfo"]["hasNextPage"] == false {
            return (keys, events);
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
}

/// Reads changed items again and puts them in place of the old ones.
fn follow(outside: &Outside, items: &mut Items, keys: &BTreeSet<String>) {
    let query = format!("query ($keys: [ID!]!) {{ itemsByKeys(keys: $keys) {{ {NODE} }} }}");
    let data = outside.data(&query, &json!({ "keys": keys }));
    keys.iter().for_each(|key| drop(items.remove(key)));
    for node in data["itemsByKeys"].as_array().unwrap() {
        items.insert(node["key"].as_str().unwrap().to_owned(), node.clone());
    }
}

#[test]
fn three_days_of_ownerclans_feed_agree_with_a_walk() {
    let outside = drifting();
    let mut items = walk(&outside);
    let (before, mut last) = (items.clone(), outside.transport.clock().now());
    let mut events = 0;
    for _ in 0..12 {
        outside.pass(Duration::from_hours(6));
        let now = outside.transport.clock().now();
        let (keys, came) = changed(&outside, last.unix_ms() + 1, now.unix_ms());
        follow(&outside, &mut items, &keys);
        (last, events) = (now, events + came);
    }
    let walked = walk(&outside);
    // There is no event for what is new: it is found by a walk alone.
    let new: BTreeSet<String> =
        (3_000..3_009).map(|number| item_key(Wholesaler::Ownerclan, number)).collect();
    assert!(new.iter().any(|key| walked.contains_key(key)), "three thousandths were added");
    let but_new = |items: &Items| {
        let mut items = items.clone();
        items.retain(|key, _| !new.contains(key));
        items
    };
    assert!(but_new(&items) == but_new(&walked), "the feed has missed something");
    assert_ne!(items, before);
    // 0.16 a day for each, and some twice.
    assert!((1_300..1_700).contains(&events), "{events}");
}

#[test]
fn windows_that_overlap_tell_the_same_twice_and_nothing_is_lost() {
    let outside = drifting();
    let start = outside.transport.clock().now().unix_ms();
    outside.pass(DAY);
    let end = outside.transport.clock().now().unix_ms();
    let (all, _) = changed(&outside, start, end);
    let middle = i64::midpoint(start, end);
    let (mut parts, _) = changed(&outside, start, middle + 3_600_000);
    parts.extend(changed(&outside, middle - 3_600_000, end).0);
    assert_eq!(parts, all);
}

/// Price and quantity on the supply market by number.
fn list(outside: &Outside) -> BTreeMap<i64, i64> {
    let (mut items, mut page, mut pages) = (BTreeMap::new(), 1, 1);
    while page <= pages {
        let query = format!("mode=getItemList&ver=4.1&market=supply&mnp=0&sz=200&pg={page}");
        let answer = outside.domeggook(&query);
        pages = number(&answer["domeggook"]["header"]["numberOfPages"]);
        let entries = many(&answer["domeggook"]["list"]["item"]);
        items.extend(entries.iter().map(|entry| (number(&entry["no"]), number(&entry["price"]))));
        page += 1;
    }
    items
}

#[test]
fn three_days_of_domeggooks_feed_agree_with_a_walk() {
    let outside = drifting();
    let before = list(&outside);
    let mut items = before.clone();
    let statuses = "OPEN_RESTART_CLOSE_SOLDOUT_DEL_AMT_OPTAMT_OPTSOLDOUT_OPTRESTART";
    outside.pass(3 * DAY);
    for day in ["20261123", "20261124", "20261125", "20261126"] {
        let (mut page, mut pages) = (1, 1);
        while page <= pages {
            let query = format!(
                "mode=getAllSupplyChk&ver=1.1&type=all&status={statuses}&date={day}&ic=100&pg={page}"
            );
            let answer = outside.domeggook(&query);
            pages = number(&answer["domeggook"]["header"]["numberOfPages"]);
            for row in many(&answer["domeggook"]["items"]["item"]) {
                let (no, price) = (number(&row["no"]), number(&row["price"]));
                match row["status"].as_str().unwrap() {
                    "SOLDOUT" | "CLOSE" | "DEL" => {
                        items.remove(&no);
                    }
                    "OPEN" | "RESTART" => {
                        items.insert(no, price);
                    }
                    _ => {
                        items.entry(no).and_modify(|known| *known = price);
                    }
                }
            }
            page += 1;
        }
    }
    let walked = list(&outside);
    // The feed is of both markets: what is not sold on this one is not in the walk.
    items.retain(|no, _| {
        let answer = outside.domeggook(&format!("mode=getItemView&ver=4.6&no={no}"));
        answer["domeggook"]["channel"]["supply"] == "true"
    });
    let numbers = items.keys().chain(walked.keys());
    let differing: BTreeSet<&i64> = numbers.filter(|no| items.get(no) != walked.get(no)).collect();
    assert_eq!(differing, BTreeSet::new());
    assert_ne!(walked, before);
}

#[test]
fn drift_that_is_switched_off_stops_where_it_is() {
    let outside = drifting();
    outside.pass(DAY);
    let stopped = walk(&outside);
    let settings = Settings { drift: false, ..outside.simulator().settings() };
    outside.simulator().set(settings.clone(), outside.transport.clock().now());
    outside.pass(5 * DAY);
    assert_eq!(walk(&outside), stopped);
    let settings = Settings { drift: true, ..settings };
    outside.simulator().set(settings, outside.transport.clock().now());
    assert_eq!(walk(&outside), stopped);
    outside.pass(DAY);
    assert_ne!(walk(&outside), stopped);
}
