//! A Redis that lost what it had acknowledged.

use std::time::Duration;

use jebi_cache::{Cache, Clock, Propagation};

use crate::proxy::Proxy;
use crate::server::Server;
use crate::support::{
    Key, Source, build, builder, connected, pages, prefix, queued, redis, text, until, until_async,
};

const KEY: Key = Key(1, 1);

/// Its clock stands still, so that it never stops trusting what it holds for the time that has passed.
async fn behind(proxy: &Proxy, prefix: &str) -> Cache {
    behind_at(proxy, prefix, &Clock::manual()).await
}

async fn behind_at(proxy: &Proxy, prefix: &str, clock: &Clock) -> Cache {
    let cache = build(builder().redis(redis(&proxy.url, prefix)).clock(clock.clone()));
    connected(&cache).await;
    cache
}

/// Two processes before a Redis, and its replica behind a wire that can be held.
struct Pair {
    master: Server,
    replica: Server,
    /// Between the two of them.
    wire: Proxy,
    /// Between the processes and whichever Redis is written to.
    here: Proxy,
    there: Proxy,
    prefix: String,
}

impl Pair {
    async fn start() -> Self {
        let (master, replica) = (Server::start(&[]).await, Server::start(&[]).await);
        let wire = Proxy::before(&master.url).await;
        replica.follow(&wire.url).await;
        let here = Proxy::before(&master.url).await;
        let there = Proxy::before(&master.url).await;
        Self { master, replica, wire, here, there, prefix: prefix() }
    }

    /// Waits until the replica has all.
    async fn is_in_step(&self) {
        let mut master = self.master.connect().await;
        until_async("the replica is in step", async || {
            let wait = redis::cmd("WAIT").arg(1).arg(10).to_owned();
            wait.query_async::<u64>(&mut master).await.unwrap() == 1
        })
        .await;
    }
}

#[tokio::test]
async fn p8_an_invalidation_that_died_with_its_master_brings_nothing_back() {
    let mut pair = Pair::start().await;
    let (here, there) =
        (behind(&pair.here, &pair.prefix).await, behind(&pair.there, &pair.prefix).await);
    let source = Source::default();
    source.get(&pages(&here), &KEY).await;
    source.get(&pages(&there), &KEY).await;
    pair.is_in_step().await;
    pair.wire.hold_answers();
    pair.there.hold_answers();
    pair.there.holds().await;
    source.change();
    assert_eq!(pages(&here).invalidate(&KEY).await.l2, Propagation::Now);
    pair.wire.cut();
    pair.master.kill();
    pair.replica.take_over().await;
    pair.here.lead_to(&pair.replica.url);
    pair.there.lead_to(&pair.replica.url);
    pair.there.heal();
    // The other process never heard of it. Its Redis is another one: that is enough.
    until("it is given up", || pages(&there).try_get(&KEY).is_none_or(|hit| text(&hit) == "1"))
        .await;
    connected(&there).await;
    assert_eq!(text(&source.get(&pages(&there), &KEY).await), "1");
    assert_eq!(text(&source.get(&pages(&here), &KEY).await), "1");
    let third = behind(&pair.here, &pair.prefix).await;
    assert_eq!(text(&source.get(&pages(&third), &KEY).await), "1");
}

/// The same process of Redis is master, replica, and master again: its run is one that everybody knows.
#[tokio::test]
async fn p8_a_master_that_comes_back_after_it_was_a_replica_is_another_one() {
    let mut pair = Pair::start().await;
    let clock = Clock::manual();
    let here = behind_at(&pair.here, &pair.prefix, &clock).await;
    let source = Source::default();
    source.get(&pages(&here), &KEY).await;
    pair.is_in_step().await;
    pair.replica.take_over().await;
    pair.wire = Proxy::before(&pair.replica.url).await;
    pair.master.follow(&pair.wire.url).await;
    std::mem::swap(&mut pair.master, &mut pair.replica);
    pair.here.lead_to(&pair.master.url);
    until_async("it leads", async || {
        clock.advance(Duration::from_millis(10));
        source.get(&pages(&here), &KEY).await;
        pages(&here).try_get(&KEY).is_some() && here.stats().l2.unwrap().is_trusted
    })
    .await;
    until_async("its value is stored", async || {
        let fresh = behind(&pair.here, &pair.prefix).await;
        source.get(&pages(&fresh), &KEY).await.level() == jebi_cache::Level::L2
    })
    .await;
    pair.is_in_step().await;
    pair.wire.hold_answers();
    source.change();
    // A connection that broke with the first master may have to be replaced before.
    until_async("it is acknowledged", async || {
        clock.advance(Duration::from_millis(10));
        // And none that waits would be reported to the next one.
        pages(&here).invalidate(&KEY).await.l2 == Propagation::Now && queued(&here) == 0
    })
    .await;
    pair.wire.cut();
    pair.master.kill();
    pair.replica.take_over().await;
    pair.here.lead_to(&pair.replica.url);
    let fresh = behind(&pair.here, &pair.prefix).await;
    assert_eq!(text(&source.get(&pages(&fresh), &KEY).await), "1");
    assert_eq!(text(&source.get(&pages(&here), &KEY).await), "1");
}

#[tokio::test]
async fn p8_a_replica_is_not_read_from() {
    let pair = Pair::start().await;
    let here = build(builder().redis(redis(&pair.replica.url, &pair.prefix)));
    let source = Source::default();
    let mut replica = pair.replica.connect().await;
    until_async("it was tried", async || {
        let info: String = redis::cmd("INFO").arg("stats").query_async(&mut replica).await.unwrap();
        let received =
            info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        received.unwrap().parse::<u64>().unwrap() >= 5
    })
    .await;
    assert!(!here.stats().l2.unwrap().is_trusted);
    assert_eq!(text(&source.get(&pages(&here), &KEY).await), "0");
    pair.replica.take_over().await;
    connected(&here).await;
}

#[tokio::test]
async fn p8_after_flushall_nothing_is_stale_and_each_key_is_loaded_once() {
    let server = Server::start(&[]).await;
    let prefix = prefix();
    let caches = [(); 2].map(|()| build(builder().redis(redis(&server.url, &prefix))));
    let source = Source::default();
    let mut redis = server.connect().await;
    for cache in &caches {
        connected(cache).await;
    }
    pages(&caches[0]).invalidate(&Key(9, 9)).await;
    for key in 0..50 {
        source.get(&pages(&caches[0]), &Key(1, key)).await;
    }
    source.change();
    redis::cmd("FLUSHALL").query_async::<()>(&mut redis).await.unwrap();
    for cache in &caches {
        until("the loss is noticed", || cache.stats().l2.unwrap().gaps == 1).await;
    }
    let before = source.loads();
    let reads = (0..50).flat_map(|key| caches.iter().map(move |cache| (cache, key)));
    let reads =
        reads.map(async |(cache, key)| text(&source.get(&pages(cache), &Key(1, key)).await));
    let read = futures::future::join_all(reads).await;
    assert!(read.iter().all(|value| value == "1"));
    assert_eq!(source.loads() - before, 50, "across both processes");
}
