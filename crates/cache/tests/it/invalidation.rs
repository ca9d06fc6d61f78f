//! What was invalidated is not answered again, whatever is on its way to Redis at that moment.

use std::time::Duration;

use jebi_cache::{Clock, Event, L1, Level, NamespaceConfig, Propagation, Scope};

use crate::proxy::Proxy;
use crate::server::{Server, connect};
use crate::support::{
    Gate, Key, Source, build, builder, connected, gaps, keys_of, node, node_at, pages, prefix,
    queued, redis, redis_url, text, until, until_async,
};

const KEY: Key = Key(1, 1);
const SELLER: Scope = Scope::new(1);

#[tokio::test]
async fn p1b_a_load_from_before_an_invalidation_elsewhere_is_stored_for_nobody() {
    let prefix = prefix();
    let (here, there, third) = (node(&prefix), node(&prefix), node(&prefix));
    for cache in [&here, &there, &third] {
        connected(cache).await;
    }
    let (source, gate) = (Source::default(), Gate::closed());
    let slow = source.get_slowly(&pages(&here), KEY, &gate);
    gate.is_reached().await;
    source.change();
    assert_eq!(pages(&there).invalidate(&KEY).await.l2, Propagation::Now);
    let after = source.get(&pages(&there), &KEY).await;
    assert_eq!((after.level(), text(&after).as_str()), (Level::Load, "1"), "it waits for nobody");
    gate.open();
    assert_eq!(text(&slow.await.expect("no panic")), "0", "it came before the invalidation");
    let third = source.get(&pages(&third), &KEY).await;
    assert_eq!((third.level(), text(&third).as_str()), (Level::L2, "1"));
}

#[tokio::test]
async fn p1b_a_value_that_reaches_redis_after_an_invalidation_is_not_stored() {
    let prefix = prefix();
    let proxy = Proxy::before(&redis_url()).await;
    let (here, there, third) = (node_at(&proxy.url, &prefix), node(&prefix), node(&prefix));
    for cache in [&here, &there, &third] {
        connected(cache).await;
    }
    let source = Source::default();
    // The envelope of a value begins like this: what stores one waits at the proxy.
    proxy.hold_requests(b"JBC\x01");
    assert_eq!(text(&source.get(&pages(&here), &KEY).await), "0");
    proxy.holds().await;
    source.change();
    pages(&there).invalidate(&KEY).await;
    assert_eq!(text(&source.get(&pages(&there), &KEY).await), "1");
    proxy.heal();
    // The lease is given back when the old value has come to Redis.
    let mut redis = connect(&redis_url()).await;
    until_async("the late value has come", async || {
        keys_of(&mut redis, &prefix, "l:").await.is_empty()
    })
    .await;
    let third = source.get(&pages(&third), &KEY).await;
    assert_eq!((third.level(), text(&third).as_str()), (Level::L2, "1"));
}

/// Tags that only the loader knows have no generation in Redis when its lease is given.
#[tokio::test]
async fn p1b_a_tag_that_was_invalidated_before_the_loader_named_it_voids_the_value() {
    for evicted in ["nothing", "t:", "g:"] {
        let prefix = prefix();
        let (here, there, third) = (node(&prefix), node(&prefix), node(&prefix));
        for cache in [&here, &there, &third] {
            connected(cache).await;
        }
        let (source, gate) = (Source::with_tags(&["late"]), Gate::closed());
        let slow = source.get_slowly(&pages(&here), KEY, &gate);
        gate.is_reached().await;
        source.change();
        pages(&there).invalidate_tag(SELLER, "late").await;
        let mut redis = connect(&redis_url()).await;
        for key in keys_of(&mut redis, &prefix, evicted).await {
            redis::cmd("DEL").arg(key).query_async::<()>(&mut redis).await.expect("it deletes");
        }
        gate.open();
        slow.await.expect("no panic");
        until_async("the load is settled", async || {
            keys_of(&mut redis, &prefix, "l:").await.is_empty()
        })
        .await;
        let third = source.get(&pages(&third), &KEY).await;
        assert_eq!(text(&third), "1", "{evicted} was evicted");
    }
}

#[tokio::test]
async fn a_value_with_tags_that_its_loader_named_is_shared_until_one_is_invalidated() {
    let prefix = prefix();
    let (here, there) = (node(&prefix), node(&prefix));
    connected(&here).await;
    connected(&there).await;
    let source = Source::with_tags(&["one", "other"]);
    let mut redis = connect(&redis_url()).await;
    for round in 0..3 {
        assert_eq!(source.get(&pages(&here), &KEY).await.level(), Level::Load, "round {round}");
        until_async("it is stored", async || keys_of(&mut redis, &prefix, "l:").await.is_empty())
            .await;
        assert_eq!(source.get(&pages(&there), &KEY).await.level(), Level::L2, "round {round}");
        pages(&here).invalidate_tag(SELLER, "other").await;
        until("the other process has heard", || pages(&there).try_get(&KEY).is_none()).await;
    }
}

/// Between the invalidation here and its arrival in Redis the old value can be read there once more.
#[tokio::test]
async fn p3_an_old_value_that_is_read_while_an_invalidation_is_on_its_way_is_not_kept() {
    let prefix = prefix();
    let proxy = Proxy::before(&redis_url()).await;
    let redis = redis(&proxy.url, &prefix).connections(4).deadline(Duration::from_secs(60));
    let here = build(builder().redis(redis).clock(Clock::manual()));
    connected(&here).await;
    let source = Source::default();
    source.get(&pages(&here), &KEY).await;
    source.change();
    // The report names the stream of messages.
    proxy.hold_requests(b":messages");
    let invalidation = tokio::spawn({
        let pages = pages(&here);
        async move { pages.invalidate(&KEY).await }
    });
    until("it is invalid here", || pages(&here).try_get(&KEY).is_none()).await;
    proxy.holds().await;
    let mut meanwhile = source.get(&pages(&here), &KEY).await;
    // Whoever asks before the other call returns may still have it.
    assert_eq!((meanwhile.level(), text(&meanwhile).as_str()), (Level::L2, "0"));
    proxy.heal();
    assert_eq!(invalidation.await.expect("no panic").l2, Propagation::Now);
    meanwhile = source.get(&pages(&here), &KEY).await;
    assert_eq!(text(&meanwhile), "1");
}

#[tokio::test]
async fn an_invalidation_whose_caller_goes_away_is_made_all_the_same() {
    let prefix = prefix();
    let proxy = Proxy::before(&redis_url()).await;
    let (here, there) = (node_at(&proxy.url, &prefix), node(&prefix));
    connected(&here).await;
    connected(&there).await;
    let source = Source::default();
    source.get(&pages(&here), &KEY).await;
    source.get(&pages(&there), &KEY).await;
    source.change();
    proxy.hold_requests(b":messages");
    let invalidation = tokio::spawn({
        let pages = pages(&here);
        async move { pages.invalidate(&KEY).await }
    });
    proxy.holds().await;
    until("it is invalid here", || pages(&here).try_get(&KEY).is_none()).await;
    invalidation.abort();
    invalidation.await.expect_err("it was aborted");
    proxy.lose_connections();
    proxy.heal();
    assert_eq!(text(&source.get(&pages(&here), &KEY).await), "1");
    until("the other process has heard", || pages(&there).try_get(&KEY).is_none()).await;
    assert_eq!(text(&source.get(&pages(&there), &KEY).await), "1");
}

/// Every node's clock is set on at random, hours at a time; nobody's is right.
#[tokio::test]
async fn p4_clocks_that_disagree_by_hours_bring_nothing_back() {
    let prefix = prefix();
    let clocks = [Clock::manual(), Clock::manual(), Clock::manual()];
    clocks[1].advance(Duration::from_secs(3_600));
    clocks[2].advance(Duration::from_secs(400 * 86_400));
    let long = NamespaceConfig::new("pages").fresh_for(Duration::from_secs(10 * 365 * 86_400));
    let nodes = clocks.clone().map(|clock| {
        let namespace = jebi_cache::Cache::builder().secret("secret").namespace(long.clone());
        build(namespace.redis(redis(&redis_url(), &prefix)).clock(clock))
    });
    for cache in &nodes {
        connected(cache).await;
    }
    let source = Source::with_tags(&["late"]);
    for round in 0..60_usize {
        let (writer, reader) = (round % 3, (round / 3) % 3);
        for cache in &nodes {
            source.get(&pages(cache), &KEY).await;
        }
        source.change();
        clocks[(round * 7) % 3].advance(Duration::from_secs(977 * (round as u64 % 5)));
        match round % 4 {
            0 => pages(&nodes[writer]).invalidate(&KEY).await,
            1 => pages(&nodes[writer]).invalidate_tag(SELLER, "late").await,
            2 => pages(&nodes[writer]).invalidate_scope(SELLER).await,
            _ => pages(&nodes[writer]).clear().await,
        };
        clocks[reader].advance(Duration::from_secs(3_600));
        let here = source.get(&pages(&nodes[writer]), &KEY).await;
        assert_eq!(text(&here), source.value().to_string(), "round {round}");
        for cache in &nodes {
            until("it is heard of", || {
                let held = pages(cache).try_get(&KEY);
                held.is_none_or(|hit| text(&hit) == source.value().to_string())
            })
            .await;
            let there = source.get(&pages(cache), &KEY).await;
            assert_eq!(text(&there), source.value().to_string(), "round {round}");
        }
    }
}

/// An old value lies in Redis again, and the generations that would tell are gone.
#[tokio::test]
async fn p5_generations_that_were_evicted_count_as_changed() {
    let prefix = prefix();
    let here = node(&prefix);
    connected(&here).await;
    let source = Source::with_tags(&["late"]);
    let mut redis = connect(&redis_url()).await;
    for (round, evicted) in ["g:", "t:", "", "g:"].into_iter().enumerate() {
        source.get(&pages(&here), &KEY).await;
        until_async("it is stored", async || {
            keys_of(&mut redis, &prefix, "v:").await.len() == 1
                && keys_of(&mut redis, &prefix, "l:").await.is_empty()
        })
        .await;
        let value = keys_of(&mut redis, &prefix, "v:").await.remove(0);
        let old: Vec<u8> = redis::cmd("DUMP").arg(&value).query_async(&mut redis).await.unwrap();
        source.change();
        if round % 2 == 0 {
            pages(&here).invalidate(&KEY).await;
        } else {
            pages(&here).invalidate_tag(SELLER, "late").await;
        }
        for key in keys_of(&mut redis, &prefix, evicted).await {
            redis::cmd("DEL").arg(key).query_async::<()>(&mut redis).await.unwrap();
        }
        let mut restore = redis::cmd("RESTORE");
        restore.arg(&value).arg(0).arg(&old).arg("REPLACE");
        restore.query_async::<()>(&mut redis).await.unwrap();
        let fresh = node(&prefix);
        connected(&fresh).await;
        let after = source.get(&pages(&fresh), &KEY).await;
        assert_eq!(text(&after), source.value().to_string(), "{evicted} was evicted");
        until("this process has heard", || {
            pages(&here).try_get(&KEY).is_none_or(|hit| text(&hit) == text(&after))
        })
        .await;
    }
}

#[tokio::test]
async fn p6_invalidating_a_tag_costs_the_same_whatever_hangs_on_it() {
    let server = Server::start(&[]).await;
    let prefix = prefix();
    let roomy = L1 { max_bytes: 4 << 30, max_entries: 2_000_000 };
    // What hangs on a tag is noted nowhere, so that it does not matter in which level it lies.
    let many = NamespaceConfig::new("pages").in_process();
    let cache = jebi_cache::Cache::builder().l1(roomy).namespace(many);
    let cache = build(cache.redis(redis(&server.url, &prefix)));
    connected(&cache).await;
    let mut redis = server.connect().await;
    let source = Source::with_tags(&["late"]);
    let mut costs: Vec<Vec<u64>> = Vec::new();
    for members in [1, 1_000, 100_000] {
        for member in 0..members {
            source.get(&pages(&cache), &Key(1, member)).await;
        }
        assert_eq!(cache.stats().namespaces[0].entries, members);
        let before = commands(&mut redis).await;
        pages(&cache).invalidate_tag(SELLER, "late").await;
        let after = commands(&mut redis).await;
        costs.push(after.iter().zip(before).map(|(after, before)| after - before).collect());
        assert!((0..members).all(|member| pages(&cache).try_get(&Key(1, member)).is_none()));
    }
    let one: Vec<u64> = vec![1, 1, 1];
    assert_eq!(costs, [one.clone(), one.clone(), one], "calls of a script, DEL, XADD");
    assert_eq!(gaps(&cache), 0);
}

/// How often a script was called, DEL and XADD.
async fn commands(redis: &mut redis::aio::MultiplexedConnection) -> [u64; 3] {
    let info: String = redis::cmd("INFO").arg("commandstats").query_async(redis).await.unwrap();
    let calls = |name: &str| {
        let line =
            info.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
    };
    // The first call of a script hands it over and is an EVALSHA like the others, one that failed.
    [calls("evalsha") - failed(&info), calls("del"), calls("xadd")]
}

fn failed(info: &str) -> u64 {
    let line = info.lines().find(|line| line.starts_with("cmdstat_evalsha:"));
    let failed = line.and_then(|line| line.rsplit_once("failed_calls=")?.1.trim().parse().ok());
    failed.unwrap_or(0)
}

#[tokio::test]
async fn an_event_that_is_reported_twice_does_not_end_what_was_loaded_since() {
    let prefix = prefix();
    let (here, there) = (node(&prefix), node(&prefix));
    connected(&here).await;
    connected(&there).await;
    let event = Event { id: Some(7), ..Event::new("orders:updated", SELLER) };
    let source = Source::default();
    assert_eq!(here.emit(&event).await.l2, Propagation::Now);
    until("the other process has heard", || there.stats().l2.unwrap().messages == 1).await;
    source.get(&pages(&here), &KEY).await;
    there.emit(&event).await;
    here.emit(&event).await;
    assert_eq!(source.get(&pages(&here), &KEY).await.level(), Level::L1);
    assert_eq!(source.get(&pages(&there), &KEY).await.level(), Level::L2);
    assert_eq!((queued(&here), queued(&there)), (0, 0));
}
