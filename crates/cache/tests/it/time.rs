//! What bounds what no invalidation reaches.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use jebi_cache::{Body, Cache, Clock, Event, Freshness, L1, Level, Link, LoadError, Loaded};
use jebi_cache::{Namespace, NamespaceConfig, Scope};

use crate::support::{Key, Source, build, builder, pages, stats, text};

const KEY: Key = Key(1, 1);
const MINUTE: Duration = Duration::from_secs(60);

fn with(pages: NamespaceConfig) -> (Cache, Clock) {
    let clock = Clock::manual();
    (build(Cache::builder().namespace(pages).clock(clock.clone())), clock)
}

async fn failing(pages: &Namespace) -> Result<jebi_cache::Hit, LoadError> {
    pages.get_or_load(&KEY, |_| async { Err::<Loaded, _>(std::io::Error::other("down")) }).await
}

#[tokio::test]
async fn a_value_is_fresh_as_long_as_its_namespace_says() {
    let (cache, clock) = with(NamespaceConfig::new("pages").fresh_for(MINUTE).jitter(0.0));
    let source = Source::default();
    source.get(&pages(&cache), &KEY).await;
    clock.advance(MINUTE - Duration::from_millis(1));
    assert_eq!(source.get(&pages(&cache), &KEY).await.level(), Level::L1);
    clock.advance(Duration::from_millis(1));
    assert!(pages(&cache).try_get(&KEY).is_none());
    assert_eq!(source.get(&pages(&cache), &KEY).await.level(), Level::Load);
}

#[tokio::test]
async fn a_loader_says_how_long_its_value_is_fresh() {
    let (cache, clock) = with(NamespaceConfig::new("pages").fresh_for(MINUTE).jitter(0.0));
    let load = |at: jebi_cache::Load| async move {
        at.set_fresh_for(Duration::from_secs(5));
        Ok::<_, Infallible>(Loaded::from(Body::new("short")))
    };
    pages(&cache).get_or_load(&KEY, load).await.expect("it does not fail");
    clock.advance(Duration::from_secs(4));
    assert!(pages(&cache).try_get(&KEY).is_some());
    clock.advance(Duration::from_secs(1));
    assert!(pages(&cache).try_get(&KEY).is_none());
}

#[tokio::test]
async fn p19_what_was_written_together_does_not_end_together() {
    const KEYS: u64 = 10_000;
    let config = NamespaceConfig::new("pages").fresh_for(MINUTE * 10).jitter(0.5);
    let clock = Clock::manual();
    let l1 = L1 { max_bytes: 1 << 30, max_entries: KEYS * 4 };
    let cache = build(Cache::builder().l1(l1).namespace(config).clock(clock.clone()));
    let (pages, source) = (pages(&cache), Source::default());
    for key in 0..KEYS {
        source.get(&pages, &Key(1, key)).await;
    }
    // Half of ten minutes, in tenths: each with its share of the ends.
    let mut ends = BTreeMap::new();
    for key in 0..KEYS {
        let left = pages.explain(&Key(1, key)).expect("it is held").fresh_for;
        assert!((MINUTE * 5..=MINUTE * 10).contains(&left), "{left:?}");
        *ends.entry((left - MINUTE * 5).as_secs().min(299) / 30).or_insert(0) += 1;
    }
    let (least, most) = (ends.values().min().copied(), ends.values().max().copied());
    assert_eq!(ends.len(), 10);
    assert!(most < Some(KEYS / 10 * 2) && least > Some(KEYS / 10 / 2), "{ends:?}");
}

#[tokio::test]
async fn that_nothing_is_there_is_known_for_a_while() {
    let negative = Duration::from_secs(15);
    let (cache, clock) = with(NamespaceConfig::new("pages").negative_for(negative));
    let none = |_| async { Ok::<_, Infallible>(Loaded::absent()) };
    let ask = async || pages(&cache).get_or_load(&KEY, none).await.expect("it does not fail");
    let first = ask().await;
    assert_eq!((first.level(), first.body()), (Level::Load, None));
    let second = ask().await;
    assert_eq!((second.level(), second.body()), (Level::L1, None));
    clock.advance(negative);
    assert_eq!(ask().await.level(), Level::Load);
    // And not after it came to be.
    pages(&cache).invalidate(&KEY).await;
    assert_eq!(text(&Source::default().get(&pages(&cache), &KEY).await), "0");
}

#[tokio::test]
async fn a_source_that_fails_leaves_what_is_kept_and_not_what_was_invalidated() {
    // Not trusted unless somebody vouches: then nobody can tell whether it is still right.
    let config = NamespaceConfig::new("pages").fresh_for(MINUTE).stale_for(MINUTE).jitter(0.0);
    let clock = Clock::manual();
    let built = Cache::builder().namespace(config).clock(clock.clone()).vouched_from_outside();
    let cache = build(built.max_staleness(Duration::from_secs(2)));
    let (pages, source) = (pages(&cache), Source::default());
    cache.vouch_for_this_process(cache.moment().await);
    source.get(&pages, &KEY).await;
    assert_eq!(source.get(&pages, &KEY).await.freshness(), Freshness::Fresh);

    clock.advance(Duration::from_secs(2));
    assert!(pages.try_get(&KEY).is_none(), "nobody vouched for so long");
    let kept = failing(&pages).await.expect("it is kept");
    assert_eq!((text(&kept).as_str(), kept.freshness()), ("0", Freshness::Stale));
    assert_eq!(stats(&cache).stale, 1);

    cache.vouch_for_this_process(cache.moment().await);
    pages.invalidate(&KEY).await;
    let error = failing(&pages).await.expect_err("what was invalidated is wrong");
    assert!(error.loader::<std::io::Error>().is_some(), "{error}");
    source.get(&pages, &KEY).await;
    clock.advance(MINUTE * 2);
    failing(&pages).await.expect_err("it was kept long enough");
}

#[tokio::test(start_paused = true)]
async fn a_load_that_takes_too_long_is_stopped_and_told() {
    let timeout = Duration::from_millis(80);
    let (cache, _) = with(NamespaceConfig::new("pages").load_timeout(timeout));
    let never = |_| std::future::pending::<Result<Loaded, Infallible>>();
    let error = pages(&cache).get_or_load(&KEY, never).await.expect_err("it never ends");
    assert!(matches!(error, LoadError::TimedOut(after) if after == timeout), "{error}");
    assert_eq!(text(&Source::default().get(&pages(&cache), &KEY).await), "0");
}

#[tokio::test]
async fn a_loader_takes_over_what_of_the_last_value_is_still_good() {
    let cache = build(builder());
    let pages = pages(&cache);
    let load = |expected: Option<[bool; 3]>| {
        pages.get_or_load(&KEY, move |at: jebi_cache::Load| async move {
            let found = at.previous().map(|previous| {
                let is_unchanged = previous.is_unchanged_but_for_tags();
                [is_unchanged, previous.is_unchanged("one"), previous.is_unchanged("other")]
            });
            assert_eq!(found, expected);
            at.add_tag("one");
            at.add_tag("other");
            Ok::<_, Infallible>(Loaded::from(Body::new("page")))
        })
    };
    load(None).await.expect("a value");
    pages.invalidate_tag(Scope::new(1), "one").await;
    load(Some([true, false, true])).await.expect("a value");
    pages.invalidate_scope(Scope::new(1)).await;
    load(Some([false, true, true])).await.expect("a value");
}

#[tokio::test]
async fn what_ended_an_entry_is_told_by_event_and_by_what_it_reached() {
    let cache = build(builder());
    let details = cache.namespace("details").expect("declared");
    let load = |at: jebi_cache::Load| async move {
        at.add_tag("7");
        Ok::<_, Infallible>(Loaded::from(Body::new("order 7")))
    };
    details.get_or_load(&KEY, load).await.expect("a value");
    assert_eq!(details.why_stale(&KEY), None);
    let event = Event { fields: &[("id", "7")], ..Event::new("orders:updated", Scope::new(1)) };
    cache.emit(&event).await;
    let cause = details.why_stale(&KEY).expect("it was invalidated");
    assert!(matches!(cause.link, Link::Tag(_)) && cause.why == "orders:updated", "{cause:?}");
    let explained = details.explain(&KEY).expect("it is held, and not answered");
    assert!(!explained.is_valid);
    let changed = explained.hangs_on.iter().map(|(_, is_changed)| *is_changed);
    assert_eq!(changed.collect::<Vec<_>>(), [false, false, false, true]);
    // Another seller's, and another order's, are where they were.
    assert_eq!(details.why_stale(&Key(2, 1)), None);
}
