//! The cache of one process in the orders in which things can happen: shuttle runs each scenario under many
//! schedules and tells the one that failed. How many is `JEBI_INTERLEAVINGS`, from which number they are drawn
//! `JEBI_SEED`; `cargo xtask soak cache` tries a million.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jebi_cache::{
    Body, Builder, Cache, CacheKey, Clock, Event, Forsaken, Freshness, Hit, KeyBytes, Load,
    LoadError, Loaded, Namespace, NamespaceConfig, Scope,
};
use shuttle::future::{JoinHandle, block_on, spawn, yield_now};
use shuttle::rand::{Rng as _, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};

/// Half of the schedules are drawn evenly; the others change tasks rarely, at moments drawn.
fn explore(scenario: impl Fn() + Clone + Send + Sync + 'static) {
    let interleavings = usize::try_from(number("JEBI_INTERLEAVINGS", 600)).expect("it fits");
    let seed = number("JEBI_SEED", 4);
    let config = || {
        let mut config = shuttle::Config::new();
        config.stack_size = 256 << 10;
        config.silence_warnings = true;
        config
    };
    let evenly = RandomScheduler::new_from_seed(seed, interleavings.div_ceil(2));
    shuttle::Runner::new(evenly, config()).run(scenario.clone());
    let rarely = PctScheduler::new_from_seed(seed, 3, interleavings / 2);
    shuttle::Runner::new(rarely, config()).run(scenario);
}

fn number(name: &str, otherwise: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "tests read what the chore says")]
    let said = std::env::var(name).ok();
    said.map_or(otherwise, |said| said.parse().expect("a number"))
}

/// A cache, and a source with one value: the number of times it was written.
#[derive(Debug, Clone)]
struct World {
    cache: Cache,
    pages: Namespace,
    clock: Clock,
    source: Arc<Source>,
}

#[derive(Debug, Default)]
struct Source {
    written: AtomicU64,
    /// The last write whose invalidation has returned.
    invalidated: AtomicU64,
    loads: AtomicU64,
    /// Loads at the same time, now and at most.
    running: AtomicU64,
    most: AtomicU64,
}

const FRESH: Duration = Duration::from_secs(1);
const SELLER: Scope = Scope::new(1);
const KNOWN: &str = "known beforehand";
const LATE: &str = "named by the loader";

/// A key of the one seller.
#[derive(Debug, Clone, Copy)]
struct Key(u64);

impl CacheKey for Key {
    fn scope(&self) -> Scope {
        SELLER
    }

    fn write(&self, bytes: &mut KeyBytes) {
        bytes.u64(self.0);
    }

    fn tags(&self) -> impl Iterator<Item = &str> {
        std::iter::once(KNOWN)
    }
}

fn pages() -> NamespaceConfig {
    NamespaceConfig::new("pages").fresh_for(FRESH).stale_for(Duration::from_secs(3_600)).jitter(0.0)
}

impl World {
    fn new(pages: NamespaceConfig) -> Self {
        Self::of(Cache::builder().namespace(pages))
    }

    fn of(builder: Builder) -> Self {
        let clock = Clock::manual();
        let builder = builder.add_dependency_rule("pages:changed", ["pages"]).clock(clock.clone());
        let cache = builder.build().expect("a good configuration");
        let pages = cache.namespace("pages").expect("declared");
        Self { cache, pages, clock, source: Arc::default() }
    }

    /// Reads, and checks that what is read was loaded after the last invalidation that had returned before.
    async fn read(&self, key: Key, ends: Ends) -> Result<Hit, LoadError> {
        let least = self.source.invalidated.load(SeqCst);
        let source = Arc::clone(&self.source);
        let hit = self.pages.get_or_load(&key, move |at| source.load(at, ends)).await?;
        if hit.freshness() != Freshness::Stale {
            let read = value(&hit);
            assert!(read >= least, "{read} was read, and {least} had been invalidated");
        }
        Ok(hit)
    }

    /// Writes, and invalidates what was written in one of all ways.
    async fn write(&self) {
        let written = self.source.written.fetch_add(1, SeqCst) + 1;
        match thread_rng().gen_range(0..7) {
            0 => self.pages.invalidate(&Key(1)).await,
            1 => self.pages.invalidate_tag(SELLER, KNOWN).await,
            2 => self.pages.invalidate_tag(SELLER, LATE).await,
            3 => self.pages.invalidate_scope(SELLER).await,
            4 => self.pages.clear().await,
            5 => self.cache.emit(&Event::new("pages:changed", SELLER)).await,
            _ => self.cache.clear().await,
        };
        self.source.invalidated.fetch_max(written, SeqCst);
    }

    fn loads(&self) -> u64 {
        self.source.loads.load(SeqCst)
    }
}

fn value(hit: &Hit) -> u64 {
    let body = hit.body().expect("the source always has a value");
    std::str::from_utf8(&body.bytes).ok().and_then(|text| text.parse().ok()).expect("a number")
}

/// How a load comes to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    Well,
    InAnError,
    InAPanic,
    InAnyWay,
}

#[derive(Debug, thiserror::Error)]
#[error("the source is down")]
struct Down;

impl Source {
    /// Reads at once and answers late: what comes between is missed.
    async fn load(self: Arc<Self>, at: Load, ends: Ends) -> Result<Loaded, Down> {
        let running = Running::begin(&self);
        let written = self.written.load(SeqCst);
        let is_named_first = thread_rng().gen_range(0..2) == 0;
        if is_named_first {
            at.add_tag(LATE);
        }
        for _ in 0..thread_rng().gen_range(0..3) {
            yield_now().await;
        }
        at.add_tag(LATE);
        drop(running);
        let ends = match ends {
            Ends::InAnyWay => [Ends::Well, Ends::Well, Ends::InAnError, Ends::InAPanic]
                [thread_rng().gen_range(0..4)],
            known => known,
        };
        match ends {
            Ends::InAnError => Err(Down),
            // Not `panic!`, whose hook takes every panic for the end of the run.
            Ends::InAPanic => std::panic::resume_unwind(Box::new("out of luck")),
            Ends::Well | Ends::InAnyWay => Ok(Body::new(written.to_string()).into()),
        }
    }
}

/// Counts a load as long as it runs, also where it is stopped.
struct Running<'a>(&'a Source);

impl<'a> Running<'a> {
    fn begin(source: &'a Source) -> Self {
        source.loads.fetch_add(1, SeqCst);
        let running = source.running.fetch_add(1, SeqCst) + 1;
        source.most.fetch_max(running, SeqCst);
        Self(source)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

/// Waits for all; what was aborted is none.
async fn all<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<Option<T>> {
    let mut ended = Vec::new();
    for task in tasks {
        ended.push(task.await.ok());
    }
    ended
}

#[test]
fn p1_nothing_is_read_that_was_loaded_before_an_invalidation_which_had_returned() {
    explore(|| {
        block_on(async {
            let world = World::new(pages());
            let readers = (0..2).map(|_| {
                let world = world.clone();
                spawn(async move {
                    for _ in 0..2 {
                        world.read(Key(1), Ends::Well).await.expect("the source is well");
                    }
                })
            });
            let readers: Vec<_> = readers.collect();
            let writers = (0..2).map(|_| {
                let world = world.clone();
                spawn(async move { world.write().await })
            });
            let writers: Vec<_> = writers.collect();
            all(readers).await;
            all(writers).await;
            let last = world.read(Key(1), Ends::Well).await.expect("the source is well");
            assert_eq!(value(&last), 2);
        });
    });
}

#[test]
fn p1_the_same_with_callers_who_leave_and_loads_that_fail() {
    explore(|| {
        block_on(async {
            let forsaken = [Forsaken::Finish, Forsaken::Abort][thread_rng().gen_range(0..2)];
            let errors_for = [0, 10][thread_rng().gen_range(0..2)];
            let config = pages().forsaken(forsaken).errors_for(Duration::from_millis(errors_for));
            let world = World::new(config);
            let readers = (0..3).map(|_| {
                let world = world.clone();
                spawn(async move { world.read(Key(1), Ends::InAnyWay).await })
            });
            let readers: Vec<_> = readers.collect();
            let writer = world.clone();
            let writer = spawn(async move { writer.write().await });
            readers[0].abort();
            for ended in all(readers).await.into_iter().flatten() {
                if let Err(error) = ended {
                    let is_down = error.loader::<Down>().is_some();
                    assert!(is_down || matches!(error, LoadError::Panicked(_)), "{error}");
                }
            }
            writer.await.expect("nobody stops it");
            let last = loop {
                world.clock.advance(Duration::from_millis(10));
                // One that was left may be under way.
                if let Ok(hit) = world.read(Key(1), Ends::Well).await {
                    break hit;
                }
            };
            assert_eq!(value(&last), 1);
        });
    });
}

#[test]
fn p1c_nothing_comes_back_by_a_refresh_or_by_a_load_that_nobody_waits_for() {
    explore(|| {
        block_on(async {
            let world = World::new(pages());
            world.read(Key(1), Ends::Well).await.expect("the source is well");
            world.clock.advance(FRESH);
            let readers = (0..2).map(|_| {
                let world = world.clone();
                spawn(async move {
                    let hit = world.read(Key(1), Ends::Well).await.expect("the source is well");
                    world.read(Key(1), Ends::Well).await.expect("the source is well");
                    hit.freshness()
                })
            });
            let readers: Vec<_> = readers.collect();
            let writer = world.clone();
            let writer = spawn(async move { writer.write().await });
            readers[1].abort();
            all(readers).await;
            writer.await.expect("nobody stops it");
            let last = world.read(Key(1), Ends::Well).await.expect("the source is well");
            assert_eq!(value(&last), 1);
        });
    });
}

#[test]
fn p2_a_caller_after_an_invalidation_never_joins_an_older_load() {
    explore(|| {
        block_on(async {
            let world = World::new(pages());
            let before = world.clone();
            let before = spawn(async move { before.read(Key(1), Ends::Well).await });
            let writers = (0..2).map(|_| {
                let world = world.clone();
                spawn(async move {
                    world.write().await;
                    world.read(Key(1), Ends::Well).await.expect("the source is well");
                })
            });
            let writers: Vec<_> = writers.collect();
            before.await.expect("nobody stops it").expect("it gets what it began");
            all(writers).await;
            assert_eq!(world.cache.stats().flights, 0, "a load that ended is forgotten");
        });
    });
}

#[test]
fn p2_an_older_load_that_ends_does_not_end_a_newer_one() {
    explore(|| {
        block_on(async {
            let world = World::new(pages());
            let before = world.clone();
            let before = spawn(async move { before.read(Key(1), Ends::Well).await });
            world.write().await;
            let after = (0..2).map(|_| {
                let world = world.clone();
                spawn(async move { world.read(Key(1), Ends::Well).await })
            });
            let after: Vec<_> = after.collect();
            for ended in all(after.into_iter().chain([before])).await {
                ended.expect("nobody stops it").expect("the source is well");
            }
            assert!(world.loads() <= 2, "one of before, one of after");
        });
    });
}

#[test]
fn p9_trust_that_comes_back_does_not_vouch_for_what_was_held_without_it() {
    explore(|| {
        block_on(async {
            let world = World::of(Cache::builder().namespace(pages()).vouched_from_outside());
            let moment = world.cache.moment().await;
            world.cache.vouch_for_this_process(moment);
            world.read(Key(1), Ends::Well).await.expect("the source is well");
            let reader = world.clone();
            let reader = spawn(async move { reader.read(Key(1), Ends::Well).await });
            // Another process writes; this one is told when its trust has long run out.
            let written = world.source.written.fetch_add(1, SeqCst) + 1;
            world.clock.advance(Duration::from_secs(3));
            world.source.invalidated.store(written, SeqCst);
            let late = world.clone();
            let late = spawn(async move { late.read(Key(1), Ends::Well).await });
            let moment = world.cache.moment().await;
            world.cache.hear(&Event::new("pages:changed", SELLER));
            world.cache.vouch_for_this_process(moment);
            for ended in all([reader, late]).await {
                ended.expect("nobody stops it").expect("the source is well");
            }
        });
    });
}

#[test]
fn p10_whoever_stays_gets_a_value_of_one_load_whoever_leaves() {
    explore(|| {
        block_on(async {
            let world = World::new(pages());
            let callers: Vec<_> = (0..4)
                .map(|_| {
                    let world = world.clone();
                    spawn(async move { world.read(Key(1), Ends::Well).await })
                })
                .collect();
            let unpolled = world.read(Key(1), Ends::Well);
            callers[0].abort();
            callers[2].abort();
            let ended = all(callers).await;
            for at in [1, 3] {
                ended[at].as_ref().expect("it stayed").as_ref().expect("the source is well");
            }
            drop(unpolled);
            assert_eq!(world.loads(), 1);
        });
    });
}

#[test]
fn p10_a_load_that_may_be_aborted_is_never_taken_from_one_who_waits() {
    explore(|| {
        block_on(async {
            let world = World::new(pages().forsaken(Forsaken::Abort));
            let callers: Vec<_> = (0..4)
                .map(|_| {
                    let world = world.clone();
                    spawn(async move { world.read(Key(1), Ends::Well).await })
                })
                .collect();
            callers[0].abort();
            callers[2].abort();
            let ended = all(callers).await;
            for at in [1, 3] {
                ended[at].as_ref().expect("it stayed").as_ref().expect("the source is well");
            }
            // One that was forsaken, and the one of those who stayed.
            assert!((1..=3).contains(&world.loads()));
        });
    });
}

#[test]
fn p11_a_panic_is_told_to_all_who_waited_and_to_nobody_else() {
    explore(|| {
        block_on(async {
            let world = World::new(pages());
            let callers: Vec<_> = (0..3)
                .map(|_| {
                    let world = world.clone();
                    spawn(async move { world.read(Key(1), Ends::InAPanic).await })
                })
                .collect();
            for ended in all(callers).await {
                let error = ended.expect("nobody stops it").expect_err("the loader panics");
                assert!(matches!(&error, LoadError::Panicked(why) if &**why == "out of luck"));
            }
            assert_eq!(world.cache.stats().flights, 0);
            assert_eq!(value(&world.read(Key(1), Ends::Well).await.expect("well again")), 0);
        });
    });
}

#[test]
fn p12_a_failure_is_shared_and_kept_as_long_as_it_was_said() {
    explore(|| {
        block_on(async {
            let world = World::new(pages().errors_for(FRESH));
            let callers: Vec<_> = (0..4)
                .map(|_| {
                    let world = world.clone();
                    spawn(async move { world.read(Key(1), Ends::InAnError).await })
                })
                .collect();
            for ended in all(callers).await {
                let error = ended.expect("nobody stops it").expect_err("the source is down");
                assert!(error.loader::<Down>().is_some(), "{error}");
            }
            assert_eq!(world.loads(), 1, "also for those who came after it had failed");
            world.clock.advance(FRESH);
            world.read(Key(1), Ends::Well).await.expect("the source is well again");
            assert_eq!(world.loads(), 2);
        });
    });
}

/// Each key's loader asks for the others, as far as `depth`.
fn nested(world: World, key: Key, depth: u64) -> BoxFuture<'static, Result<Hit, LoadError>> {
    let inner = world.clone();
    let load = move |_| async move {
        for other in 1..4 {
            if depth > 0 && thread_rng().gen_range(0..2) == 0 {
                // A circle is an error of the innermost one alone.
                match nested(inner.clone(), Key(other), depth - 1).await {
                    Ok(_) | Err(LoadError::Recursive) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Loaded::from(Body::new("0")))
    };
    async move { world.pages.get_or_load(&key, load).await }.boxed()
}

#[test]
fn p13_loads_that_ask_for_each_other_never_wait_in_a_circle() {
    explore(|| {
        block_on(async {
            let world = World::new(pages());
            let callers: Vec<_> = (1..4)
                .map(|key| {
                    let world = world.clone();
                    spawn(async move { nested(world, Key(key), 2).await })
                })
                .collect();
            for ended in all(callers).await {
                ended.expect("nobody stops it").expect("a circle is answered");
            }
            assert_eq!(world.cache.stats().flights, 0);
        });
    });
}

#[test]
fn p18_a_key_has_one_load_at_a_time_when_nobody_vouches_for_what_is_held() {
    explore(|| {
        block_on(async {
            let world = World::of(Cache::builder().namespace(pages()).vouched_from_outside());
            let callers: Vec<_> = (0..3)
                .map(|_| {
                    let world = world.clone();
                    spawn(async move {
                        for _ in 0..2 {
                            world.read(Key(1), Ends::Well).await.expect("the source is well");
                        }
                    })
                })
                .collect();
            all(callers).await;
            assert_eq!(world.source.most.load(SeqCst), 1);
        });
    });
}
