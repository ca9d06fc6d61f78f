//! The level that processes share: values, their generations, leases, and word of what was invalidated.

mod backplane;
mod breaker;
mod connection;
mod pending;

use std::collections::HashMap;
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
use self::connection::{Identity, Manager};
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
use crate::value::{Body, Entry, FIXED};

/// How Redis is reached and used.
#[derive(Debug, Clone)]
pub struct Redis {
    url: String,
    prefix: String,
    connections: u32,
    deadline: Duration,
    lease: Duration,
    breaker: Breaker,
    messages: u32,
}

impl Redis {
    /// The Redis at an address like `redis://127.0.0.1:6379/0`.
    #[must_use]
    pub fn url(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: "jebi".to_owned(),
            connections: 2,
            deadline: Duration::from_millis(100),
            lease: Duration::from_secs(2),
            breaker: Breaker::default(),
            messages: 10_000,
        }
    }

    /// Begins every key, so that several caches share one Redis. Default `jebi`.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..self }
    }

    /// Connections that all calls share. Default 2.
    #[must_use]
    pub fn connections(self, connections: u32) -> Self {
        Self { connections: connections.max(1), ..self }
    }

    /// How long a call may take; a longer one is a miss. Default 100 ms.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// How long a process that died while it loaded a value keeps the others from loading it. Default 2 s; one
    /// that lives renews it.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// When calls of a failing Redis stop.
    #[must_use]
    pub fn breaker(self, breaker: Breaker) -> Self {
        Self { breaker, ..self }
    }

    /// How many messages are kept for processes that were cut off: one that missed more gives up all it holds.
    /// Default 10,000.
    #[must_use]
    pub fn messages(self, messages: u32) -> Self {
        Self { messages, ..self }
    }
}

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

/// The right to store a value, as long as nothing that it hangs on is invalidated.
#[derive(Debug)]
pub(crate) struct Lease {
    name: Vec<u8>,
    token: [u8; 8],
    since: u64,
    /// The state of the scope when it was given.
    changed: Changed,
    generations: Vec<(Id, Generation)>,
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

/// The names of what lies in Redis. One hash tag, so that all lies in one slot of a cluster.
#[derive(Debug)]
struct Keys {
    prefix: Vec<u8>,
}

impl Keys {
    fn of(&self, kind: &[u8], name: &[u8]) -> Vec<u8> {
        [&self.prefix, kind, name].concat()
    }

    fn value(&self, slot: Id) -> Vec<u8> {
        self.of(b"v:", &slot.0)
    }

    fn generation(&self, id: Id) -> Vec<u8> {
        self.of(b"g:", &id.0)
    }

    /// How often something in a scope has changed.
    fn changed(&self, scope: Id) -> Vec<u8> {
        self.of(b"t:", &scope.0)
    }

    fn waiters(&self, slot: Id) -> Vec<u8> {
        self.of(b"w:", &slot.0)
    }

    fn leases(&self, slot: Id) -> Vec<u8> {
        self.of(b"l:", &slot.0)
    }

    /// All messages.
    fn messages(&self) -> Vec<u8> {
        self.of(b"messages", b"")
    }

    /// Up to when everything was reported.
    fn beat(&self) -> Vec<u8> {
        self.of(b"beat", b"")
    }

    /// What one process is told alone.
    fn node(&self, node: &str) -> Vec<u8> {
        self.of(b"n:", node.as_bytes())
    }
}

macro_rules! script {
    ($name:literal) => {
        LazyLock::new(|| {
            Script::new(concat!(
                include_str!("l2/scripts/found.lua"),
                include_str!(concat!("l2/scripts/", $name))
            ))
        })
    };
}

static LEASE: LazyLock<Script> = script!("lease.lua");
static RENEW: LazyLock<Script> = script!("renew.lua");
static TAGS: LazyLock<Script> = script!("tags.lua");
static SETTLE: LazyLock<Script> = script!("settle.lua");
static INVALIDATE: LazyLock<Script> = script!("invalidate.lua");

/// Why nothing came back.
enum Failed {
    /// It was not asked: it fails, or waits for invalidations.
    NotAsked,
    Asked,
}

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

    /// One round trip.
    async fn ask_lease(&self, question: &Question, counters: &Counters) -> Result<Asked, Failed> {
        let token = crate::random::bits();
        let mut script = LEASE.prepare_invoke();
        script.key(self.keys.value(question.slot)).key(self.keys.changed(question.ids[1]));
        question.ids.iter().for_each(|id| {
            script.key(self.keys.generation(*id));
        });
        script
            .arg(self.keys.leases(question.slot))
            .arg(self.keys.waiters(question.slot))
            .arg(&self.node)
            .arg(&token[..])
            .arg(crate::clock::milliseconds(self.lease).clamp(1, LONGEST))
            .arg(self.keep_generations)
            .arg(&crate::random::bits()[..])
            .arg(self.most_bytes());
        type Answer = (u64, Option<Bytes>, bool, Vec<u8>, Vec<Vec<u8>>);
        let (since, value, is_mine, changed, given): Answer =
            self.call(async |redis| script.invoke_async(redis).await).await?;
        let generations: Option<Vec<Generation>> =
            given.iter().map(|given| generation(given)).collect();
        let generations = generations.filter(|all| all.len() == question.ids.len());
        let (Some(generations), Some(changed)) = (generations, Changed::read(&changed)) else {
            return Err(Failed::Asked);
        };
        let mut name = self.keys.leases(question.slot);
        generations.iter().take(FIXED).for_each(|generation| name.extend(generation));
        let lease = Lease {
            name,
            token,
            since,
            changed,
            generations: question.ids.iter().copied().zip(generations.iter().copied()).collect(),
        };
        if let Some(value) = value {
            let now = generations.into_iter().map(Some).collect();
            if let Some(stored) = self.valid(question, value, now, counters).await? {
                if is_mine {
                    self.give_back(question, &lease).await;
                }
                return Ok(Asked::Found(stored));
            }
        }
        Ok(if is_mine { Asked::Mine(lease) } else { Asked::Theirs })
    }

    /// Stores what was loaded under a lease, or gives the lease back; wakes who waits for it. Two round trips
    /// where the loader named tags, else one.
    pub(crate) async fn settle(
        &self,
        question: &Question,
        mut lease: Lease,
        found: Option<(&Entry, (u64, u64))>,
        counters: &Counters,
    ) {
        let mut value = Bytes::new();
        let mut keep = 1;
        if let Some((entry, (fresh_for, keep_for))) = found
            && fresh_for > 0
            && self.add_tags(question, &mut lease, entry).await
        {
            let envelope = Envelope {
                value: entry.value.clone(),
                written: lease.since,
                fresh_for,
                keep_for,
                generations: lease.generations.clone(),
            };
            if let Some(sealed) = envelope.seal(&self.place(question), self.compression)
                && sealed.len() <= self.most_bytes()
            {
                counters.stored(entry.value.as_ref().map_or(0, Body::weight), sealed.len());
                (value, keep) = (sealed, keep_for.clamp(1, LONGEST));
            }
        }
        if self.end(question, &lease, &value, keep).await.is_err() {
            count(&counters.l2_errors);
        }
    }

    /// Takes up the tags that the loader named; false where one was invalidated since the load began.
    async fn add_tags(&self, question: &Question, lease: &mut Lease, entry: &Entry) -> bool {
        let known = |id: &Id| question.ids.contains(id);
        let tags: Vec<Id> = entry.tags().filter(|id| !known(id)).collect();
        if tags.is_empty() {
            return true;
        }
        if question.ids.len() + tags.len() > MOST_IDS {
            return false;
        }
        let mut script = TAGS.prepare_invoke();
        script.key(self.keys.changed(question.ids[1]));
        tags.iter().for_each(|id| {
            script.key(self.keys.generation(*id));
        });
        script.arg(self.keep_generations).arg(&crate::random::bits()[..]);
        let given: Result<Vec<Vec<u8>>, Failed> =
            self.call(async |redis| script.invoke_async(redis).await).await;
        let given = given.unwrap_or_default();
        let is_unchanged = |given: &Vec<u8>| {
            let began = given.get(size_of::<Generation>()..).and_then(Changed::read);
            began.is_some_and(|began| began.is_no_later_than(lease.changed))
        };
        if given.len() != tags.len() || !given.iter().all(is_unchanged) {
            return false;
        }
        let generations = given.iter().filter_map(|given| generation(given));
        lease.generations.extend(tags.into_iter().zip(generations));
        true
    }

    /// Runs a load and renews its lease until it ends.
    pub(crate) async fn hold<T>(&self, lease: &Lease, load: impl Future<Output = T>) -> T {
        let mut load = std::pin::pin!(load);
        let renew = async {
            loop {
                tokio::time::sleep(self.lease / 3).await;
                let mut script = RENEW.prepare_invoke();
                script
                    .key(&lease.name)
                    .arg(&lease.token[..])
                    .arg(crate::clock::milliseconds(self.lease).clamp(1, LONGEST));
                // Where it fails, somebody else may load the value too.
                let _ = self.call(async |redis| script.invoke_async::<i64>(redis).await).await;
            }
        };
        tokio::select! {
            loaded = &mut load => loaded,
            never = renew => never,
        }
    }

    async fn give_back(&self, question: &Question, lease: &Lease) {
        // Where it fails, the lease ends by itself.
        let _ = self.end(question, lease, &Bytes::new(), 1).await;
    }

    async fn end(
        &self,
        question: &Question,
        lease: &Lease,
        value: &[u8],
        keep: u64,
    ) -> Result<bool, Failed> {
        let mut script = SETTLE.prepare_invoke();
        script
            .key(self.keys.value(question.slot))
            .key(&lease.name)
            .key(self.keys.waiters(question.slot))
            .arg(&lease.token[..])
            .arg(value)
            .arg(keep)
            .arg(self.keys.node(""))
            .arg(&question.slot.0[..]);
        for (id, generation) in &lease.generations {
            script.key(self.keys.generation(*id)).arg(&generation[..]);
        }
        self.call(async |redis| script.invoke_async(redis).await).await
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
            target.scope.into_iter().for_each(|scope| {
                script.arg(self.keys.changed(scope));
            });
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
        let permit = self.breaker.permit(now).ok_or(Failed::NotAsked)?;
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
                Err(Failed::Asked)
            }
            Ok(None) => Err(Failed::Asked),
            Err(_) => {
                // It may be one of which nothing will ever come again.
                used.into_iter().for_each(|shared: connection::Shared| shared.give_up());
                Err(Failed::Asked)
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

enum Asked {
    Found(Stored),
    Mine(Lease),
    Theirs,
}

/// A generation as it is stored: what it is, and behind it when its scope had changed as it began.
fn generation(stored: &[u8]) -> Option<Generation> {
    stored.first_chunk().copied()
}

/// The state of a scope: which of its lives it is in, and how often something in it has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Changed {
    life: [u8; 8],
    count: u64,
}

impl Changed {
    fn read(stored: &[u8]) -> Option<Self> {
        let (life, count) = stored.split_first_chunk()?;
        Some(Self { life: *life, count: std::str::from_utf8(count).ok()?.parse().ok()? })
    }

    /// Whether nothing can have happened between this state and `later` that `later` does not count.
    fn is_no_later_than(self, later: Self) -> bool {
        self.life == later.life && self.count <= later.count
    }
}

/// Seconds and microseconds as milliseconds.
fn time((seconds, microseconds): (u64, u64)) -> u64 {
    seconds * 1_000 + microseconds / 1_000
}
