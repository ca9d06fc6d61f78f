//! Word of what other processes invalidate: nothing is lost, and silence is noticed.

use std::convert::Infallible;
use std::time::Duration;

use jebi_cache::{Cache, Clock, Event, Freshness, Loaded, NamespaceConfig, Scope};

use crate::proxy::Proxy;
use crate::server::connect;
use crate::support::{
    Gate, Key, Source, build, builder, connected, gaps, node, pages, prefix, redis, redis_url,
    stats, text, until,
};

const BOUND: Duration = Duration::from_secs(2);
const SELLER: Scope = Scope::new(1);

/// The clock of the process behind the proxy stands still: it goes on trusting what it holds, so that what
/// it forgets it forgets because of messages.
async fn behind(proxy: &Proxy, prefix: &str) -> Cache {
    let cache = build(builder().redis(redis(&proxy.url, prefix)).clock(Clock::manual()));
    connected(&cache).await;
    cache
}

#[tokio::test]
async fn p7_a_process_that_was_cut_off_follows_all_it_missed_and_keeps_the_rest() {
    let prefix = prefix();
    let proxy = Proxy::before(&redis_url()).await;
    let (here, there) = (node(&prefix), behind(&proxy, &prefix).await);
    connected(&here).await;
    let source = Source::default();
    for round in 0..3 {
        for key in 0..200 {
            source.get(&pages(&there), &Key(1, key)).await;
        }
        proxy.cut();
        // More than are read at a time.
        for key in (0..1_200).map(|key| key % 100) {
            pages(&here).invalidate(&Key(1, key)).await;
        }
        proxy.heal();
        let missed = 1_200 * (round + 1);
        until("all is followed", || there.stats().l2.unwrap().messages == missed).await;
        for key in 0..100 {
            assert!(pages(&there).try_get(&Key(1, key)).is_none(), "{key}");
            assert!(pages(&there).try_get(&Key(1, key + 100)).is_some(), "{key}");
        }
    }
    assert_eq!(gaps(&there), 0);
}

#[tokio::test]
async fn p7_a_process_that_missed_more_than_is_kept_gives_all_up() {
    let prefix = prefix();
    let proxy = Proxy::before(&redis_url()).await;
    let short = redis(&redis_url(), &prefix).messages(100);
    let (here, there) = (build(builder().redis(short)), behind(&proxy, &prefix).await);
    connected(&here).await;
    let source = Source::default();
    source.get(&pages(&there), &Key(2, 2)).await;
    proxy.cut();
    for key in 0..1_000 {
        pages(&here).invalidate(&Key(1, key)).await;
    }
    proxy.heal();
    until("it is given up", || pages(&there).try_get(&Key(2, 2)).is_none()).await;
    until("the loss is noticed", || gaps(&there) == 1).await;
}

#[tokio::test]
async fn p7_a_stream_that_is_deleted_or_begins_anew_is_noticed() {
    let prefix = prefix();
    let (here, there) = (node(&prefix), node(&prefix));
    connected(&here).await;
    connected(&there).await;
    let source = Source::default();
    let mut redis = connect(&redis_url()).await;
    let stream = format!("{{{prefix}}}:messages");
    for round in 0..4 {
        // One that came from a clock which is far ahead.
        let mut ahead = redis::cmd("XADD");
        ahead.arg(&stream).arg(format!("{}-7", 9_000_000_000_000_u64 - round));
        ahead.arg("p").arg("").arg("o").arg("nobody").arg("d").arg("");
        ahead.query_async::<()>(&mut redis).await.unwrap();
        until("it is followed", || gaps(&there) > 0 || there.stats().l2.unwrap().messages > round)
            .await;
        source.get(&pages(&there), &Key(1, 1)).await;
        source.change();
        redis::cmd("DEL").arg(&stream).query_async::<()>(&mut redis).await.unwrap();
        pages(&here).invalidate(&Key(1, 1)).await;
        until("the other process has heard", || {
            pages(&there).try_get(&Key(1, 1)).is_none_or(|hit| text(&hit) != round.to_string())
        })
        .await;
        redis::cmd("DEL").arg(&stream).query_async::<()>(&mut redis).await.unwrap();
        let before = gaps(&there);
        // Without a message in between, too: what was said last cannot be known any more.
        pages(&here).invalidate(&Key(9, 9)).await;
        until("the end is noticed", || gaps(&there) > before).await;
        redis::cmd("DEL").arg(&stream).query_async::<()>(&mut redis).await.unwrap();
    }
}

#[tokio::test]
async fn p7_filling_what_was_missed_sends_no_message() {
    let prefix = prefix();
    let (here, there) = (node(&prefix), node(&prefix));
    connected(&here).await;
    connected(&there).await;
    let source = Source::with_tags(&["late"]);
    for key in 0..100 {
        source.get(&pages(&here), &Key(1, key)).await;
        source.get(&pages(&there), &Key(1, key)).await;
    }
    pages(&here).invalidate(&Key(1, 1)).await;
    until("the other process has heard", || there.stats().l2.unwrap().messages > 0).await;
    assert_eq!(there.stats().l2.unwrap().messages, 1);
}

#[tokio::test]
async fn p9_what_is_held_is_not_answered_past_the_bound_when_word_stays_away() {
    let prefix = prefix();
    let proxy = Proxy::before(&redis_url()).await;
    let clock = Clock::manual();
    let redis = redis(&proxy.url, &prefix).deadline(Duration::from_millis(1));
    let there = build(builder().redis(redis).clock(clock.clone()).max_staleness(BOUND));
    let here = node(&prefix);
    connected(&here).await;
    connected(&there).await;
    let source = Source::default();
    source.get(&pages(&there), &Key(1, 1)).await;
    proxy.hold_answers();
    proxy.holds().await;
    source.change();
    pages(&here).invalidate(&Key(1, 1)).await;
    clock.advance(BOUND.checked_sub(Duration::from_millis(1)).unwrap());
    let within = pages(&there).try_get(&Key(1, 1)).expect("nothing was heard");
    assert_eq!((text(&within).as_str(), within.freshness()), ("0", Freshness::Fresh));
    clock.advance(Duration::from_millis(1));
    assert!(pages(&there).try_get(&Key(1, 1)).is_none());
    // Where the source fails, what nobody vouches for is better than nothing, and says so.
    let fails = |_| async { Err::<Loaded, _>(std::io::Error::other("down")) };
    let held = pages(&there).get_or_load(&Key(1, 1), fails).await.expect("something is held");
    assert_eq!((text(&held).as_str(), held.freshness()), ("0", Freshness::Stale));
    let after = source.get(&pages(&there), &Key(1, 1)).await;
    assert_eq!((text(&after).as_str(), after.freshness()), ("1", Freshness::Fresh));
    proxy.heal();
    connected(&there).await;
    assert_eq!(text(&source.get(&pages(&there), &Key(1, 1)).await), "1");
    assert_eq!(stats(&there).stale, 1);
}

#[tokio::test]
async fn p9_who_joins_a_load_from_before_the_bound_without_a_vouch_is_told_so() {
    let clock = Clock::manual();
    let cache = Cache::builder().namespace(NamespaceConfig::new("pages")).clock(clock.clone());
    let cache = build(cache.vouched_from_outside().max_staleness(BOUND));
    let (source, gate) = (Source::default(), Gate::closed());
    let first = source.get_slowly(&pages(&cache), Key(1, 1), &gate);
    gate.is_reached().await;
    let recent = source.get_slowly(&pages(&cache), Key(1, 1), &gate);
    until("it has joined", || stats(&cache).joined == 1).await;
    clock.advance(BOUND + Duration::from_millis(1));
    // Others have written since, and this process cannot know.
    let late = source.get_slowly(&pages(&cache), Key(1, 1), &gate);
    until("it has joined", || stats(&cache).joined == 2).await;
    gate.open();
    for (hit, expected) in
        [(first, Freshness::Fresh), (recent, Freshness::Fresh), (late, Freshness::Stale)]
    {
        assert_eq!(hit.await.expect("no panic").freshness(), expected);
    }
    assert_eq!(source.loads(), 1);
}

/// Who writes may die before it reports: nothing is trusted beyond what somebody vouches for.
#[tokio::test]
async fn p9_what_is_vouched_for_from_outside_is_trusted_as_long_as_it_is() {
    let prefix = prefix();
    let clocks = [Clock::manual(), Clock::manual()];
    let [relay, other] = clocks.clone().map(|clock| {
        let builder = builder().redis(redis(&redis_url(), &prefix)).max_staleness(BOUND);
        build(builder.vouched_from_outside().clock(clock))
    });
    let source = Source::default();
    source.get(&pages(&other), &Key(1, 1)).await;
    assert!(pages(&other).try_get(&Key(1, 1)).is_none(), "nobody has vouched");
    let moment = relay.moment().await;
    relay.emit(&Event::new("orders:updated", SELLER)).await;
    relay.vouch_for_all(moment).await;
    connected(&other).await;
    source.get(&pages(&other), &Key(1, 1)).await;
    assert!(pages(&other).try_get(&Key(1, 1)).is_some());
    clocks[1].advance(BOUND);
    let load = |_| async { Ok::<_, Infallible>(Loaded::absent()) };
    until("the vouch is too old", || !other.stats().l2.unwrap().is_trusted).await;
    let after = pages(&other).get_or_load(&Key(1, 1), load).await.expect("it does not fail");
    assert!(after.body().is_none(), "it is loaded");
}
