//! Whatever lies in Redis is a value that this cache put there, or a miss.

use std::time::Duration;

use jebi_cache::{Cache, L1, Level, NamespaceConfig, Scope};
use redis::aio::MultiplexedConnection;

use crate::proxy::Proxy;
use crate::server::connect;
use crate::support::{
    Key, Source, build, builder, connected, keys_of, pages, prefix, redis, redis_url, stats, text,
    until, until_async,
};

const KEY: Key = Key(1, 1);
const SELLER: Scope = Scope::new(1);

/// A process that keeps nothing itself, so that every question goes to Redis.
async fn forgetful(prefix: &str, secret: &str) -> Cache {
    let nothing = L1 { max_bytes: 1, max_entries: 1 };
    // Who has to wait for a lease that somebody broke does not wait long.
    let redis = redis(&redis_url(), prefix).lease(Duration::from_millis(20));
    let cache = build(builder().l1(nothing).secret(secret).redis(redis));
    connected(&cache).await;
    cache
}

/// The one value there is, once it is stored.
async fn value_of(redis: &mut MultiplexedConnection, prefix: &str) -> (Vec<u8>, Vec<u8>) {
    until_async("it is stored", async || {
        keys_of(redis, prefix, "l:").await.is_empty()
            && keys_of(redis, prefix, "v:").await.len() == 1
    })
    .await;
    let key = keys_of(redis, prefix, "v:").await.remove(0);
    let value = redis::cmd("GET").arg(&key).query_async(redis).await.expect("it is there");
    (key, value)
}

async fn set(redis: &mut MultiplexedConnection, key: &[u8], value: &[u8]) {
    redis::cmd("SET").arg(key).arg(value).query_async::<()>(redis).await.expect("it sets");
}

/// A small generator of numbers that look random, the same in each run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        let len = self.next() % most;
        (0..len).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

#[tokio::test]
async fn p14_anything_written_over_our_keys_is_a_miss_and_at_most_one_load() {
    let prefix = prefix();
    let cache = forgetful(&prefix, "secret").await;
    let source = Source::with_tags(&["late"]);
    let mut redis = connect(&redis_url()).await;
    let mut noise = Noise(14);
    for round in 0..150 {
        source.get(&pages(&cache), &KEY).await;
        for key in keys_of(&mut redis, &prefix, "").await {
            let mut write = redis::cmd("DEL");
            write.arg(&key).query_async::<()>(&mut redis).await.expect("it deletes");
            let bytes = noise.bytes(400);
            let write = match noise.next() % 8 {
                0 => redis::cmd("RPUSH").arg(&key).arg(&bytes).to_owned(),
                1 => redis::cmd("HSET").arg(&key).arg(&bytes).arg(1).to_owned(),
                2 => redis::cmd("SADD").arg(&key).arg(&bytes).to_owned(),
                3 => redis::cmd("XADD").arg(&key).arg("*").arg(&bytes).arg(1).to_owned(),
                _ => redis::cmd("SET").arg(&key).arg(&bytes).to_owned(),
            };
            write.query_async::<()>(&mut redis).await.expect("it writes");
        }
        let before = source.loads();
        source.change();
        pages(&cache).invalidate(&KEY).await;
        let hit = source.get(&pages(&cache), &KEY).await;
        assert_eq!(text(&hit), source.value().to_string(), "round {round}");
        assert!(source.loads() - before <= 1, "round {round}");
    }
    // And after all that it works as before.
    connected(&cache).await;
    until("what waits is reported", || cache.stats().l2.unwrap().queued_invalidations == 0).await;
    until_async("Redis is used again", async || {
        source.get(&pages(&cache), &KEY).await.level() == Level::L2
    })
    .await;
}

#[tokio::test]
async fn p14_bytes_that_are_no_envelope_are_counted_and_written_over() {
    let prefix = prefix();
    let cache = forgetful(&prefix, "secret").await;
    let source = Source::default();
    source.get(&pages(&cache), &KEY).await;
    let mut redis = connect(&redis_url()).await;
    let mut noise = Noise(1);
    for round in 1..=50 {
        let (key, value) = value_of(&mut redis, &prefix).await;
        let broken = match round % 3 {
            0 => value[..value.len() / 2].to_vec(),
            1 => noise.bytes(300),
            _ => [&value[..], &noise.bytes(50), b"x"].concat(),
        };
        set(&mut redis, &key, &broken).await;
        assert_eq!(source.get(&pages(&cache), &KEY).await.level(), Level::Load, "round {round}");
        assert_eq!(source.loads(), round + 1);
    }
    value_of(&mut redis, &prefix).await;
    assert_eq!(source.get(&pages(&cache), &KEY).await.level(), Level::L2);
    assert!(stats(&cache).l2_rejected >= 49);
}

#[tokio::test]
async fn p14_no_more_of_a_value_is_fetched_than_a_value_can_have() {
    let prefix = prefix();
    let proxy = Proxy::before(&redis_url()).await;
    let cache = builder().max_value_bytes(100_000).redis(redis(&proxy.url, &prefix));
    let cache = build(cache.l1(L1 { max_bytes: 1, max_entries: 1 }));
    connected(&cache).await;
    let source = Source::default();
    source.get(&pages(&cache), &KEY).await;
    let mut redis = connect(&redis_url()).await;
    let (key, _) = value_of(&mut redis, &prefix).await;
    set(&mut redis, &key, &vec![b'x'; 64 << 20]).await;
    let before = proxy.answered();
    assert_eq!(source.get(&pages(&cache), &KEY).await.level(), Level::Load);
    let fetched = proxy.answered() - before;
    assert!(fetched < 100_000 + (64 << 10) + 20_000, "{fetched} bytes");
}

/// While a new release is rolled out the two shapes of a value live beside each other.
#[tokio::test]
async fn p15_two_releases_share_a_redis_and_do_not_see_each_others_values() {
    let prefix = prefix();
    let release = |shape: &str| {
        let namespace = NamespaceConfig::new("pages").shape(shape);
        let cache = Cache::builder().secret("secret").namespace(namespace);
        build(cache.redis(redis(&redis_url(), &prefix)).l1(L1 { max_bytes: 1, max_entries: 1 }))
    };
    let (old, new) = (release("{a}"), release("{a, b}"));
    connected(&old).await;
    connected(&new).await;
    let sources = [Source::default(), Source::default()];
    let mut redis = connect(&redis_url()).await;
    for round in 1..=20 {
        for (cache, source) in [&old, &new].into_iter().zip(&sources) {
            assert_eq!(source.get(&pages(cache), &KEY).await.level(), Level::Load);
            until_async("it is stored", async || {
                keys_of(&mut redis, &prefix, "l:").await.is_empty()
            })
            .await;
        }
        for _ in 0..3 {
            for (cache, source) in [&old, &new].into_iter().zip(&sources) {
                assert_eq!(source.get(&pages(cache), &KEY).await.level(), Level::L2);
                assert_eq!(source.loads(), round);
            }
        }
        // An invalidation reaches both.
        pages(&old).invalidate(&KEY).await;
    }
    for cache in [&old, &new] {
        assert_eq!((stats(cache).l2_rejected, stats(cache).l2_errors), (0, 0));
    }
}

#[tokio::test]
async fn p16_a_changed_bit_or_a_value_copied_to_another_key_is_a_miss() {
    let prefix = prefix();
    let cache = forgetful(&prefix, "secret").await;
    let source = Source::default();
    source.get(&pages(&cache), &KEY).await;
    let mut redis = connect(&redis_url()).await;
    let (key, value) = value_of(&mut redis, &prefix).await;
    for bit in 0..value.len() * 8 {
        let mut changed = value.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        set(&mut redis, &key, &changed).await;
        let before = stats(&cache).l2_rejected;
        assert_eq!(source.get(&pages(&cache), &KEY).await.level(), Level::Load, "bit {bit}");
        assert!(stats(&cache).l2_rejected > before, "bit {bit}");
        until_async("the load is settled", async || {
            keys_of(&mut redis, &prefix, "l:").await.is_empty()
        })
        .await;
    }
    let (_, value) = value_of(&mut redis, &prefix).await;
    // Another seller's key, which hangs on the same namespace.
    source.get(&pages(&cache), &Key(2, 1)).await;
    until_async("both are stored", async || keys_of(&mut redis, &prefix, "v:").await.len() == 2)
        .await;
    for other in keys_of(&mut redis, &prefix, "v:").await.into_iter().filter(|other| *other != key)
    {
        set(&mut redis, &other, &value).await;
    }
    let before = stats(&cache).l2_rejected;
    assert_eq!(source.get(&pages(&cache), &Key(2, 1)).await.level(), Level::Load);
    assert!(stats(&cache).l2_rejected > before);
    // Whoever has another secret has other keys, too.
    let stranger = forgetful(&prefix, "another secret").await;
    assert_eq!(source.get(&pages(&stranger), &KEY).await.level(), Level::Load);
    pages(&stranger).invalidate_scope(SELLER).await;
    assert_eq!(source.get(&pages(&cache), &KEY).await.level(), Level::L2);
}
