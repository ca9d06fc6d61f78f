//! The level that processes share: values, their generations, leases, and word of what was invalidated.

mod backplane;
mod breaker;
mod config;
mod connection;
mod keys;
mod lease;
mod pending;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bb8_redis::bb8;
use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, Script};
use tokio::sync::Notify;

pub use self::breaker::Breaker;
use self::breaker::State;
pub use self::config::Redis;
use self::connection::{Identity, Manager};
use self::keys::Keys;
use self::lease::Asked;
pub(crate) use self::lease::Lease;
use self::pending::Pending;
use crate::cache::Propagation;
use crate::clock::Clock;
use crate::compression::Compression;
use crate::config::{Builder, Vouching};
use crate::envelope::{Envelope, Generation, Place};
use crate::error::Error;
use crate::generation::{Generations, Target};
use crate::journal::Journal;
use crate::key::{Id, Secret};
use crate::stats::{Counters, L2Stats, count};
use crate::sync::{Mutex, Tasks, lock};
use crate::trust::Trust;
use crate::value::{Body, FIXED};

/// What the level shares with the cache.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) generations: Arc<Generations>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) clock: Clock,
    pub(crate) secret: Secret,
}

/// What is looked for.
#[derive(Debug)]
pub(crate) struct Question {
    /// Namespace, scope, key, and the tags that are known beforehand.
    pub(crate) ids: Vec<Id>,
    pub(crate) slot: Id,
    pub(crate) schema: u32,
    pub(crate) is_encrypted: bool,
}

/// What was found.
#[derive(Debug)]
pub(crate) enum Lookup {
    Found(Stored),
    /// The value is to be loaded; under a lease where there is one.
    Load(Option<Lease>),
}

/// A value from Redis.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) value: Option<Body>,
    pub(crate) tags: Vec<Id>,
    pub(crate) fresh_for: u64,
    pub(crate) keep_for: u64,
}

#[derive(Debug)]
pub(crate) struct L2 {
    shared: Shared,
    pool: bb8::Pool<Manager>,
    keys: Keys,
    node: String,
    deadline: Duration,
    lease: Duration,
    messages: u32,
    vouching: Vouching,
    compression: Compression,
    max_value_bytes: usize,
    /// For how long generations are kept: longer than any value that hangs on them.
    keep_generations: u64,
    breaker: State,
    pending: Pending,
    waiting: Mutex<HashMap<Id, Arc<Notify>>>,
    followed: AtomicU64,
    gaps: AtomicU64,
}

/// Tags of a value, and the three that every value hangs on. A value with more is kept in the process alone.
const MOST_IDS: usize = 1_000;
/// What surrounds a value in its envelope, at most.
const AROUND_BYTES: usize = 64 << 10;
/// A year, in milliseconds. Redis counts them from 1970 in 63 bits.
const LONGEST: u64 = 365 * 24 * 60 * 60 * 1_000;

/// A script, behind what all of them share.
macro_rules! script {
    ($name:literal) => {
        LazyLock::new(|| {
            Script::new(concat!(
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/l2/scripts/found.lua")),
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/l2/scripts/", $name))
            ))
        })
    };
}
use script;

static INVALIDATE: LazyLock<Script> = script!("invalidate.lua");

/// Nothing came back, or Redis was not asked because it keeps failing.
struct Failed;

impl L2 {
    pub(crate) fn new(
        redis: &Redis,
        builder: &Builder,
        namespaces: Vec<Id>,
        shared: Shared,
        tasks: &Tasks,
    ) -> Result<Arc<Self>, Error> {
        let prefix = format!("{{{}}}:", redis.prefix).into_bytes();
        let identity = Identity::new(prefix.clone(), namespaces.clone());
        let manager = Manager::new(&redis.url, identity, Duration::from_secs(1));
        let manager = manager.map_err(Error::BadAddress)?;
        let pool = bb8::Pool::builder()
            .max_size(redis.connections)
            // Otherwise it opens a second one only where two callers meet in the moment of taking one.
            .min_idle(redis.connections)
            // A flag, not a round trip.
            .test_on_check_out(true)
            .connection_timeout(redis.deadline)
            .retry_connection(false)
            .build_unchecked(manager.clone());
        let longest = builder
            .namespaces
            .iter()
            .map(|space| space.fresh_for.saturating_add(space.stale_for))
            .max();
        let keep = longest.unwrap_or_default().saturating_mul(2);
        let keep = keep.saturating_add(Duration::from_secs(24 * 60 * 60));
        let l2 = Arc::new(Self {
            shared,
            pool,
            keys: Keys { prefix },
            node: format!("{:032x}", u128::from_be_bytes(crate::random::fill())),
            deadline: redis.deadline,
            lease: redis.lease,
            messages: redis.messages,
            vouching: builder.vouching,
            compression: builder.compression,
            max_value_bytes: builder.max_value_bytes,
            keep_generations: crate::clock::milliseconds(keep).min(LONGEST),
            breaker: State::new(redis.breaker),
            pending: Pending::new(namespaces),
            waiting: Mutex::default(),
            followed: AtomicU64::new(0),
            gaps: AtomicU64::new(0),
        });
        tasks.spawn(backplane::follow(Arc::downgrade(&l2), manager));
        Ok(l2)
    }

    /// The value, or leave to load it. Waits while another process loads it.
    pub(crate) async fn look_up(&self, question: &Question, counters: &Counters) -> Lookup {
        /// How long a value that another process loads is waited for, before it is loaded here too.
        const LONGEST_WAIT: Duration = Duration::from_secs(30);
        let latest = tokio::time::Instant::now() + LONGEST_WAIT;
        if !self.is_usable() {
            count(&counters.l2_errors);
            return Lookup::Load(None);
        }
        if question.ids.len() > MOST_IDS {
            count(&counters.l2_misses);
            return Lookup::Load(None);
        }
        let began = Instant::now();
        let read = self.read(question, counters).await;
        counters.l2_took(began);
        match read {
            Ok(Some(stored)) => {
                count(&counters.l2_hits);
                return Lookup::Found(stored);
            }
            Ok(None) => count(&counters.l2_misses),
            Err(_) => {
                count(&counters.l2_errors);
                return Lookup::Load(None);
            }
        }
        while tokio::time::Instant::now() < latest {
            let waiter = self.wait_for(question.slot);
            // Made before the lease is asked for: from here on no call to wake up is lost.
            let woken = waiter.notify.notified();
            match self.ask_lease(question, counters).await {
                Ok(Asked::Found(stored)) => {
                    count(&counters.l2_hits);
                    return Lookup::Found(stored);
                }
                Ok(Asked::Mine(lease)) => return Lookup::Load(Some(lease)),
                Ok(Asked::Theirs) => {
                    // By then a lease that nobody renews has ended.
                    let _ = tokio::time::timeout(self.lease, woken).await;
                }
                Err(_) => {
                    count(&counters.l2_errors);
                    return Lookup::Load(None);
                }
            }
            // What was invalidated meanwhile is found out by the next round.
            if !self.is_usable() {
                break;
            }
        }
        Lookup::Load(None)
    }

    /// One round trip; a second one for a value with tags that were not known beforehand.
    async fn read(
        &self,
        question: &Question,
        counters: &Counters,
    ) -> Result<Option<Stored>, Failed> {
        let mut both = redis::pipe();
        // Not as one: a value that hangs on the generations of a moment later is valid at that moment. And no
        // more of it than a value can have.
        both.cmd("GETRANGE").arg(self.keys.value(question.slot)).arg(0).arg(self.most_bytes());
        both.cmd("MGET");
        question.ids.iter().for_each(|id| {
            both.arg(self.keys.generation(*id));
        });
        both.ignore_errors();
        let (value, generations): (Result<Bytes, RedisError>, Vec<Option<Vec<u8>>>) =
            self.call(async |redis| both.query_async(redis).await).await?;
        let Ok(value) = value else {
            // Something is there, and it is no string of bytes.
            count(&counters.l2_rejected);
            return Ok(None);
        };
        if value.is_empty() {
            return Ok(None);
        }
        let generations = generations.iter().map(|found| found.as_deref().and_then(generation));
        self.valid(question, value, generations.collect(), counters).await
    }

    /// The longest envelope.
    fn most_bytes(&self) -> usize {
        self.max_value_bytes.saturating_add(AROUND_BYTES)
    }

    /// The value in `bytes` where all that it hangs on is as it was.
    async fn valid(
        &self,
        question: &Question,
        bytes: Bytes,
        generations: Vec<Option<Generation>>,
        counters: &Counters,
    ) -> Result<Option<Stored>, Failed> {
        let Some(envelope) = Envelope::open(&bytes, &self.place(question)) else {
            count(&counters.l2_rejected);
            return Ok(None);
        };
        let now: HashMap<Id, Option<Generation>> =
            question.ids.iter().copied().zip(generations).collect();
        let mut later = Vec::new();
        for (id, then) in &envelope.generations {
            match now.get(id) {
                Some(now) if *now == Some(*then) => {}
                Some(_) => return Ok(None),
                None => later.push((*id, *then)),
            }
        }
        // Without these it would hang on nothing.
        let is_whole =
            question.ids.iter().all(|id| envelope.generations.iter().any(|(known, _)| known == id));
        if !is_whole || !self.are_current(&later).await? {
            return Ok(None);
        }
        let Some(now) = self.shared_now() else { return Ok(None) };
        let age = now.saturating_sub(envelope.written);
        let fresh_for = envelope.fresh_for.saturating_sub(age);
        let keep_for = envelope.keep_for.saturating_sub(age);
        let tags = envelope.generations.iter().map(|(id, _)| *id);
        let tags = tags.filter(|id| !question.ids[..FIXED].contains(id)).collect();
        let stored = Stored { value: envelope.value, tags, fresh_for, keep_for };
        Ok((fresh_for > 0).then_some(stored))
    }

    async fn are_current(&self, generations: &[(Id, Generation)]) -> Result<bool, Failed> {
        if generations.is_empty() {
            return Ok(true);
        }
        let mut mget = redis::cmd("MGET");
        generations.iter().for_each(|(id, _)| {
            mget.arg(self.keys.generation(*id));
        });
        let found: Vec<Option<Vec<u8>>> =
            self.call(async |redis| mget.query_async(redis).await).await?;
        let found = found.iter().map(|found| found.as_deref().and_then(generation));
        Ok(found.eq(generations.iter().map(|(_, then)| Some(*then))))
    }

    /// Invalidates the targets for all processes; false where that was not possible now.
    pub(crate) async fn report(&self, targets: &[Target], events: &[u128]) -> bool {
        // Not behind what waits already: this process reads nothing there before that is made, and if each one
        // waited for the one before, they would wait for ever where they come faster than they go.
        self.tell(targets, events).await.is_ok()
    }

    /// Invalidates the targets for all processes before this one reads there again.
    pub(crate) fn report_later(&self, targets: &[Target], events: &[u128]) {
        self.pending.add(targets, events);
    }

    pub(crate) fn propagation(&self) -> Propagation {
        if self.pending.is_empty() { Propagation::Now } else { Propagation::Queued }
    }

    async fn tell(&self, targets: &[Target], events: &[u128]) -> Result<(), Failed> {
        let mut script = INVALIDATE.prepare_invoke();
        script
            .key(self.keys.messages())
            .arg(self.messages)
            .arg(backplane::targets_as_bytes(targets))
            .arg(&self.node)
            .arg(self.keep_generations)
            // Far from the end of the numbers, which are counted up from here.
            .arg(u64::from_be_bytes(crate::random::bits()) >> 2)
            .arg(backplane::events_as_bytes(events))
            .arg(events.len());
        for event in events {
            script.key(self.keys.of(b"e:", &event.to_be_bytes()));
        }
        for target in targets {
            script.key(self.keys.generation(target.id()));
        }
        let scopes: HashSet<Id> = targets.iter().filter_map(|target| target.scope).collect();
        for scope in scopes {
            script.arg(self.keys.changed(scope));
        }
        self.call(async |redis| script.invoke_async::<i64>(redis).await).await?;
        Ok(())
    }

    /// Makes up for invalidations that Redis did not hear of.
    async fn catch_up(&self) -> Result<(), Failed> {
        while let Some((targets, events)) = self.pending.first() {
            self.tell(&targets, &events).await?;
            self.pending.done();
        }
        Ok(())
    }

    /// What time it is in Redis.
    pub(crate) async fn time(&self) -> Option<u64> {
        self.call(async |redis| redis::cmd("TIME").query_async(redis).await).await.ok().map(time)
    }

    /// Says up to when everything was reported. A later beat that says less takes nothing back: processes keep
    /// to the best that they heard.
    pub(crate) async fn beat(&self, moment: u64) {
        if !self.pending.is_empty() {
            return;
        }
        let beat =
            redis::cmd("SET").arg(self.keys.beat()).arg(moment).arg("PX").arg(60_000).to_owned();
        // A beat that is lost is followed by another.
        let _ = self.call(async |redis| beat.query_async::<()>(redis).await).await;
    }

    pub(crate) fn stats(&self) -> L2Stats {
        L2Stats {
            is_trusted: self.is_usable(),
            is_called: !self.breaker.is_stopped(),
            breaker_openings: self.breaker.openings(),
            queued_invalidations: self.pending.len() as u64,
            messages: self.followed.load(Relaxed),
            gaps: self.gaps.load(Relaxed),
        }
    }

    /// Whether what lies there may be read: everything that was invalidated is invalid there too.
    fn is_usable(&self) -> bool {
        self.pending.is_empty() && self.shared.trust.is_l2_trusted(self.shared.clock.now())
    }

    /// What time it is in Redis, at the latest.
    fn shared_now(&self) -> Option<u64> {
        self.shared.trust.shared_now(self.shared.clock.exactly())
    }

    fn place(&self, question: &Question) -> Place<'_> {
        Place {
            secret: &self.shared.secret,
            slot: question.slot,
            schema: question.schema,
            is_encrypted: question.is_encrypted,
            max_value_bytes: self.max_value_bytes,
        }
    }

    /// Woken when the slot's value was stored, or its lease given back.
    fn wait_for(&self, slot: Id) -> Waiter<'_> {
        let notify = Arc::clone(lock(&self.waiting).entry(slot).or_default());
        Waiter { l2: self, slot, notify }
    }

    fn wake(&self, slot: Id) {
        if let Some(notify) = lock(&self.waiting).get(&slot) {
            notify.notify_waiters();
        }
    }

    /// Every call but the backplane's: within the deadline, and not at all where calls keep failing.
    async fn call<T>(
        &self,
        call: impl AsyncFnOnce(&mut MultiplexedConnection) -> Result<T, RedisError>,
    ) -> Result<T, Failed> {
        let now = self.shared.clock.now();
        let permit = self.breaker.permit(now).ok_or(Failed)?;
        let mut used = None;
        let work = async {
            // The handle is cloned and the connection goes back at once: calls share it.
            let shared = used.insert(self.pool.get().await.ok()?.clone()).clone();
            let mut redis = shared.redis.clone();
            Some((call(&mut redis).await, shared))
        };
        match tokio::time::timeout(self.deadline, work).await {
            Ok(Some((Ok(answer), _))) => {
                permit.succeeded();
                Ok(answer)
            }
            Ok(Some((Err(error), shared))) => {
                if error.is_io_error()
                    || error.is_unrecoverable_error()
                    || error.code() == Some("READONLY")
                {
                    shared.give_up();
                }
                tracing::debug!("a call of Redis failed: {error}");
                Err(Failed)
            }
            Ok(None) => Err(Failed),
            Err(_) => {
                // It may be one of which nothing will ever come again.
                used.into_iter().for_each(|shared: connection::Shared| shared.give_up());
                Err(Failed)
            }
        }
    }
}

/// Waits for a slot, and forgets about it.
struct Waiter<'a> {
    l2: &'a L2,
    slot: Id,
    notify: Arc<Notify>,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        /// The map's and this one's own.
        const LAST: usize = 2;
        let mut waiting = lock(&self.l2.waiting);
        if Arc::strong_count(&self.notify) == LAST {
            waiting.remove(&self.slot);
        }
    }
}

/// A generation as it is stored: what it is, and behind it when its scope had changed as it began.
fn generation(stored: &[u8]) -> Option<Generation> {
    stored.first_chunk().copied()
}

/// Seconds and microseconds as milliseconds.
fn time((seconds, microseconds): (u64, u64)) -> u64 {
    seconds * 1_000 + microseconds / 1_000
}
