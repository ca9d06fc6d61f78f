//! The path of a question: the process, Redis, one load per key. Read top to bottom.

use std::collections::HashSet;
use std::error::Error as StdError;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::clock::{Clock, milliseconds};
use crate::config::{Builder, Forsaken, NamespaceConfig, Vouching};
use crate::error::{Error, LoadError};
use crate::flight::{Fixed, Flight, Flights, Pilot, Seat};
use crate::generation::{Cell, Generations, Target};
use crate::journal::Journal;
use crate::key::{CacheKey, Id, Key, KeyBytes, KeyRef, Scope, Secret};
use crate::l1::Store;
use crate::l2::{L2, Lookup, Question, Stored};
use crate::load::Load;
use crate::rules::{Checked, Event};
use crate::stats::{Counters, L2Stats, NamespaceStats, Stats, count};
use crate::sync::{Tasks, within};
use crate::trust::{Moment, Trust};
use crate::value::{Body, Entry, Freshness, Hit, Level, Loaded};

/// Two levels of cache behind one call. A clone is the same cache.
#[derive(Debug, Clone)]
pub struct Cache(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) generations: Arc<Generations>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) clock: Clock,
    pub(crate) secret: Secret,
    pub(crate) namespaces: Vec<Space>,
    pub(crate) journal: Arc<Journal>,
    flights: Arc<Flights>,
    l2: Option<Arc<L2>>,
    rules: Checked,
    tasks: Tasks,
    max_value_bytes: u64,
}

/// A namespace as it is used.
#[derive(Debug)]
pub(crate) struct Space {
    pub(crate) config: NamespaceConfig,
    pub(crate) id: Id,
    pub(crate) counters: Counters,
    /// In milliseconds: [`NamespaceConfig::fresh_for`] and so on.
    ttl: Ttl,
    cell: Arc<Cell>,
}

#[derive(Debug, Clone, Copy)]
struct Ttl {
    fresh: u64,
    stale: u64,
    negative: u64,
    errors: u64,
}

/// What a key is taken to weigh where only its name outside the process is at hand.
const KEY_BYTES: usize = 64;

type LoaderError = Arc<dyn StdError + Send + Sync>;
type Loader = Box<dyn FnOnce(Load) -> BoxFuture<'static, Result<Loaded, LoaderError>> + Send>;

impl Inner {
    pub(crate) fn new(builder: &Builder, rules: Checked) -> Result<Self, Error> {
        let secret = Secret::new(&builder.secret);
        let generations = Arc::new(Generations::new());
        let clock = builder.clock.clone().unwrap_or_else(Clock::system);
        let trust = Arc::new(match (builder.vouching, &builder.redis) {
            (Vouching::Caches, None) => Trust::always(),
            (Vouching::Caches, Some(_)) | (Vouching::Outside, _) => {
                Trust::until_vouched(milliseconds(builder.max_staleness))
            }
        });
        let namespaces: Vec<Space> = builder
            .namespaces
            .iter()
            .map(|config| Space::new(config.clone(), &secret, &generations))
            .collect();
        let journal = Arc::new(Journal::default());
        let tasks = Tasks::current();
        let l2 = match &builder.redis {
            Some(redis) => {
                let all = namespaces.iter().map(|space| space.id).collect();
                let shared = crate::l2::Shared {
                    generations: Arc::clone(&generations),
                    trust: Arc::clone(&trust),
                    journal: Arc::clone(&journal),
                    clock: clock.clone(),
                    secret: secret.clone(),
                };
                Some(L2::new(redis, builder, all, shared, &tasks)?)
            }
            None => None,
        };
        Ok(Self {
            store: Store::new(builder.l1),
            generations,
            trust,
            clock,
            secret,
            namespaces,
            journal,
            flights: Arc::default(),
            l2,
            rules,
            tasks,
            max_value_bytes: builder.max_value_bytes as u64,
        })
    }
}

impl Space {
    fn new(config: NamespaceConfig, secret: &Secret, generations: &Generations) -> Self {
        let id = secret.namespace(&config.name);
        let ttl = Ttl {
            fresh: milliseconds(config.fresh_for),
            stale: milliseconds(config.stale_for),
            negative: milliseconds(config.negative_for),
            errors: milliseconds(config.errors_for),
        };
        Self { id, ttl, cell: generations.cell(id, None), config, counters: Counters::default() }
    }
}

impl Cache {
    /// Begins to build a cache.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A handle to a namespace that was declared.
    ///
    /// # Errors
    /// [`Error::UnknownNamespace`].
    pub fn namespace(&self, name: &str) -> Result<Namespace, Error> {
        let index = self.0.namespaces.iter().position(|space| space.config.name == name);
        let index = index.and_then(|index| u16::try_from(index).ok());
        let unknown = || Error::UnknownNamespace {
            where_from: "a handle".to_owned(),
            namespace: name.to_owned(),
        };
        Ok(Namespace { cache: self.clone(), index: index.ok_or_else(unknown)? })
    }

    /// Says that an event happened: what the rules name for it is invalid in this process when this
    /// returns, and in the others within the staleness bound. An event that was heard of before, by its
    /// id, changes nothing. One call of Redis, whatever the event reaches.
    pub async fn emit(&self, event: &Event<'_>) -> Applied {
        self.emit_all(std::slice::from_ref(event)).await
    }

    /// The same for many events. One call of Redis for 500 of them.
    pub async fn emit_all(&self, events: &[Event<'_>]) -> Applied {
        /// As many as keep Redis no longer than a millisecond or two.
        const AT_ONCE: usize = 500;
        let mut applied = Applied { l2: self.propagation() };
        for events in events.chunks(AT_ONCE) {
            let (targets, ids) = self.news(events);
            let why = events.first().map_or("", |event| event.name);
            if targets.is_empty() {
                continue;
            }
            let now = self.invalidate(&targets, &ids, why).await;
            // One that waits makes all of them wait.
            if applied.l2 != Propagation::Queued {
                applied = now;
            }
        }
        applied
    }

    /// Follows an event in this process alone: for a process that hears of what others did from
    /// something else than Redis. No call of Redis.
    pub fn hear(&self, event: &Event<'_>) {
        // Not noted as known: Redis may not have heard of it, and what is read there now may be old.
        let (targets, _) = self.news(std::slice::from_ref(event));
        if !targets.is_empty() {
            self.change(&targets, event.name);
        }
    }

    /// Now, to be given to one of the `vouch` calls later. One call of Redis.
    pub async fn moment(&self) -> Moment {
        let here = self.0.clock.exactly();
        let shared = match &self.0.l2 {
            Some(l2) => l2.time().await,
            None => None,
        };
        Moment { here, shared }
    }

    /// Vouches, for every process, that all that was written before `moment` has been reported with
    /// [`Cache::emit`]. One call of Redis.
    pub async fn vouch_for_all(&self, moment: Moment) {
        self.vouch_for_this_process(moment);
        if let (Some(l2), Some(shared)) = (&self.0.l2, moment.shared) {
            l2.beat(shared).await;
        }
    }

    /// Vouches that this process has been told, by [`Cache::emit`] or [`Cache::hear`], of all that was
    /// written before `moment`. No call of Redis.
    pub fn vouch_for_this_process(&self, moment: Moment) {
        self.0.trust.vouch_l1(moment.here);
    }

    /// Empties every namespace, for every process. One call of Redis.
    pub async fn clear(&self) -> Applied {
        let all = self.0.namespaces.iter().map(|space| space.id);
        let targets: Vec<Target> =
            all.map(|namespace| Target { namespace, scope: None, tag: None }).collect();
        self.invalidate(&targets, &[], "clear").await
    }

    /// Gives up all that this process holds, for a process that may have missed something. No call of Redis.
    pub fn clear_this_process(&self) {
        self.0.generations.change_all();
    }

    /// What has happened since the cache was built. Reads all of the level in the process.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let inner = &self.0;
        let held = inner.store.by_namespace(inner.namespaces.len());
        let read =
            |(space, held): (&Space, (u64, u64))| space.counters.read(&space.config.name, held);
        Stats {
            namespaces: inner.namespaces.iter().zip(held).map(read).collect(),
            l2: self.l2_stats(),
            is_l1_trusted: inner.trust.is_l1_trusted(inner.clock.now()),
            generations: inner.generations.len() as u64,
            flights: inner.flights.len() as u64,
        }
    }

    /// What happened in each namespace, without looking at what is held: `entries` and `bytes` are 0. Reads some
    /// numbers for each namespace, however much is held.
    #[must_use]
    pub fn counts(&self) -> Vec<NamespaceStats> {
        let read = |space: &Space| space.counters.read(&space.config.name, (0, 0));
        self.0.namespaces.iter().map(read).collect()
    }

    /// How Redis stands; `None` where none is configured. Reads a few numbers.
    #[must_use]
    pub fn l2_stats(&self) -> Option<L2Stats> {
        self.0.l2.as_ref().map(|l2| l2.stats())
    }

    /// What the events reach that were not heard of before, and the ids of those.
    fn news(&self, events: &[Event<'_>]) -> (Vec<Target>, Vec<u128>) {
        let is_news = |event: &&Event<'_>| event.id.is_none_or(|id| self.0.journal.is_news(id));
        let mut known = HashSet::new();
        let (mut targets, mut ids) = (Vec::new(), Vec::new());
        for event in events.iter().filter(is_news) {
            let reached = self.targets(event);
            targets.extend(reached.into_iter().filter(|target| known.insert(*target)));
            ids.extend(event.id);
        }
        (targets, ids)
    }

    fn targets(&self, event: &Event<'_>) -> Vec<Target> {
        let inner = &self.0;
        let Some(reached) = inner.rules.reached(event) else {
            tracing::debug!(event = event.name, "an event without a rule invalidates nothing");
            return Vec::new();
        };
        let target = |(name, tag): (&str, Option<String>)| {
            let space = inner.namespaces.iter().find(|space| space.config.name == name)?;
            let scope = inner.secret.scope(space.id, event.scope);
            let tag = tag.map(|tag| inner.secret.tag(scope, &tag));
            Some(Target { namespace: space.id, scope: Some(scope), tag })
        };
        reached.into_iter().filter_map(target).collect()
    }

    async fn invalidate(&self, targets: &[Target], events: &[u128], why: &str) -> Applied {
        // Before and after: what reads Redis in between could still find the old value there.
        self.change(targets, why);
        let Some(l2) = &self.0.l2 else {
            self.0.journal.heard(events);
            return Applied { l2: Propagation::None };
        };
        let mut report = Report { cache: self, l2, targets, events, why, is_made: false };
        report.is_made = l2.report(targets, events).await;
        Applied { l2: if report.is_made { Propagation::Now } else { Propagation::Queued } }
    }

    fn change(&self, targets: &[Target], why: &str) {
        let inner = &self.0;
        inner.generations.change(targets);
        inner.journal.changed(targets, why, inner.clock.now());
        for space in &inner.namespaces {
            if targets.iter().any(|target| target.namespace == space.id) {
                count(&space.counters.invalidations);
            }
        }
    }

    fn propagation(&self) -> Propagation {
        self.0.l2.as_ref().map_or(Propagation::None, |l2| l2.propagation())
    }
}

/// A report to Redis. What it cannot do now is done later, also where its caller goes away.
struct Report<'a> {
    cache: &'a Cache,
    l2: &'a L2,
    targets: &'a [Target],
    events: &'a [u128],
    why: &'a str,
    is_made: bool,
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        if !self.is_made {
            self.l2.report_later(self.targets, self.events);
        }
        self.cache.change(self.targets, self.why);
        self.cache.0.journal.heard(self.events);
    }
}

/// How far an invalidation has come when the call returns. In this process it is done in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// In Redis.
    pub l2: Propagation,
}

/// How far an invalidation has come in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// It is done.
    Now,
    /// Redis cannot be reached; it is done before this process reads there again.
    Queued,
    /// There is no Redis.
    None,
}

/// A handle to one namespace. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Namespace {
    cache: Cache,
    index: u16,
}

impl Namespace {
    /// What this process holds, without waiting and without a load: fresh, or past its soft TTL and not
    /// refreshed for it. No allocation for keys up to 120 bytes.
    #[inline]
    pub fn try_get<K: CacheKey + ?Sized>(&self, key: &K) -> Option<Hit> {
        let bytes = KeyBytes::of(key);
        let key = bytes.in_namespace(self.index, key.scope());
        self.space().counters.hit(|| self.look(&key).0)
    }

    /// [`Namespace::try_get`] without its counters, to tell what they cost.
    #[cfg(feature = "internals")]
    #[inline]
    pub(crate) fn try_get_uncounted<K: CacheKey + ?Sized>(&self, key: &K) -> Option<Hit> {
        let bytes = KeyBytes::of(key);
        let key = bytes.in_namespace(self.index, key.scope());
        self.look(&key).0
    }

    /// Holds `body` in place of that of `hit`, for as long as that would have been held: the same value with something beside it that
    /// nobody had asked for before, as its gzip form. Does nothing where this process does not hold the hit any more. Redis is not
    /// told. It copies the list of what the value hangs on, and no bytes of it.
    pub fn replace_body<K: CacheKey + ?Sized>(&self, key: &K, hit: &Hit, body: Body) {
        let bytes = KeyBytes::of(key);
        let wanted = bytes.in_namespace(self.index, key.scope());
        let inner = self.inner();
        let held = inner.store.get(&wanted);
        if held.is_some_and(|held| Arc::ptr_eq(&held, &hit.entry)) {
            let entry = hit.entry.with_body(body);
            if entry.weight <= inner.max_value_bytes {
                inner.store.insert(wanted.to_key(), Arc::new(entry));
            }
        }
    }

    /// The value of `key`: from this process, from Redis, or from `load`, which runs once however many
    /// callers want it, in a task of its own. A hit in this process allocates nothing.
    ///
    /// # Errors
    /// Only what the load came to; see [`LoadError`]. A failing Redis is a miss.
    pub async fn get_or_load<K, F, R, E>(&self, key: &K, load: F) -> Result<Hit, LoadError>
    where
        K: CacheKey + ?Sized,
        F: FnOnce(Load) -> R + Send + 'static,
        R: Future<Output = Result<Loaded, E>> + Send + 'static,
        E: StdError + Send + Sync + 'static,
    {
        let bytes = KeyBytes::of(key);
        let wanted = bytes.in_namespace(self.index, key.scope());
        let mut kept = None;
        let hit = self.space().counters.hit(|| {
            let (hit, found) = self.look(&wanted);
            kept = found;
            hit
        });
        match hit {
            Some(hit) if hit.freshness == Freshness::Fresh => Ok(hit),
            hit => {
                let load = boxed(load);
                let tags = key.tags().map(str::to_owned).collect();
                let wanted = wanted.to_key();
                // The long way is a future of its own, so that a hit does not carry its size.
                Box::pin(self.clone().miss(wanted, tags, hit, kept, load)).await
            }
        }
    }

    /// Invalidates one entry everywhere. One call of Redis.
    pub async fn invalidate<K: CacheKey + ?Sized>(&self, key: &K) -> Applied {
        let scope = self.scope_id(key.scope());
        let id = self.inner().secret.key(scope, KeyBytes::of(key).as_slice());
        self.invalidate_target(Some(scope), Some(id), "invalidate").await
    }

    /// Invalidates the entries of a scope that carry a tag, everywhere. One call of Redis, however many
    /// they are.
    pub async fn invalidate_tag(&self, scope: Scope, tag: &str) -> Applied {
        let scope = self.scope_id(scope);
        let id = self.inner().secret.tag(scope, tag);
        self.invalidate_target(Some(scope), Some(id), "invalidate_tag").await
    }

    /// Invalidates all entries of a scope, everywhere. One call of Redis.
    pub async fn invalidate_scope(&self, scope: Scope) -> Applied {
        self.invalidate_target(Some(self.scope_id(scope)), None, "invalidate_scope").await
    }

    /// Invalidates all entries, everywhere. One call of Redis.
    pub async fn clear(&self) -> Applied {
        self.invalidate_target(None, None, "clear").await
    }

    /// What has happened in this namespace. Reads all of the level in the process.
    #[must_use]
    pub fn stats(&self) -> NamespaceStats {
        let held = self.inner().store.by_namespace(self.inner().namespaces.len());
        let held = held.get(usize::from(self.index)).copied().unwrap_or_default();
        self.space().counters.read(&self.space().config.name, held)
    }

    async fn invalidate_target(&self, scope: Option<Id>, tag: Option<Id>, why: &str) -> Applied {
        let target = Target { namespace: self.space().id, scope, tag };
        self.cache.invalidate(&[target], &[], why).await
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.cache.0
    }

    pub(crate) fn index(&self) -> u16 {
        self.index
    }

    #[inline]
    pub(crate) fn space(&self) -> &Space {
        &self.inner().namespaces[usize::from(self.index)]
    }

    pub(crate) fn scope_id(&self, scope: Scope) -> Id {
        self.inner().secret.scope(self.space().id, scope)
    }

    /// What this process can answer, and what it holds at all.
    #[inline]
    fn look(&self, key: &KeyRef<'_>) -> (Option<Hit>, Option<Arc<Entry>>) {
        let inner = self.inner();
        let Some(entry) = inner.store.get(key) else { return (None, None) };
        let now = inner.clock.now();
        let is_valid = inner.trust.is_l1_trusted(now) && self.is_valid(&entry) && now < entry.hard;
        if !is_valid {
            return (None, Some(entry));
        }
        let freshness = if now < entry.soft { Freshness::Fresh } else { Freshness::Refreshing };
        (Some(Hit { entry, level: Level::L1, freshness }), None)
    }

    /// `hit` is past its soft TTL; `kept` is held and cannot be answered as it is.
    async fn miss(
        self,
        key: Key,
        tags: Vec<String>,
        hit: Option<Hit>,
        kept: Option<Arc<Entry>>,
        load: Loader,
    ) -> Result<Hit, LoadError> {
        let counters = &self.space().counters;
        if hit.is_none() {
            count(&counters.l1_misses);
        }
        let previous = hit.as_ref().map(|hit| Arc::clone(&hit.entry)).or_else(|| kept.clone());
        let mut load = Some((load, tags, previous));
        loop {
            let now = self.inner().clock.now();
            let generations = &self.inner().generations;
            let seat = self.inner().flights.board(&key, generations, now, || self.begin(&key))?;
            let outcome = match seat {
                Seat::First(ticket, pilot) => {
                    // Another load may have ended between this caller's look and its coming aboard.
                    if let (Some(hit), _) = self.look(&key.borrow())
                        && hit.freshness == Freshness::Fresh
                    {
                        pilot.land(Ok(hit.clone()), 0);
                        return Ok(hit);
                    }
                    let (load, tags, previous) = load.take().unwrap_or_else(|| {
                        unreachable!("a caller begins one flight, and returns what it brings")
                    });
                    // Nobody waits for a refresh; it is not forsaken for that.
                    let forsaken = match hit {
                        Some(_) => Forsaken::Finish,
                        None => self.space().config.forsaken,
                    };
                    let work = self.clone().fly(key, pilot, tags, previous, load, forsaken);
                    self.inner().tasks.spawn(work);
                    if let Some(hit) = hit {
                        count(&self.space().counters.refreshing);
                        return Ok(hit);
                    }
                    ticket.landed().await
                }
                Seat::Joined(_) if hit.is_some() => {
                    count(&self.space().counters.refreshing);
                    return hit.ok_or(LoadError::Recursive);
                }
                Seat::Joined(ticket) => {
                    count(&self.space().counters.joined);
                    let is_recent = self.inner().trust.is_recent(ticket.began, now);
                    let outcome = ticket.landed().await;
                    // Something was invalidated since: perhaps before this caller came.
                    if outcome.as_ref().is_ok_and(|hit| !self.is_valid(&hit.entry)) {
                        continue;
                    }
                    outcome.map(|hit| if is_recent { hit } else { self.doubted(hit) })
                }
            };
            return outcome.or_else(|error| self.fall_back(kept, error));
        }
    }

    /// A value whose load began longer ago than an answer may be old, when nobody could say what was
    /// invalidated since.
    fn doubted(&self, hit: Hit) -> Hit {
        count(&self.space().counters.stale);
        Hit { freshness: Freshness::Stale, ..hit }
    }

    #[inline]
    fn is_valid(&self, entry: &Entry) -> bool {
        self.inner().generations.is_valid(entry)
    }

    /// Where the source fails: what is held, unless it is known to be wrong.
    fn fall_back(&self, kept: Option<Arc<Entry>>, error: LoadError) -> Result<Hit, LoadError> {
        let space = self.space();
        let now = self.inner().clock.now();
        let usable =
            kept.filter(|entry| space.config.fail_safe && now < entry.hard && self.is_valid(entry));
        let Some(entry) = usable else { return Err(error) };
        count(&space.counters.stale);
        Ok(Hit { entry, level: Level::L1, freshness: Freshness::Stale })
    }

    /// What a flight notes before it begins.
    fn begin(&self, key: &Key) -> (u64, Fixed) {
        let inner = self.inner();
        let space = self.space();
        let born = inner.generations.now();
        let scope_id = self.scope_id(key.scope);
        let scope = inner.generations.cell(scope_id, Some(&space.cell));
        let own_id = inner.secret.key(scope_id, key.bytes());
        let own = inner.generations.cell(own_id, Some(&scope));
        (born, [(space.id, Arc::clone(&space.cell)), (scope_id, scope), (own_id, own)])
    }

    /// A load from its beginning to its end.
    async fn fly(
        self,
        key: Key,
        pilot: Pilot,
        tags: Vec<String>,
        previous: Option<Arc<Entry>>,
        load: Loader,
        forsaken: Forsaken,
    ) {
        let (inner, space) = (self.inner(), self.space());
        let flight = Arc::clone(&pilot.flight);
        let at = Load::new(&self.cache.0, &flight, previous);
        let tags: Vec<Id> = tags.iter().map(|tag| at.tag(tag)).collect();
        let [(_, _), (scope, _), (own, _)] = &flight.cells;
        let question = Question {
            ids: [space.id, *scope, *own].into_iter().chain(tags).collect(),
            slot: inner.secret.slot(*own, space.config.schema),
            schema: space.config.schema,
            is_encrypted: space.config.is_encrypted,
        };
        let (outcome, lease) = match self.look_outside(&question).await {
            Lookup::Found(stored) => (Ok(self.found_outside(&flight, &at, stored)), None),
            Lookup::Load(lease) => {
                let run = pilot.fly(self.run(&pilot, load, at.clone(), forsaken));
                let loaded = match (&inner.l2, &lease) {
                    (Some(l2), Some(lease)) => l2.hold(lease, run).await,
                    (None, _) | (_, None) => run.await,
                };
                (loaded.map(|loaded| self.entry(&key, &flight, &at, loaded)), lease)
            }
        };
        let outcome = outcome.map(|(entry, level)| {
            let entry = Arc::new(entry);
            if !pilot.if_newest(|| self.keep(&key, &entry)) {
                count(&space.counters.discarded);
            }
            Hit { entry, level, freshness: Freshness::Fresh }
        });
        let found = outcome.as_ref().ok().filter(|_| !at.stays()).map(|hit| Arc::clone(&hit.entry));
        let errors_until = match space.ttl.errors {
            0 => 0,
            errors => inner.clock.now().saturating_add(errors),
        };
        pilot.land(outcome, errors_until);
        // The callers have their answer; now the other processes.
        if let (Some(l2), Some(lease)) = (&inner.l2, lease) {
            let ttl = found.as_ref().map(|entry| {
                let now = inner.clock.now();
                (entry.soft.saturating_sub(now), entry.hard.saturating_sub(now))
            });
            let found = found.as_deref().zip(ttl);
            l2.settle(&question, lease, found, &space.counters).await;
        }
    }

    async fn look_outside(&self, question: &Question) -> Lookup {
        match &self.inner().l2 {
            Some(l2) if self.space().config.is_shared => {
                l2.look_up(question, &self.space().counters).await
            }
            Some(_) | None => Lookup::Load(None),
        }
    }

    async fn run(
        &self,
        pilot: &Pilot,
        load: Loader,
        at: Load,
        forsaken: Forsaken,
    ) -> Result<Loaded, LoadError> {
        let space = self.space();
        count(&space.counters.loads);
        let began = Instant::now();
        let timeout = space.config.load_timeout;
        let work = AssertUnwindSafe(async move { load(at).await }).catch_unwind();
        let forsaken = async {
            match forsaken {
                Forsaken::Finish => std::future::pending().await,
                Forsaken::Abort => pilot.is_forsaken().await,
            }
        };
        let ended = tokio::select! {
            biased;
            ended = within(timeout, work) => ended,
            () = forsaken => Some(Err(Box::new("nobody waited for it") as Box<_>)),
        };
        space.counters.load_took(began);
        let loaded = match ended {
            Some(Ok(Ok(loaded))) => Ok(loaded),
            Some(Ok(Err(error))) => Err(LoadError::Loader(error)),
            Some(Err(panic)) => Err(LoadError::Panicked(message(&*panic))),
            None => Err(LoadError::TimedOut(timeout)),
        };
        if loaded.is_err() {
            count(&space.counters.load_errors);
        }
        loaded
    }

    fn entry(&self, key: &Key, flight: &Flight, at: &Load, loaded: Loaded) -> (Entry, Level) {
        let ttl = self.space().ttl;
        let fresh = at.fresh_for().unwrap_or(match &loaded.0 {
            Some(_) => self.jittered(ttl.fresh),
            None => ttl.negative,
        });
        let stale = if loaded.0.is_some() { ttl.stale } else { 0 };
        let soft = self.inner().clock.now().saturating_add(fresh);
        let times = (soft, soft.saturating_add(stale));
        let cells = at.cells(&flight.cells);
        (Entry::new(loaded.0, flight.born, cells, times, key.bytes().len()), Level::Load)
    }

    fn found_outside(&self, flight: &Flight, at: &Load, stored: Stored) -> (Entry, Level) {
        stored.tags.iter().for_each(|tag| at.tag_id(*tag));
        let now = self.inner().clock.now();
        let times = (now.saturating_add(stored.fresh_for), now.saturating_add(stored.keep_for));
        let cells = at.cells(&flight.cells);
        (Entry::new(stored.value, flight.born, cells, times, KEY_BYTES), Level::L2)
    }

    /// Keeps an entry, unless it was invalidated while it was loaded, or is too large.
    fn keep(&self, key: &Key, entry: &Arc<Entry>) {
        let inner = self.inner();
        if !self.is_valid(entry) {
            count(&self.space().counters.discarded);
        } else if entry.soft > inner.clock.now() && entry.weight <= inner.max_value_bytes {
            inner.store.insert(key.clone(), Arc::clone(entry));
        }
    }

    /// A soft TTL, shortened at random.
    fn jittered(&self, fresh: u64) -> u64 {
        let share = self.space().config.jitter * crate::random::share();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a number of milliseconds, which needs no 53 bits"
        )]
        let less = (fresh as f64 * share) as u64;
        fresh.saturating_sub(less)
    }
}

fn boxed<F, R, E>(load: F) -> Loader
where
    F: FnOnce(Load) -> R + Send + 'static,
    R: Future<Output = Result<Loaded, E>> + Send + 'static,
    E: StdError + Send + Sync + 'static,
{
    Box::new(|at| {
        let load = load(at);
        async { load.await.map_err(|error| Arc::new(error) as LoaderError) }.boxed()
    })
}

fn message(panic: &(dyn std::any::Any + Send)) -> Arc<str> {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message").into()
}
