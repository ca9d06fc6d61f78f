//! Reading a value from Redis with all that it hangs on, against a bare GET of the value on a connection of
//! the same kind. One of each in turn; wall time, as a caller who waits sees it.

use std::convert::Infallible;
use std::future::ready;
use std::time::Instant;

use bytes::Bytes;
use jebi_cache::{
    Body, Cache, CacheKey, KeyBytes, L1, Level, Loaded, Namespace, NamespaceConfig, Redis, Scope,
};

use crate::body::page;
use crate::measure::Spread;
use crate::redis_server::{Server, clean, connected, prefix};
use crate::report::{Report, Target};

const KEYS: u64 = 64;
const ROUNDS: u64 = 40;

struct OrderKey(u64);

impl CacheKey for OrderKey {
    fn scope(&self) -> Scope {
        Scope::new(7)
    }

    fn write(&self, bytes: &mut KeyBytes) {
        bytes.u64(self.0);
    }
}

pub(crate) fn run(report: &mut Report) {
    let Some(server) = Server::find() else { return };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime starts");
    let large = page(1);
    let small = large.slice(..900);
    let middle = large.slice(..4_096);
    for (name, value) in [("900 bytes", small), ("4 KiB", middle), ("a page of 50 orders", large)] {
        let url = server.url.clone();
        // In a task: a caller in a service is one, too.
        let figures = runtime.spawn(async move { measure(&url, value).await });
        let figures = runtime.block_on(figures).expect("it does not panic");
        let ratio = |peer: &str| format!("read from Redis / GET of {peer}, {name}");
        report.add(format!("read from Redis, {name}: us"), figures.ours, Target::None);
        report.add(format!("GET of the value, {name}: us"), figures.plain, Target::None);
        report.add(ratio("the value"), figures.to_plain, Target::AtMost(1.2));
        report.add(ratio("as many bytes as are stored"), figures.to_stored, Target::None);
    }
}

struct Figures {
    ours: Spread,
    /// GET of the value as it is.
    plain: Spread,
    to_plain: Spread,
    /// To a GET of as many bytes as the value has when it is packed.
    to_stored: Spread,
}

async fn measure(url: &str, value: Bytes) -> Figures {
    let prefix = prefix();
    let node = |entries| {
        let cache = Cache::builder()
            .l1(L1 { max_entries: entries, ..L1::default() })
            .redis(Redis::url(url).prefix(&prefix))
            .namespace(NamespaceConfig::new("orders"));
        cache.build().expect("it makes sense")
    };
    let writer = node(KEYS * 2);
    // One that never holds what it is asked for next.
    let reader = node(1);
    connected(&writer).await;
    connected(&reader).await;
    let orders = writer.namespace("orders").expect("declared");
    for n in 0..KEYS {
        let hit = get(&orders, n, &value).await;
        assert_eq!(hit, Level::Load);
    }
    let client = redis::Client::open(url).expect("an address");
    let mut redis = client.get_multiplexed_async_connection().await.expect("Redis is there");
    // What is written for the others is written after the answer.
    let stored = loop {
        let stats = orders.stats();
        if stats.bytes_before_compression >= KEYS * value.len() as u64 {
            break stats.bytes_after_compression / KEYS;
        }
        tokio::task::yield_now().await;
    };
    let stored = vec![b'x'; usize::try_from(stored).expect("small")];
    let peers = [("plain", value.to_vec()), ("stored", stored)];
    let peers = peers.map(|(name, value)| (format!("{{{prefix}}}:{name}"), value));
    for (key, value) in &peers {
        let set = redis::cmd("SET").arg(key).arg(value).to_owned();
        let () = set.query_async(&mut redis).await.expect("Redis answers");
    }
    let orders = reader.namespace("orders").expect("declared");
    let mut all = [const { Vec::new() }; 3];
    let (mut to_plain, mut to_stored) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut took = [const { Vec::new() }; 3];
        for n in 0..KEYS {
            let began = Instant::now();
            let level = self::get(&orders, n, &value).await;
            took[0].push(began.elapsed().as_secs_f64() * 1e6);
            assert_eq!(level, Level::L2);
            for (at, (key, _)) in peers.iter().enumerate() {
                let began = Instant::now();
                let get = redis::cmd("GET").arg(key).to_owned();
                let found: Option<Vec<u8>> = get.query_async(&mut redis).await.expect("an answer");
                took[at + 1].push(began.elapsed().as_secs_f64() * 1e6);
                assert!(found.is_some());
            }
        }
        let [ours, plain, stored] = took.each_ref().map(|took| Spread::of(took.clone()).median);
        to_plain.push(ours / plain);
        to_stored.push(ours / stored);
        all.iter_mut().zip(took).for_each(|(all, took)| all.extend(took));
    }
    clean(&mut redis, &prefix).await;
    let [ours, plain, _] = all.map(Spread::of);
    Figures { ours, plain, to_plain: Spread::of(to_plain), to_stored: Spread::of(to_stored) }
}

async fn get(orders: &Namespace, n: u64, value: &Bytes) -> Level {
    let value = value.clone();
    let load = move |_| ready(Ok::<_, Infallible>(Loaded::from(Body::new(value))));
    orders.get_or_load(&OrderKey(n), load).await.expect("it does not fail").level()
}
