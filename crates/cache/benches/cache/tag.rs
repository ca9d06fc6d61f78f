//! Invalidating a tag that a million entries in Redis carry, against one that a single entry carries.

use std::convert::Infallible;
use std::time::Instant;

use jebi_cache::{Body, Cache, Load, Loaded, NamespaceConfig, Propagation, Redis, Scope};
use redis::aio::MultiplexedConnection;

use crate::measure::Spread;
use crate::redis_server::{Server, clean, connected, prefix};
use crate::report::{Report, Target};

const MEMBERS: u64 = 1_000_000;
const ROUNDS: usize = 300;

/// Copies the entry at KEYS[1] to as many keys, as the cache would name them.
const COPY: &str = "local value = redis.call('GET', KEYS[1])
for at = ARGV[2], ARGV[2] + ARGV[3] - 1 do
    redis.call('SET', ARGV[1] .. string.format('%016d', at), value, 'PX', 600000)
end";

pub(crate) fn run(report: &mut Report) {
    let Some(server) = Server::find() else { return };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let url = server.url.clone();
    let figures = runtime.expect("a runtime starts").block_on(async move { measure(&url).await });
    let [one, million, ratio] = figures;
    report.add("invalidate a tag with 1 member: us", one, Target::None);
    report.add("invalidate a tag with 1,000,000 members: us", million, Target::None);
    report.add("1,000,000 members / 1 member", ratio, Target::AtMost(1.2));
}

async fn measure(url: &str) -> [Spread; 3] {
    let prefix = prefix();
    let cache = Cache::builder()
        .redis(Redis::url(url).prefix(&prefix))
        .namespace(NamespaceConfig::new("orders"))
        .build()
        .expect("it makes sense");
    connected(&cache).await;
    let orders = cache.namespace("orders").expect("declared");
    let client = redis::Client::open(url).expect("an address");
    let mut redis = client.get_multiplexed_async_connection().await.expect("Redis is there");
    let mut tags = Vec::new();
    for tag in ["one", "million"] {
        let before = keys(&mut redis, &prefix).await;
        let load = move |at: Load| async move {
            at.add_tag(tag);
            Ok::<_, Infallible>(Loaded::from(Body::new(tag)))
        };
        orders.get_or_load(tag, load).await.expect("it does not fail");
        // What is written for the others is written after the answer.
        let value = format!("{{{prefix}}}:v:").into_bytes();
        let is_new = |key: &Vec<u8>| !before.contains(key);
        let value = loop {
            let now = keys(&mut redis, &prefix).await;
            if let Some(key) = now.into_iter().filter(is_new).find(|key| key.starts_with(&value)) {
                break key;
            }
        };
        let generations = format!("{{{prefix}}}:g:").into_bytes();
        let mut kept = Vec::new();
        for key in keys(&mut redis, &prefix).await {
            if is_new(&key) && key.starts_with(&generations) {
                let get: Vec<u8> =
                    redis::cmd("GET").arg(&key).query_async(&mut redis).await.expect("it is there");
                kept.push((key, get));
            }
        }
        tags.push((value, kept));
    }
    copy(&mut redis, &prefix, &tags[1].0).await;

    let mut took = [const { Vec::new() }; 2];
    for _ in 0..ROUNDS {
        for (at, tag) in ["one", "million"].into_iter().enumerate() {
            let began = Instant::now();
            let applied = orders.invalidate_tag(Scope::SHARED, tag).await;
            took[at].push(began.elapsed().as_secs_f64() * 1e6);
            assert_eq!(applied.l2, Propagation::Now);
            // The generation that the members carry comes back, so that all are members again.
            for (key, generation) in &tags[at].1 {
                let set = redis::cmd("SET").arg(key).arg(generation).to_owned();
                let () = set.query_async(&mut redis).await.expect("Redis answers");
            }
        }
    }
    clean(&mut redis, &prefix).await;
    let [one, million] = took;
    let ratios = one.chunks(20).zip(million.chunks(20)).map(|(one, million)| {
        Spread::of(million.to_vec()).median / Spread::of(one.to_vec()).median
    });
    let ratios = Spread::of(ratios.collect());
    [Spread::of(one), Spread::of(million), ratios]
}

async fn copy(redis: &mut MultiplexedConnection, prefix: &str, value: &[u8]) {
    const AT_ONCE: u64 = 5_000;
    for from in (0..MEMBERS).step_by(usize::try_from(AT_ONCE).expect("few")) {
        let mut copy = redis::cmd("EVAL");
        copy.arg(COPY).arg(1).arg(value).arg(format!("{{{prefix}}}:v:")).arg(from).arg(AT_ONCE);
        let () = copy.query_async(redis).await.expect("Redis answers");
    }
}

/// The few keys of this run, before there are a million.
async fn keys(redis: &mut MultiplexedConnection, prefix: &str) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{{{prefix}}}*")).arg("COUNT").arg(10_000);
        let (next, keys): (u64, Vec<Vec<u8>>) =
            scan.query_async(redis).await.expect("Redis answers");
        all.extend(keys);
        cursor = next;
        if cursor == 0 {
            return all;
        }
    }
}
