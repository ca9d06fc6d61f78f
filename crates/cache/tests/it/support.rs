//! What the tests share: a cache on a prefix of its own, and a source that counts.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use jebi_cache::{
    Body, Builder, Cache, CacheKey, Hit, KeyBytes, Load, Loaded, Namespace, NamespaceConfig, Redis,
    Scope,
};

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

/// A process, as far as the cache is concerned: caches on one prefix share what is in Redis.
pub(crate) fn node(prefix: &str) -> Cache {
    builder().redis(Redis::url(redis_url()).prefix(prefix)).build().expect("a good configuration")
}

/// Waits until `is_so`, which another task brings about.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let late = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !is_so() {
        assert!(std::time::Instant::now() < late, "waited too long until {what}");
        tokio::task::yield_now().await;
    }
}

/// Waits until the cache has heard from Redis, so that what lies there is used.
pub(crate) async fn connected(cache: &Cache) {
    until("Redis is heard", || cache.stats().l2.is_some_and(|l2| l2.is_trusted)).await;
}

/// A key of a seller.
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
}

impl Source {
    pub(crate) fn change(&self) {
        self.value.fetch_add(1, SeqCst);
    }

    pub(crate) fn loads(&self) -> u64 {
        self.loads.load(SeqCst)
    }

    pub(crate) fn load(self, _: Load) -> Ready<Result<Loaded, Infallible>> {
        self.loads.fetch_add(1, SeqCst);
        ready(Ok(Body::new(self.value.load(SeqCst).to_string()).into()))
    }

    pub(crate) async fn get(&self, namespace: &Namespace, key: &Key) -> Hit {
        let source = self.clone();
        namespace.get_or_load(key, |at| source.load(at)).await.expect("the source does not fail")
    }
}

pub(crate) fn text(hit: &Hit) -> String {
    let body = hit.body().expect("the source always has a value");
    String::from_utf8(body.bytes.to_vec()).expect("a number")
}
