//! What the tests share: a cache on a prefix of its own, and a source that counts.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use jebi_cache::{
    Body, Builder, Cache, CacheKey, Hit, KeyBytes, Load, Loaded, Namespace, NamespaceConfig,
    NamespaceStats, Redis, Scope,
};
use tokio::sync::Semaphore;

/// Where Redis is; `cargo xtask test` starts one and says so.
pub(crate) fn redis_url() -> String {
    #[expect(clippy::disallowed_methods, reason = "tests read what the test runner says")]
    std::env::var("REDIS_URL").expect("run the tests with `cargo xtask test`, which starts Redis")
}

/// A prefix that no other test has.
pub(crate) fn prefix() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("it is after 1970").as_nanos();
    format!("test-{}-{now}-{}", std::process::id(), NEXT.fetch_add(1, SeqCst))
}

pub(crate) fn builder() -> Builder {
    Cache::builder()
        .secret("secret")
        .namespace(NamespaceConfig::new("pages"))
        .namespace(NamespaceConfig::new("details"))
        .add_dependency_rule("orders:updated", ["pages", "details:{id}"])
}

/// A Redis under a prefix. It has time: what a busy machine delays is no failure.
pub(crate) fn redis(url: &str, prefix: &str) -> Redis {
    Redis::url(url).prefix(prefix).deadline(std::time::Duration::from_secs(10))
}

/// A process, as far as the cache is concerned: caches on one prefix share what is in Redis.
pub(crate) fn node(prefix: &str) -> Cache {
    node_at(&redis_url(), prefix)
}

/// The same on another Redis, or through a proxy.
pub(crate) fn node_at(url: &str, prefix: &str) -> Cache {
    build(builder().redis(redis(url, prefix)))
}

pub(crate) fn build(builder: Builder) -> Cache {
    builder.build().expect("a good configuration")
}

pub(crate) fn pages(cache: &Cache) -> Namespace {
    cache.namespace("pages").expect("declared")
}

/// What has happened to the pages.
pub(crate) fn stats(cache: &Cache) -> NamespaceStats {
    pages(cache).stats()
}

pub(crate) fn queued(cache: &Cache) -> u64 {
    cache.stats().l2.expect("there is a Redis").queued_invalidations
}

pub(crate) fn gaps(cache: &Cache) -> u64 {
    cache.stats().l2.expect("there is a Redis").gaps
}

/// Waits until `is_so`, which another task brings about.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    until_async(what, async || is_so()).await;
}

/// The same for what has to be asked for.
pub(crate) async fn until_async(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let late = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !is_so().await {
        assert!(std::time::Instant::now() < late, "waited too long until {what}");
        tokio::task::yield_now().await;
    }
}

/// Waits until the cache has heard from Redis, so that what lies there is used.
pub(crate) async fn connected(cache: &Cache) {
    until("Redis is heard", || cache.stats().l2.is_some_and(|l2| l2.is_trusted)).await;
}

/// A key of a seller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key(pub(crate) u128, pub(crate) u64);

impl CacheKey for Key {
    fn scope(&self) -> Scope {
        Scope::new(self.0)
    }

    fn write(&self, bytes: &mut KeyBytes) {
        bytes.u64(self.1);
    }
}

/// A source whose value is the number of times it was changed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    value: Arc<AtomicU64>,
    loads: Arc<AtomicU64>,
    tags: Arc<[&'static str]>,
}

impl Source {
    /// Its values hang on these tags, which only its loads know.
    pub(crate) fn with_tags(tags: &[&'static str]) -> Self {
        Self { tags: tags.into(), ..Self::default() }
    }

    pub(crate) fn change(&self) {
        self.value.fetch_add(1, SeqCst);
    }

    pub(crate) fn value(&self) -> u64 {
        self.value.load(SeqCst)
    }

    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(SeqCst)
    }

    #[expect(clippy::needless_pass_by_value, reason = "a loader is given it")]
    pub(crate) fn load(self, at: Load) -> Ready<Result<Loaded, Infallible>> {
        self.loads.fetch_add(1, SeqCst);
        self.tags.iter().for_each(|tag| at.add_tag(tag));
        ready(Ok(Body::new(self.value().to_string()).into()))
    }

    pub(crate) async fn get(&self, namespace: &Namespace, key: &Key) -> Hit {
        let source = self.clone();
        namespace.get_or_load(key, |at| source.load(at)).await.expect("the source does not fail")
    }

    /// The same with a load that has read its value, and does not end before the gate lets it.
    pub(crate) fn get_slowly(
        &self,
        namespace: &Namespace,
        key: Key,
        gate: &Gate,
    ) -> tokio::task::JoinHandle<Hit> {
        let (source, namespace, gate) = (self.clone(), namespace.clone(), gate.clone());
        tokio::spawn(async move {
            let load = async move |at| {
                let loaded = source.load(at).await;
                gate.pass().await;
                loaded
            };
            let load = |at| -> futures::future::BoxFuture<'static, _> { Box::pin(load(at)) };
            namespace.get_or_load(&key, load).await.expect("the source does not fail")
        })
    }
}

/// Holds loads up.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    open: Arc<Semaphore>,
    waiting: Arc<AtomicU64>,
}

impl Gate {
    pub(crate) fn closed() -> Self {
        Self { open: Arc::new(Semaphore::new(0)), waiting: Arc::default() }
    }

    pub(crate) async fn pass(&self) {
        self.waiting.fetch_add(1, SeqCst);
        let permit = self.open.acquire().await;
        permit.expect("it is never taken down").forget();
    }

    /// Waits until somebody has come to it.
    pub(crate) async fn is_reached(&self) {
        until("the gate is reached", || self.waiting.load(SeqCst) > 0).await;
    }

    /// Lets everybody through.
    pub(crate) fn open(&self) {
        self.open.add_permits(1_000);
    }
}

pub(crate) fn text(hit: &Hit) -> String {
    let body = hit.body().expect("the source always has a value");
    String::from_utf8(body.bytes.to_vec()).expect("a number")
}

/// The keys in Redis under a prefix, of one kind: `v:` values, `g:` generations, all where it is empty.
pub(crate) async fn keys_of(
    redis: &mut redis::aio::MultiplexedConnection,
    prefix: &str,
    kind: &str,
) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{{{prefix}}}:{kind}*")).arg("COUNT").arg(10_000);
        let (next, found): (u64, Vec<Vec<u8>>) = scan.query_async(redis).await.expect("it scans");
        keys.extend(found);
        cursor = next;
        if cursor == 0 {
            return keys;
        }
    }
}
