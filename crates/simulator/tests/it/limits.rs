//! What happens to who asks too often, as a client sees it.

use std::time::Duration;

use jebi_simulator::{Rule, Settings};
use serde_json::json;

use crate::support::{DAY, Outside, zentrade_request};

const QUERY: &str = "{ item(key: \"W000000\") { key } }";
const LIST: &str = "om=json&mode=getItemList&ver=4.1&market=dome&mnp=0&sz=1";

fn rules(outside: &Outside) -> Vec<Rule> {
    outside.simulator().blocks().iter().map(|block| block.rule).collect()
}

#[test]
fn domeggook_says_429_and_not_for_how_long() {
    let outside = Outside::new();
    // The login was one.
    for _ in 1..180 {
        assert_eq!(outside.answer(&outside.domeggook_request(LIST)).status, 200);
    }
    outside.pass(Duration::from_millis(59_999));
    let blocked = outside.ask(&outside.domeggook_request(LIST));
    assert_eq!((blocked.status, blocked.header("Retry-After")), (429, None));
    outside.pass(Duration::from_millis(3 * 60_000 - 1));
    assert_eq!(outside.answer(&outside.domeggook_request(LIST)).status, 429);
    outside.pass(Duration::from_millis(1));
    assert_eq!(outside.answer(&outside.domeggook_request(LIST)).status, 200);
    assert_eq!(rules(&outside), [Rule::PerMinute]);
    let block = &outside.simulator().blocks()[0];
    assert_eq!(block.until.since(block.at), Duration::from_mins(3));
}

#[test]
fn ownerclan_says_too_many_requests_and_then_502_with_a_retry_after() {
    let outside = Outside::new();
    let request = outside.graphql_request(QUERY, &json!({}));
    // The token was one.
    for _ in 1..180 {
        assert_eq!(outside.graphql(QUERY, &json!({}))["data"]["item"]["key"], "W000000");
    }
    let error = json!({
        "message": "Too many requests.",
        "locations": [{ "line": 1, "column": 3 }],
        "path": ["item"],
    });
    for _ in 180..240 {
        assert_eq!(outside.graphql(QUERY, &json!({})), json!({ "errors": [error], "data": null }));
    }
    let blocked = outside.ask(&request);
    assert_eq!((blocked.status, blocked.header("Retry-After")), (502, Some("60")));
    assert!(blocked.header("Content-Type").unwrap().starts_with("text/html"));
    outside.pass(Duration::from_millis(500));
    assert_eq!(outside.ask(&request).header("Retry-After"), Some("60"));
    outside.pass(Duration::from_millis(59_499));
    assert_eq!(outside.ask(&request).header("Retry-After"), Some("1"));
    outside.pass(Duration::from_millis(1));
    assert_eq!(outside.answer(&request).status, 200);
    assert_eq!(rules(&outside), [Rule::PerMinute]);
}

#[test]
fn a_client_at_the_legal_rate_is_never_blocked_in_a_day() {
    let outside = Outside::new();
    let request = outside.domeggook_request(LIST);
    // 10 a minute are 14,400 in a day.
    for _ in 0..14_400 {
        outside.pass(Duration::from_secs(6));
        assert_eq!(outside.ask(&request).status, 200);
    }
    assert_eq!(rules(&outside), []);
    assert_eq!(outside.simulator().counters(jebi_domain::Wholesaler::Domeggook).blocked, 0);
}

#[test]
fn a_loop_of_mistakes_ends_in_a_block() {
    let outside = Outside::new();
    let stranger = zentrade_request("product_api", "m_skey=wrong");
    for _ in 0..101 {
        assert_eq!(outside.answer(&stranger).status, 200);
        outside.pass(Duration::from_secs(2));
    }
    assert_eq!(outside.answer(&stranger).status, 403);
    assert_eq!(rules(&outside), [Rule::Mistakes]);
    outside.simulator().clear_blocks();
    assert_eq!(outside.answer(&stranger).status, 200);
    assert_eq!(rules(&outside), []);
}

#[test]
fn to_ask_for_what_is_gone_is_no_mistake() {
    let outside = Outside::new();
    for _ in 0..200 {
        let gone = outside.graphql("{ item(key: \"W1\") { key } }", &json!({}));
        assert_eq!(gone["errors"][0]["message"], "해당 상품을 찾을 수 없습니다.");
        let gone = outside.domeggook("mode=getItemView&ver=4.6&no=1");
        assert_eq!(gone["errors"]["code"], "NOT_FOUND");
        outside.pass(Duration::from_secs(1));
    }
    assert_eq!(rules(&outside), []);
    for _ in 0..101 {
        outside.graphql("mutation { cancelOrder(key: \"1\") { key } }", &json!({}));
        outside.pass(Duration::from_secs(1));
    }
    assert_eq!(rules(&outside), [Rule::Mistakes]);
}

#[test]
fn fifty_times_as_fast_nothing_else_is_different() {
    let outside = Outside::with(Settings { scale: 50, ..Settings::default() });
    let request = outside.domeggook_request(LIST);
    outside.pass(DAY);
    (0..180).for_each(|_| assert_eq!(outside.ask(&request).status, 200));
    outside.pass(Duration::from_millis(1_199));
    assert_eq!(outside.ask(&request).status, 429);
    outside.pass(Duration::from_millis(3_600));
    assert_eq!(outside.ask(&request).status, 200);
}

#[test]
fn limits_that_are_not_enforced_block_nobody() {
    let outside = Outside::with(Settings { enforce_limits: false, ..Settings::default() });
    let request = outside.domeggook_request(LIST);
    assert!((0..1_000).all(|_| outside.ask(&request).status == 200));
}
