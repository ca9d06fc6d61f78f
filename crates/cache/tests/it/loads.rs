use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jebi_cache::{
    Body, Cache, Clock, Forsaken, Freshness, Level, LoadError, Loaded, Namespace, NamespaceConfig,
};
use tokio::sync::Notify;

use crate::support::{
    Gate, Key, Source, build, builder, connected, node, pages, prefix, redis, redis_url, stats,
    text, until,
};

const KEY: Key = Key(1, 1);

#[tokio::test]
async fn p2_a_caller_after_an_invalidation_does_not_wait_for_an_older_load() {
    let cache = builder().build().expect("a good configuration");
    let pages = cache.namespace("pages").expect("declared");
    let (began, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (pages, began, go) = (pages.clone(), Arc::clone(&began), Arc::clone(&go));
        tokio::spawn(async move {
            let load = |_| async move {
                began.notify_one();
                go.notified().await;
                Ok::<_, Infallible>(Loaded::from(Body::new("old")))
            };
            pages.get_or_load(&Key(1, 1), load).await
        })
    };
    began.notified().await;
    pages.invalidate(&Key(1, 1)).await;
    let source = Source::default();
    assert_eq!(text(&source.get(&pages, &Key(1, 1)).await), "0");
    go.notify_one();
    let old = slow.await.expect("no panic").expect("a value");
    assert_eq!(text(&old), "old", "it came before the invalidation");
    assert_eq!(text(&source.get(&pages, &Key(1, 1)).await), "0");
    assert_eq!(source.loads(), 1);
}

#[tokio::test]
async fn p13_a_loader_that_asks_for_its_own_key_is_told_so() {
    let cache = builder().build().expect("a good configuration");
    let pages = cache.namespace("pages").expect("declared");
    let inner = pages.clone();
    let outer = pages.get_or_load(&Key(1, 1), |_| async move {
        let nested = inner.get_or_load(&Key(1, 1), |at| Source::default().load(at)).await;
        nested.map(|hit| Loaded::from(hit.body().cloned()))
    });
    let error = outer.await.expect_err("it waits for itself");
    assert!(matches!(error.loader(), Some(LoadError::Recursive)), "{error}");
}

/// A cache of one process, with a namespace as the test wants it.
fn alone(pages: NamespaceConfig, clock: &Clock) -> Cache {
    build(Cache::builder().namespace(pages).clock(clock.clone()))
}

#[tokio::test]
async fn p10_the_load_goes_on_when_all_who_waited_have_left() {
    let cache = alone(NamespaceConfig::new("pages"), &Clock::manual());
    let (source, gate) = (Source::default(), Gate::closed());
    let caller = source.get_slowly(&pages(&cache), KEY, &gate);
    gate.is_reached().await;
    caller.abort();
    caller.await.expect_err("it was aborted");
    gate.open();
    until("the value is kept", || pages(&cache).try_get(&KEY).is_some()).await;
    assert_eq!(source.loads(), 1);
}

#[tokio::test]
async fn p10_a_load_is_stopped_when_all_who_waited_have_left_and_that_is_wanted() {
    let cache = alone(NamespaceConfig::new("pages").forsaken(Forsaken::Abort), &Clock::manual());
    let (source, gate) = (Source::default(), Gate::closed());
    let caller = source.get_slowly(&pages(&cache), KEY, &gate);
    gate.is_reached().await;
    caller.abort();
    caller.await.expect_err("it was aborted");
    until("it is stopped", || cache.stats().flights == 0).await;
    gate.open();
    assert_eq!(text(&source.get(&pages(&cache), &KEY).await), "0");
    assert_eq!(source.loads(), 2);
}

#[tokio::test]
async fn p10_a_caller_that_is_never_polled_keeps_nobody_waiting() {
    let cache = alone(NamespaceConfig::new("pages"), &Clock::manual());
    let (source, pages) = (Source::default(), pages(&cache));
    let never = source.get(&pages, &KEY);
    assert_eq!(text(&source.get(&pages, &KEY).await), "0");
    drop(never);
    assert_eq!(source.loads(), 1);
}

/// Nobody waits for a refresh. It is not forsaken for that.
#[tokio::test]
async fn a_refresh_comes_to_its_end_also_where_forsaken_loads_are_stopped() {
    let clock = Clock::manual();
    let config = NamespaceConfig::new("pages").forsaken(Forsaken::Abort);
    let config = config.fresh_for(Duration::from_secs(1)).stale_for(Duration::from_secs(60));
    let cache = alone(config, &clock);
    let (source, gate) = (Source::default(), Gate::closed());
    source.get(&pages(&cache), &KEY).await;
    source.change();
    clock.advance(Duration::from_secs(1));
    let old = source.get_slowly(&pages(&cache), KEY, &gate).await.expect("no panic");
    assert_eq!((text(&old).as_str(), old.freshness()), ("0", Freshness::Refreshing));
    gate.is_reached().await;
    gate.open();
    until("it is refreshed", || pages(&cache).try_get(&KEY).is_some_and(|hit| text(&hit) == "1"))
        .await;
}

#[tokio::test]
async fn p11_a_panic_is_an_error_of_all_who_waited_and_of_nobody_later() {
    let cache = alone(NamespaceConfig::new("pages"), &Clock::manual());
    let panics = |pages: Namespace| async move {
        let load = |_| async {
            tokio::task::yield_now().await;
            std::panic::resume_unwind(Box::new("out of luck"));
            #[expect(unreachable_code, reason = "tells the type of what it would be")]
            Ok::<_, Infallible>(Loaded::absent())
        };
        pages.get_or_load(&KEY, load).await
    };
    let callers = [(); 20].map(|()| tokio::spawn(panics(pages(&cache))));
    for caller in callers {
        let error = caller.await.expect("it is told").expect_err("the loader panics");
        assert!(matches!(&error, LoadError::Panicked(why) if &**why == "out of luck"), "{error}");
    }
    assert_eq!((stats(&cache).loads, cache.stats().flights), (1, 0));
    assert_eq!(text(&Source::default().get(&pages(&cache), &KEY).await), "0");
}

/// Panics when it is stopped, where nobody can catch it.
struct Grudge;

impl Drop for Grudge {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new("out of luck"));
    }
}

#[tokio::test(start_paused = true)]
async fn p11_a_loader_that_panics_when_it_is_stopped_leaves_no_load_behind() {
    let config = NamespaceConfig::new("pages").load_timeout(Duration::from_secs(1));
    let cache = alone(config, &Clock::manual());
    let load = |_| async {
        let _grudge = Grudge;
        std::future::pending::<Result<Loaded, Infallible>>().await
    };
    let stopped = pages(&cache).get_or_load(&KEY, load).await;
    assert!(matches!(stopped, Err(LoadError::Panicked(_))), "{stopped:?}");
    assert_eq!(cache.stats().flights, 0);
    assert_eq!(text(&Source::default().get(&pages(&cache), &KEY).await), "0");
}

/// The cache lives in a runtime, its callers may live in another.
#[test]
fn a_runtime_that_ends_under_a_load_lets_its_callers_go() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (of_cache, of_caller) = (runtime(), runtime());
    let cache = of_cache.block_on(async { alone(NamespaceConfig::new("pages"), &Clock::manual()) });
    let gate = Gate::closed();
    of_caller.block_on(async {
        let source = Source::default();
        let caller = source.clone();
        let (pages, held) = (pages(&cache), gate.clone());
        let caller = tokio::spawn(async move {
            let load = |at| async move {
                held.pass().await;
                caller.load(at).await
            };
            pages.get_or_load(&KEY, load).await
        });
        until("it waits", || cache.stats().flights == 1).await;
        of_cache.shutdown_background();
        let stopped = caller.await.expect("it is told");
        assert!(matches!(stopped, Err(LoadError::Panicked(_))), "{stopped:?}");
    });
}

#[tokio::test]
async fn p12_all_who_wait_for_a_load_that_fails_share_its_one_error() {
    let clock = Clock::manual();
    let errors_for = Duration::from_millis(500);
    let cache = alone(NamespaceConfig::new("pages").errors_for(errors_for), &clock);
    let fails = |pages: Namespace| async move {
        let load = |_| async {
            tokio::task::yield_now().await;
            Err::<Loaded, _>(std::io::Error::other("down"))
        };
        pages.get_or_load(&KEY, load).await
    };
    let callers = [(); 20].map(|()| tokio::spawn(fails(pages(&cache))));
    for caller in callers {
        let error = caller.await.expect("no panic").expect_err("the loader fails");
        assert!(error.loader::<std::io::Error>().is_some(), "{error}");
    }
    fails(pages(&cache)).await.expect_err("it is kept");
    assert_eq!(stats(&cache).loads, 1);
    clock.advance(errors_for);
    assert_eq!(text(&Source::default().get(&pages(&cache), &KEY).await), "0");
}

#[tokio::test]
async fn p13_a_loader_may_ask_for_a_thousand_other_keys() {
    let cache = build(builder());
    let inner = pages(&cache);
    let source = Source::default();
    let asked = source.clone();
    let load = |_| async move {
        for key in 2..1_002 {
            asked.get(&inner, &Key(1, key)).await;
        }
        Ok::<_, Infallible>(Loaded::from(Body::new("all")))
    };
    let all = pages(&cache).get_or_load(&KEY, load).await.expect("it does not fail");
    assert_eq!((text(&all).as_str(), source.loads()), ("all", 1_000));
}

/// The old value still lies in Redis when the next one is waited for.
#[tokio::test]
async fn who_waits_for_another_process_behind_an_invalidated_value_is_woken() {
    let prefix = prefix();
    // Longer than the test: only being woken ends the wait.
    let lease = redis(&redis_url(), &prefix).lease(Duration::from_secs(3_600));
    let [here, there] = [(); 2].map(|()| build(builder().redis(lease.clone())));
    connected(&here).await;
    connected(&there).await;
    let source = Source::default();
    source.get(&pages(&here), &KEY).await;
    source.change();
    pages(&here).invalidate(&KEY).await;
    until("the other process has heard", || there.stats().l2.unwrap().messages == 1).await;
    let gate = Gate::closed();
    let first = source.get_slowly(&pages(&here), KEY, &gate);
    gate.is_reached().await;
    let waiting = source.get_slowly(&pages(&there), KEY, &gate);
    let misses = stats(&there).l2_misses;
    until("it has asked Redis", || stats(&there).l2_misses > misses).await;
    gate.open();
    let (first, waiting) = (first.await.expect("no panic"), waiting.await.expect("no panic"));
    assert_eq!((text(&first).as_str(), first.level()), ("1", Level::Load));
    assert_eq!((text(&waiting).as_str(), waiting.level()), ("1", Level::L2));
    assert_eq!(source.loads(), 2);
}

#[tokio::test]
async fn many_callers_of_many_processes_load_a_cold_key_once() {
    let prefix = prefix();
    let nodes = [(); 4].map(|()| node(&prefix));
    for cache in &nodes {
        connected(cache).await;
    }
    let source = Source::default();
    for key in 0..25 {
        let callers = nodes.iter().flat_map(|cache| [(); 5].map(|()| pages(cache)));
        let callers = callers.map(|pages| {
            let source = source.clone();
            async move { text(&source.get(&pages, &Key(1, key)).await) }
        });
        let read = futures::future::join_all(callers).await;
        assert!(read.iter().all(|value| value == "0"));
        assert_eq!(source.loads(), key + 1);
    }
}

/// The process that holds the lease is gone; its end is that of its runtime.
#[test]
fn the_lease_of_a_process_that_died_ends() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (dying, living) = (runtime(), runtime());
    let prefix = prefix();
    let lease = redis(&redis_url(), &prefix).lease(Duration::from_millis(300));
    let source = Source::default();
    dying.block_on(async {
        let cache = build(builder().redis(lease.clone()));
        connected(&cache).await;
        let gate = Gate::closed();
        source.get_slowly(&pages(&cache), KEY, &gate);
        gate.is_reached().await;
    });
    drop(dying);
    living.block_on(async {
        let cache = build(builder().redis(lease));
        connected(&cache).await;
        assert_eq!(source.get(&pages(&cache), &KEY).await.level(), Level::Load);
    });
    assert_eq!(source.loads(), 2);
}
