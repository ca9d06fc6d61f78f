//! What a cache is built from.

use std::sync::Arc;
use std::time::Duration;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::compression::Compression;
use crate::error::Error;
use crate::l1::L1;
use crate::l2::Redis;
use crate::rules::Rules;

/// What happens to a load that nobody waits for any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Forsaken {
    /// It runs to its end, and its value is kept.
    #[default]
    Finish,
    /// It is stopped where it next waits.
    Abort,
}

/// How long the values of a namespace are good, and how they are loaded.
///
/// Time only bounds what invalidation does not reach: a value that was invalidated is gone at once.
#[derive(Debug, Clone)]
pub struct NamespaceConfig {
    pub(crate) name: String,
    pub(crate) fresh_for: Duration,
    pub(crate) stale_for: Duration,
    pub(crate) jitter: f64,
    pub(crate) negative_for: Duration,
    pub(crate) errors_for: Duration,
    pub(crate) fail_safe: bool,
    pub(crate) load_timeout: Duration,
    pub(crate) forsaken: Forsaken,
    pub(crate) schema: u32,
    pub(crate) is_shared: bool,
    pub(crate) is_encrypted: bool,
}

impl NamespaceConfig {
    /// A namespace with the defaults that each method below names.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            fresh_for: Duration::from_secs(300),
            stale_for: Duration::ZERO,
            jitter: 0.1,
            negative_for: Duration::from_secs(15),
            errors_for: Duration::ZERO,
            fail_safe: true,
            load_timeout: Duration::from_secs(10),
            forsaken: Forsaken::Finish,
            schema: 1,
            is_shared: true,
            is_encrypted: false,
        }
    }

    /// The soft TTL: from then on a value is refreshed. Default 300 s.
    #[must_use]
    pub fn fresh_for(self, fresh_for: Duration) -> Self {
        Self { fresh_for, ..self }
    }

    /// How much longer, past the soft TTL, a value is answered while it is refreshed behind the caller's
    /// back, and kept for the case that the source fails. Default 0.
    #[must_use]
    pub fn stale_for(self, stale_for: Duration) -> Self {
        Self { stale_for, ..self }
    }

    /// The share of the soft TTL by which it is shortened at random, 0 to 1, so that values that were
    /// written together do not end together. Default 0.1.
    #[must_use]
    pub fn jitter(self, jitter: f64) -> Self {
        Self { jitter: jitter.clamp(0.0, 1.0), ..self }
    }

    /// How long it is known that nothing is there. Default 15 s.
    #[must_use]
    pub fn negative_for(self, negative_for: Duration) -> Self {
        Self { negative_for, ..self }
    }

    /// How long a failure is given to those who come later, without a load of their own. Default 0: only
    /// to those who waited.
    #[must_use]
    pub fn errors_for(self, errors_for: Duration) -> Self {
        Self { errors_for, ..self }
    }

    /// Whether a value that is past its soft TTL, or that nobody can vouch for, is answered, marked
    /// stale, where the loader fails. An invalidated value never is. Default true.
    #[must_use]
    pub fn fail_safe(self, fail_safe: bool) -> Self {
        Self { fail_safe, ..self }
    }

    /// How long a load may take. Default 10 s.
    #[must_use]
    pub fn load_timeout(self, load_timeout: Duration) -> Self {
        Self { load_timeout, ..self }
    }

    /// What happens to a load that nobody waits for any more. Default [`Forsaken::Finish`].
    #[must_use]
    pub fn forsaken(self, forsaken: Forsaken) -> Self {
        Self { forsaken, ..self }
    }

    /// The shape of the values, a number or [`NamespaceConfig::shape`]'s. Releases with different shapes
    /// share one Redis and do not see each other's values. Default 1.
    #[must_use]
    pub fn schema(self, schema: u32) -> Self {
        Self { schema, ..self }
    }

    /// The schema as a fingerprint of a text that changes with the shape, such as the type's definition.
    #[must_use]
    pub fn shape(self, shape: &str) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, shape.as_bytes());
        let bytes = digest.as_ref().first_chunk().copied().unwrap_or_default();
        self.schema(u32::from_be_bytes(bytes))
    }

    /// Values lie in Redis encrypted under the cache's secret (AES-256-GCM): for what is nobody else's
    /// business. Default: signed and readable.
    #[must_use]
    pub fn encrypted(self) -> Self {
        Self { is_encrypted: true, ..self }
    }

    /// Keeps the values in this process alone. Invalidation still reaches them from everywhere.
    #[must_use]
    pub fn in_process(self) -> Self {
        Self { is_shared: false, ..self }
    }
}

/// How old an answer may be that was invalidated elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vouching {
    /// Every invalidation is made through this cache, or through another one on the same Redis.
    Caches,
    /// Invalidations come from outside, and [`Cache::vouch_for_all`] says up to when they all were made.
    Outside,
}

/// Builds a [`Cache`].
#[derive(Debug, Clone)]
pub struct Builder {
    pub(crate) l1: L1,
    pub(crate) redis: Option<Redis>,
    pub(crate) compression: Compression,
    pub(crate) max_value_bytes: usize,
    pub(crate) secret: Vec<u8>,
    pub(crate) max_staleness: Duration,
    pub(crate) vouching: Vouching,
    pub(crate) clock: Option<Clock>,
    pub(crate) namespaces: Vec<NamespaceConfig>,
    pub(crate) rules: Rules,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            l1: L1::default(),
            redis: None,
            compression: Compression::default(),
            max_value_bytes: 8 << 20,
            secret: Vec::new(),
            max_staleness: Duration::from_secs(2),
            vouching: Vouching::Caches,
            clock: None,
            namespaces: Vec::new(),
            rules: Rules::default(),
        }
    }
}

impl Builder {
    /// Bounds of the level in the process.
    #[must_use]
    pub fn l1(self, l1: L1) -> Self {
        Self { l1, ..self }
    }

    /// The level that processes share. Without it the same calls work on this process alone.
    #[must_use]
    pub fn redis(self, redis: Redis) -> Self {
        Self { redis: Some(redis), ..self }
    }

    /// How values are made smaller in Redis.
    #[must_use]
    pub fn compression(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    /// A larger value is answered and not kept. Default 8 MiB.
    #[must_use]
    pub fn max_value_bytes(self, max_value_bytes: usize) -> Self {
        Self { max_value_bytes, ..self }
    }

    /// Signs what is stored in Redis and hides the keys there. The same in every process; 32 random bytes are
    /// right. Default empty: values are bound to their keys, and whoever can write to Redis can forge them.
    #[must_use]
    pub fn secret(self, secret: impl Into<Vec<u8>>) -> Self {
        Self { secret: secret.into(), ..self }
    }

    /// How old, at most, an answer is that another process has invalidated. Default 2 s.
    #[must_use]
    pub fn max_staleness(self, max_staleness: Duration) -> Self {
        Self { max_staleness, ..self }
    }

    /// Invalidations are reported by something outside, such as a relay that reads an outbox, and a process may
    /// die between its write and its report. Nothing is answered from the cache unless [`Cache::vouch_for_all`] has
    /// said, within the staleness bound, that all writes were reported.
    #[must_use]
    pub fn vouched_from_outside(self) -> Self {
        Self { vouching: Vouching::Outside, ..self }
    }

    /// Where the time comes from. Default the machine's.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// Declares a namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: NamespaceConfig) -> Self {
        self.namespaces.push(namespace);
        self
    }

    /// An event and what it invalidates, each within the event's scope: all of a namespace (`"products"`), the
    /// entries with a tag (`"orders_detail:{order_id}"`, filled from the event's fields), or what another
    /// event invalidates (`"products:updated"`). Several rules for one event add up.
    #[must_use]
    pub fn add_dependency_rule<'t>(
        mut self,
        event: &str,
        targets: impl IntoIterator<Item = &'t str>,
    ) -> Self {
        self.rules.add(event.to_owned(), targets.into_iter().map(str::to_owned));
        self
    }

    /// Builds the cache, inside a runtime of tokio. Does not wait for Redis, and does not fail where Redis
    /// cannot be reached.
    ///
    /// # Errors
    /// Where namespaces, rules or the address of Redis make no sense; see [`Error`].
    pub fn build(self) -> Result<Cache, Error> {
        for (at, namespace) in self.namespaces.iter().enumerate() {
            if self.namespaces[..at].iter().any(|before| before.name == namespace.name) {
                return Err(Error::DeclaredTwice(namespace.name.clone()));
            }
        }
        let is_namespace = |name: &str| self.namespaces.iter().any(|known| known.name == name);
        let rules = self.rules.check(is_namespace)?;
        Ok(Cache(Arc::new(crate::cache::Inner::new(&self, rules)?)))
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;
    use crate::key::Scope;
    use crate::rules::Event;

    #[test]
    fn a_namespace_is_what_was_said_of_it() {
        let seconds = Duration::from_secs;
        let usual = NamespaceConfig::new("orders");
        assert!(usual.fail_safe && usual.is_shared && !usual.is_encrypted);
        let said = usual
            .fresh_for(seconds(1))
            .stale_for(seconds(2))
            .jitter(0.5)
            .negative_for(seconds(3))
            .errors_for(seconds(4))
            .fail_safe(false)
            .load_timeout(seconds(5))
            .forsaken(Forsaken::Abort)
            .schema(6)
            .encrypted()
            .in_process();
        assert_eq!((&*said.name, said.schema, said.forsaken), ("orders", 6, Forsaken::Abort));
        assert_eq!((said.fresh_for, said.stale_for), (seconds(1), seconds(2)));
        assert_eq!((said.negative_for, said.errors_for), (seconds(3), seconds(4)));
        assert_eq!((said.load_timeout, said.jitter), (seconds(5), 0.5));
        assert!(!said.fail_safe && !said.is_shared && said.is_encrypted);
        assert_eq!(said.jitter(7.0).jitter, 1.0);
    }

    #[test]
    fn a_shape_is_a_schema_that_changes_with_its_text() {
        let schema = |shape: &str| NamespaceConfig::new("orders").shape(shape).schema;
        // The first four bytes of what `sha256sum` says of it.
        assert_eq!(schema("struct Order { id: u64 }"), 3_553_535_270);
        assert_ne!(schema("struct Order { id: u64 }"), schema("struct Order { id: u32 }"));
    }

    #[test]
    fn a_cache_is_built_from_what_was_said() {
        let l1 = L1 { max_bytes: 1, max_entries: 2 };
        let compression = Compression { threshold_bytes: 3, level: 4 };
        let clock = Clock::manual();
        clock.advance(Duration::from_millis(5));
        let said = Builder::default()
            .l1(l1)
            .redis(Redis::url("redis://127.0.0.1:6379/0"))
            .compression(compression)
            .max_value_bytes(6)
            .secret(*b"secret")
            .max_staleness(Duration::from_secs(7))
            .vouched_from_outside()
            .clock(clock)
            .namespace(NamespaceConfig::new("orders"))
            .namespace(NamespaceConfig::new("products"))
            .add_dependency_rule("orders:paid", ["orders"]);
        assert_eq!((said.l1, said.compression, said.max_value_bytes), (l1, compression, 6));
        assert_eq!((&*said.secret, said.max_staleness), (&b"secret"[..], Duration::from_secs(7)));
        assert_eq!((said.redis.is_some(), said.vouching), (true, Vouching::Outside));
        assert_eq!(said.clock.map(|clock| clock.now()), Some(5));
        let names: Vec<&str> = said.namespaces.iter().map(|namespace| &*namespace.name).collect();
        assert_eq!(names, ["orders", "products"]);
        let rules = said.rules.check(|name| name == "orders").expect("its target is a namespace");
        assert!(rules.reached(&Event::new("orders:paid", Scope::SHARED)).is_some());
        assert_eq!(Builder::default().max_value_bytes, 8 * 1_024 * 1_024);
    }

    #[test]
    fn what_makes_no_sense_is_not_built() {
        let with = |names: &[&str], target| {
            let declared = Builder::default().add_dependency_rule("a:b", ["orders", target]);
            let declare =
                |built: Builder, name: &&str| built.namespace(NamespaceConfig::new(*name));
            names.iter().fold(declared, declare).build().expect_err("it makes no sense")
        };
        let twice = with(&["orders", "products", "orders"], "products");
        assert_eq!(twice.to_string(), "the namespace \"orders\" is declared twice");
        let Error::UnknownNamespace { namespace, .. } = with(&["orders", "products"], "ordres")
        else {
            panic!("it is declared by nobody")
        };
        assert_eq!(namespace, "ordres");
    }
}
