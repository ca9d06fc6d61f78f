//! Large, many, long: everything has a limit, and nothing breaks at it.

use std::convert::Infallible;
use std::time::Duration;

use jebi_cache::{Body, Cache, Clock, L1, Level, Loaded, NamespaceConfig};

use crate::server::connect;
use crate::support::{
    Key, Source, build, builder, connected, keys_of, node, pages, prefix, redis, redis_url, stats,
    until_async,
};

const KEY: Key = Key(1, 1);

async fn load(cache: &Cache, key: &str, bytes: usize) -> Level {
    let body = move |_| async move {
        // Nothing that gets smaller.
        let noise = (0..bytes as u64).map(|n| (n.wrapping_mul(n) >> 7).to_le_bytes()[0]);
        Ok::<_, Infallible>(Loaded::from(Body::new(noise.collect::<Vec<u8>>())))
    };
    let hit = pages(cache).get_or_load(key, body).await.expect("it does not fail");
    assert_eq!(hit.body().expect("it is there").bytes.len(), bytes);
    hit.level()
}

#[tokio::test]
async fn keys_of_any_length_and_any_characters_are_keys() {
    let prefix = prefix();
    let (here, there) = (node(&prefix), node(&prefix));
    connected(&here).await;
    connected(&there).await;
    let long = "x".repeat(1 << 20);
    let keys = ["", ":", "*", "a:b", "a\nb", "\r\n$5\r\n", "{other}", "\0", "가격", long.as_str()];
    for (at, key) in keys.into_iter().enumerate() {
        assert_eq!(load(&here, key, at).await, Level::Load);
    }
    let mut redis = connect(&redis_url()).await;
    until_async("all are stored", async || {
        keys_of(&mut redis, &prefix, "v:").await.len() == keys.len()
    })
    .await;
    for (at, key) in keys.into_iter().enumerate() {
        assert_eq!(load(&here, key, at).await, Level::L1);
        assert_eq!(load(&there, key, at).await, Level::L2);
    }
    let longest = keys_of(&mut redis, &prefix, "").await.iter().map(Vec::len).max();
    assert!(longest.is_some_and(|longest| longest < 200), "{longest:?}");
}

#[tokio::test]
async fn a_value_over_the_maximum_is_answered_and_kept_nowhere() {
    let prefix = prefix();
    let most = 100_000;
    let small = || build(builder().max_value_bytes(most).redis(redis(&redis_url(), &prefix)));
    let (here, there) = (small(), small());
    connected(&here).await;
    connected(&there).await;
    for _ in 0..3 {
        assert_eq!(load(&here, "too much", most + 1).await, Level::Load);
    }
    let fits = most - 1_000;
    assert_eq!(load(&here, "just right", fits).await, Level::Load);
    assert_eq!(load(&here, "just right", fits).await, Level::L1);
    let mut redis = connect(&redis_url()).await;
    until_async("it is stored", async || keys_of(&mut redis, &prefix, "v:").await.len() == 1).await;
    assert_eq!(load(&there, "just right", fits).await, Level::L2);
    assert_eq!(stats(&here).entries, 1);
}

#[tokio::test]
async fn a_value_has_hundreds_of_tags_in_redis_and_thousands_in_the_process() {
    let prefix = prefix();
    let (here, there) = (node(&prefix), node(&prefix));
    connected(&here).await;
    connected(&there).await;
    let mut redis = connect(&redis_url()).await;
    let names: Vec<&'static str> = (0..9_000).map(|n| &*n.to_string().leak()).collect();
    for (many, level) in [(200, Level::L2), (900, Level::L2), (9_000, Level::Load)] {
        let source = Source::with_tags(&names[..many]);
        let key = Key(1, many as u64);
        source.get(&pages(&here), &key).await;
        assert_eq!(source.get(&pages(&here), &key).await.level(), Level::L1);
        until_async("it is settled", async || keys_of(&mut redis, &prefix, "l:").await.is_empty())
            .await;
        assert_eq!(source.get(&pages(&there), &key).await.level(), level, "{many}");
        source.change();
        let last = names[many - 1];
        pages(&here).invalidate_tag(jebi_cache::Scope::new(1), last).await;
        assert_eq!(source.get(&pages(&here), &key).await.level(), Level::Load, "{many}");
    }
    assert_eq!((stats(&here).l2_errors, stats(&there).l2_errors), (0, 0));
}

#[tokio::test]
async fn values_that_are_good_for_ever_are_stored() {
    let prefix = prefix();
    let pages_for_ever = NamespaceConfig::new("pages");
    let pages_for_ever = pages_for_ever.fresh_for(Duration::MAX).stale_for(Duration::MAX);
    let forever = || {
        let redis = redis(&redis_url(), &prefix).lease(Duration::MAX);
        let cache = Cache::builder().namespace(pages_for_ever.clone().errors_for(Duration::MAX));
        build(cache.max_staleness(Duration::MAX).redis(redis))
    };
    let (here, there) = (forever(), forever());
    connected(&here).await;
    connected(&there).await;
    let source = Source::default();
    source.get(&pages(&here), &KEY).await;
    let mut redis = connect(&redis_url()).await;
    until_async("it is stored", async || keys_of(&mut redis, &prefix, "v:").await.len() == 1).await;
    assert_eq!(source.get(&pages(&there), &KEY).await.level(), Level::L2);
    assert_eq!(source.get(&pages(&there), &KEY).await.level(), Level::L1);
}

#[tokio::test]
async fn failures_that_are_kept_are_not_kept_without_number() {
    let config = NamespaceConfig::new("pages").errors_for(Duration::from_secs(3_600));
    let cache = build(Cache::builder().namespace(config).clock(Clock::manual()));
    for key in 0..20_000 {
        let fails = |_| async { Err::<Loaded, _>(std::io::Error::other("down")) };
        pages(&cache).get_or_load(&Key(1, key), fails).await.expect_err("it fails");
    }
    assert!(cache.stats().flights <= 8_192, "{}", cache.stats().flights);
}

#[tokio::test]
async fn what_a_process_holds_is_bounded_by_entries_and_by_bytes() {
    let cache = |l1| build(Cache::builder().l1(l1).namespace(NamespaceConfig::new("pages")));
    let source = Source::default();
    let few = cache(L1 { max_bytes: 64 << 20, max_entries: 100 });
    for key in 0..10_000 {
        source.get(&pages(&few), &Key(u128::from(key), key)).await;
    }
    assert!(stats(&few).entries <= 100);
    // Cells of keys that are held nowhere any more go, too.
    assert!(few.stats().generations <= 16 * 512, "{}", few.stats().generations);
    let small = cache(L1 { max_bytes: 1 << 20, max_entries: 1_000_000 });
    for key in 0..300 {
        load(&small, &key.to_string(), 10_000).await;
    }
    assert!(stats(&small).bytes <= 1 << 20, "{}", stats(&small).bytes);
}
