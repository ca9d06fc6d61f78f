//! A Redis that fails makes answers slower, never wrong, and is left alone until it recovers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use jebi_cache::{Breaker, Cache, Clock, L1, Level, Propagation};

use crate::proxy::Proxy;
use crate::server::Server;
use crate::support::{
    Gate, Key, Source, build, builder, connected, node, node_at, pages, prefix, queued, redis,
    redis_url, stats, text, until, until_async,
};

const KEY: Key = Key(1, 1);
const NOTHING: L1 = L1 { max_bytes: 1, max_entries: 1 };
/// What a read of a value begins with.
const READ: &[u8] = b"GETRANGE";

/// A process that keeps nothing, behind a proxy, whose calls wait a moment and no longer.
async fn impatient(proxy: &Proxy, prefix: &str, clock: &Clock) -> Cache {
    let redis = redis(&proxy.url, prefix).deadline(Duration::from_millis(200));
    // A lease of which the answer was lost ends by itself.
    let redis = redis.lease(Duration::from_millis(500));
    let cache = build(builder().redis(redis).l1(NOTHING).clock(clock.clone()));
    connected(&cache).await;
    cache
}

#[tokio::test]
async fn p17_a_redis_that_does_not_answer_is_asked_a_few_times_and_then_left_alone() {
    let prefix = prefix();
    let (proxy, clock) = (Proxy::before(&redis_url()).await, Clock::manual());
    let cache = impatient(&proxy, &prefix, &clock).await;
    let source = Source::default();
    proxy.hold_requests(READ);
    proxy.count(READ);
    for key in 0..500 {
        assert_eq!(text(&source.get(&pages(&cache), &Key(1, key)).await), "0");
    }
    assert_eq!(proxy.counted(), Breaker::default().failures);
    let l2 = cache.stats().l2.unwrap();
    assert_eq!((l2.is_called, l2.breaker_openings), (false, 1));
    assert_eq!((source.loads(), stats(&cache).l2_errors), (500, 500));
}

#[tokio::test]
async fn p17_what_is_held_is_answered_without_redis() {
    let prefix = prefix();
    let (proxy, clock) = (Proxy::before(&redis_url()).await, Clock::manual());
    let cache = build(builder().redis(redis(&proxy.url, &prefix)).clock(clock));
    connected(&cache).await;
    let source = Source::default();
    source.get(&pages(&cache), &KEY).await;
    proxy.cut();
    for _ in 0..1_000 {
        assert_eq!(source.get(&pages(&cache), &KEY).await.level(), Level::L1);
    }
}

#[tokio::test]
async fn p18_a_redis_that_recovers_is_tried_by_one_call_and_then_by_more_and_more() {
    let prefix = prefix();
    let (proxy, clock) = (Proxy::before(&redis_url()).await, Clock::manual());
    let cache = impatient(&proxy, &prefix, &clock).await;
    let source = Source::default();
    proxy.hold_requests(READ);
    until_async("calls have stopped", async || {
        source.get(&pages(&cache), &KEY).await;
        !cache.stats().l2.unwrap().is_called
    })
    .await;
    let config = Breaker::default();
    clock.advance(Duration::from_millis(config.pause_ms));
    connected(&cache).await;
    proxy.count(READ);
    let many = |from: u64| {
        let (source, pages) = (source.clone(), pages(&cache));
        let asks = (from..from + 160).map(move |key| {
            let (source, pages) = (source.clone(), pages.clone());
            async move { text(&source.get(&pages, &Key(1, key)).await) }
        });
        futures::future::join_all(asks)
    };
    many(0).await;
    assert_eq!(proxy.counted(), 1, "one tries");
    proxy.heal();
    clock.advance(Duration::from_millis(config.pause_ms * 2));
    connected(&cache).await;
    until_async("a try succeeds", async || {
        source.get(&pages(&cache), &KEY).await;
        clock.advance(Duration::from_millis(config.pause_ms));
        cache.stats().l2.unwrap().is_called
    })
    .await;
    clock.advance(Duration::from_millis(config.ramp_ms));
    connected(&cache).await;
    proxy.count(READ);
    many(1_000).await;
    assert_eq!(proxy.counted(), 160, "all are made again");
}

#[tokio::test]
async fn p18_a_key_has_one_load_at_a_time_while_redis_is_away() {
    let prefix = prefix();
    let proxy = Proxy::before(&redis_url()).await;
    let cache = impatient(&proxy, &prefix, &Clock::manual()).await;
    proxy.cut();
    let (source, gate) = (Source::default(), Gate::closed());
    let callers = [(); 100].map(|()| source.get_slowly(&pages(&cache), KEY, &gate));
    until("all wait", || stats(&cache).joined == 99).await;
    gate.is_reached().await;
    gate.open();
    for caller in callers {
        assert_eq!(text(&caller.await.expect("no panic")), "0");
    }
    assert_eq!(source.loads(), 1);
}

#[tokio::test]
async fn p18_what_was_invalidated_during_an_outage_is_reported_before_redis_is_read_again() {
    for many in [1, 10, 6_000] {
        let prefix = prefix();
        let (proxy, clock) = (Proxy::before(&redis_url()).await, Clock::manual());
        let here = impatient(&proxy, &prefix, &clock).await;
        let there = node(&prefix);
        connected(&there).await;
        let source = Source::default();
        source.get(&pages(&here), &KEY).await;
        until_async("it is stored", async || {
            clock.advance(Duration::from_millis(10));
            connected(&here).await;
            source.get(&pages(&here), &KEY).await.level() == Level::L2
        })
        .await;
        source.get(&pages(&there), &KEY).await;
        proxy.cut();
        source.change();
        assert_eq!(pages(&here).invalidate(&KEY).await.l2, Propagation::Queued);
        for key in 1..many {
            assert_eq!(pages(&here).invalidate(&Key(2, key)).await.l2, Propagation::Queued);
        }
        assert!((1..=4_097).contains(&queued(&here)), "{}", queued(&here));
        proxy.heal();
        until_async("it is reported", async || {
            assert_eq!(text(&source.get(&pages(&here), &KEY).await), "1");
            clock.advance(Duration::from_millis(10));
            queued(&here) == 0
        })
        .await;
        until("the other process has heard", || {
            pages(&there).try_get(&KEY).is_none_or(|hit| text(&hit) == "1")
        })
        .await;
        assert_eq!(text(&source.get(&pages(&there), &KEY).await), "1");
        assert_eq!(text(&source.get(&pages(&here), &KEY).await), "1");
    }
}

/// A firewall that forgets connections tells nobody.
#[tokio::test]
async fn connections_of_which_nothing_comes_any_more_are_replaced() {
    let prefix = prefix();
    let (proxy, clock) = (Proxy::before(&redis_url()).await, Clock::manual());
    let cache = impatient(&proxy, &prefix, &clock).await;
    let source = Source::default();
    until_async("it is used", async || source.get(&pages(&cache), &KEY).await.level() == Level::L2)
        .await;
    proxy.lose_connections();
    until_async("it is used again", async || {
        clock.advance(Duration::from_secs(1));
        connected(&cache).await;
        source.get(&pages(&cache), &KEY).await.level() == Level::L2
    })
    .await;
}

#[tokio::test]
async fn answers_that_make_no_sense_are_misses() {
    let lies: [&[u8]; 6] = [
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"-READONLY You can't write against a read only replica.\r\n",
        b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        b"$10737418240\r\nx",
        b"*2147483647\r\n",
        b"\xff\xfe\0garbage\r\n",
    ];
    for lie in lies {
        let prefix = prefix();
        let (proxy, clock) = (Proxy::before(&redis_url()).await, Clock::manual());
        let cache = impatient(&proxy, &prefix, &clock).await;
        let source = Source::default();
        source.get(&pages(&cache), &KEY).await;
        proxy.lie(lie);
        let (before, memory) = (stats(&cache).l2_errors, resident_kb());
        for round in 1..20 {
            source.change();
            pages(&cache).invalidate(&KEY).await;
            assert_eq!(text(&source.get(&pages(&cache), &KEY).await), round.to_string());
            clock.advance(Duration::from_millis(300));
        }
        assert!(stats(&cache).l2_errors > before);
        assert!(resident_kb() < memory + 200_000, "{} kB from {memory}", resident_kb());
        proxy.heal();
        recovers(&cache, &source, &clock).await;
    }
}

#[tokio::test]
async fn half_an_answer_is_a_miss() {
    let prefix = prefix();
    let (proxy, clock) = (Proxy::before(&redis_url()).await, Clock::manual());
    let cache = impatient(&proxy, &prefix, &clock).await;
    let source = Source::default();
    proxy.halve_answers();
    for key in 0..50 {
        assert_eq!(text(&source.get(&pages(&cache), &Key(1, key)).await), "0");
        clock.advance(Duration::from_millis(100));
    }
    proxy.heal();
    recovers(&cache, &source, &clock).await;
}

/// Waits until a value comes from Redis again.
async fn recovers(cache: &Cache, source: &Source, clock: &Clock) {
    until_async("it works again", async || {
        // No further than it has heard, or it would never be trusted at the moment it is asked.
        if cache.stats().is_l1_trusted {
            clock.advance(Duration::from_millis(1));
        }
        let hit = source.get(&pages(cache), &KEY).await;
        assert_eq!(text(&hit), source.value().to_string());
        hit.level() == Level::L2
    })
    .await;
}

/// Memory of this process.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn a_redis_without_room_a_replica_and_a_lost_script_are_misses() {
    let server = Server::start(&["--maxmemory-policy", "noeviction"]).await;
    let other = Server::start(&[]).await;
    let mut asks = server.connect().await;
    let prefix = prefix();
    let clock = Clock::manual();
    let redis = redis(&server.url, &prefix).deadline(Duration::from_millis(200));
    let cache = build(builder().l1(NOTHING).redis(redis).clock(clock.clone()));
    connected(&cache).await;
    let source = Source::default();
    source.get(&pages(&cache), &KEY).await;

    redis::cmd("SCRIPT").arg("FLUSH").query_async::<()>(&mut asks).await.unwrap();
    source.change();
    assert_eq!(pages(&cache).invalidate(&KEY).await.l2, Propagation::Now);
    recovers(&cache, &source, &clock).await;
    assert_eq!(stats(&cache).l2_errors, 0, "a lost script is handed over again");

    let limit = async |asks: &mut redis::aio::MultiplexedConnection, bytes: u64| {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("maxmemory").arg(bytes).query_async::<()>(asks).await.unwrap();
    };
    limit(&mut asks, 1).await;
    for _ in 0..20 {
        source.change();
        pages(&cache).invalidate(&KEY).await;
        let hit = source.get(&pages(&cache), &KEY).await;
        assert_eq!((text(&hit), hit.level()), (source.value().to_string(), Level::Load));
    }
    limit(&mut asks, 0).await;
    recovers(&cache, &source, &clock).await;

    server.follow(&other.url).await;
    for _ in 0..20 {
        source.change();
        pages(&cache).invalidate(&KEY).await;
        let hit = source.get(&pages(&cache), &KEY).await;
        assert_eq!(text(&hit), source.value().to_string());
    }
    server.take_over().await;
    recovers(&cache, &source, &clock).await;
    assert!(stats(&cache).l2_errors > 0);
}

/// Tasks of two processes that read and write until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    reads: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

const KEYS: u64 = 20;

impl Load {
    /// Writers change the source and invalidate; then they never read anything older in their own process.
    fn start(nodes: &[Cache], source: &Source, is_written: bool) -> Self {
        let (stop, reads) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let tasks = nodes.iter().flat_map(|cache| (0..8).map(move |task| (cache.clone(), task)));
        let tasks = tasks.map(|(cache, task)| {
            let (stop, reads, source) = (Arc::clone(&stop), Arc::clone(&reads), source.clone());
            tokio::spawn(async move {
                let mut turn: u64 = task;
                while !stop.load(SeqCst) {
                    turn += 1;
                    let key = Key(1, turn % KEYS);
                    let mut least = 0;
                    if is_written && turn.is_multiple_of(16) {
                        source.change();
                        least = source.value();
                        pages(&cache).invalidate(&key).await;
                    }
                    let hit = source.get(&pages(&cache), &key).await;
                    let read: u64 = text(&hit).parse().expect("a number");
                    assert!(read >= least, "{read} after {least}");
                    reads.fetch_add(1, SeqCst);
                    tokio::task::yield_now().await;
                }
            })
        });
        let tasks = tasks.collect();
        Self { stop, reads, tasks }
    }

    /// Waits for so many more reads.
    async fn goes_on(&self, reads: u64) {
        let until_then = self.reads.load(SeqCst) + reads;
        until("it goes on", || self.reads.load(SeqCst) >= until_then).await;
    }

    async fn end(self) {
        self.stop.store(true, SeqCst);
        for task in self.tasks {
            task.await.expect("no answer was wrong");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushall_sigstop_and_kill_under_load_make_no_answer_wrong() {
    let mut server = Server::start(&[]).await;
    let prefix = prefix();
    let nodes = [(); 2].map(|()| {
        let quick = Breaker { failures: 5, pause_ms: 20, ramp_ms: 50 };
        let redis = redis(&server.url, &prefix).deadline(Duration::from_millis(200));
        build(builder().redis(redis.breaker(quick)))
    });
    for cache in &nodes {
        connected(cache).await;
    }
    let source = Source::default();
    let load = Load::start(&nodes, &source, true);
    for _ in 0..3 {
        load.goes_on(2_000).await;
        let mut redis = server.connect().await;
        redis::cmd("FLUSHALL").query_async::<()>(&mut redis).await.unwrap();
        load.goes_on(2_000).await;
        server.stop();
        load.goes_on(500).await;
        server.go_on();
        load.goes_on(2_000).await;
        server.restart().await;
        load.goes_on(500).await;
        for cache in &nodes {
            until("it is used again", || {
                cache.stats().l2.is_some_and(|l2| l2.is_trusted && l2.is_called)
            })
            .await;
        }
    }
    load.end().await;
    // Nobody writes any more: both come to the same, the last.
    for cache in &nodes {
        until("nothing waits", || queued(cache) == 0).await;
        for key in 0..KEYS {
            pages(cache).invalidate(&Key(1, key)).await;
            let hit = source.get(&pages(cache), &Key(1, key)).await;
            assert_eq!(text(&hit), source.value().to_string());
        }
        assert_eq!(stats(cache).load_errors, 0);
    }
}

/// The bound: after a Redis was emptied, each process loads each key at most twice, once for what it asked
/// before it noticed, once for what it held.
#[tokio::test]
async fn after_a_redis_was_emptied_the_loads_are_bounded_by_keys_and_processes() {
    let mut server = Server::start(&[]).await;
    let prefix = prefix();
    let nodes = [(); 2].map(|()| node_at(&server.url, &prefix));
    for cache in &nodes {
        connected(cache).await;
    }
    pages(&nodes[0]).invalidate(&Key(9, 9)).await;
    let source = Source::default();
    let load = Load::start(&nodes, &source, false);
    load.goes_on(1_000).await;
    let bound = KEYS * 2 * 2;
    for round in 0..3 {
        let before = source.loads();
        let mut redis = server.connect().await;
        redis::cmd("FLUSHALL").query_async::<()>(&mut redis).await.unwrap();
        load.goes_on(10_000).await;
        let loads = source.loads() - before;
        assert!(loads <= bound, "{loads} loads in round {round}");
        pages(&nodes[0]).invalidate(&Key(9, 9)).await;
    }
    load.end().await;
    server.kill();
}

/// Whoever vouches from outside vouches also when Redis is away: what is held stays good.
#[tokio::test]
async fn what_is_vouched_for_is_answered_through_an_outage_without_a_load() {
    let mut server = Server::start(&[]).await;
    let prefix = prefix();
    let clock = Clock::manual();
    let cache = builder().redis(redis(&server.url, &prefix).deadline(Duration::from_millis(300)));
    let cache = build(cache.clock(clock.clone()).vouched_from_outside());
    let source = Source::default();
    until_async("a vouch has come to Redis", async || {
        let moment = cache.moment().await;
        cache.vouch_for_all(moment).await;
        clock.advance(Duration::from_millis(1));
        cache.stats().l2.unwrap().is_trusted
    })
    .await;
    for key in 0..KEYS {
        source.get(&pages(&cache), &Key(1, key)).await;
    }
    server.kill();
    for second in 0..60 {
        clock.advance(Duration::from_secs(1));
        let moment = cache.moment().await;
        cache.vouch_for_this_process(moment);
        for key in 0..KEYS {
            let hit = source.get(&pages(&cache), &Key(1, key)).await;
            assert_eq!(hit.level(), Level::L1, "second {second}");
        }
    }
    assert_eq!(source.loads(), KEYS);
    // And without a vouch each read asks the source: that is what the bound means.
    clock.advance(Duration::from_secs(2));
    for key in 0..KEYS {
        assert_eq!(source.get(&pages(&cache), &Key(1, key)).await.level(), Level::Load);
    }
    assert_eq!(source.loads(), KEYS * 2);
}
