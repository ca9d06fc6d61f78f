//! A hit in the process: found, and checked for its TTL, its namespace, its scope, its key, three tags and
//! the word of the other processes. The peers check nothing.

use std::convert::Infallible;
use std::hash::Hash;
use std::hint::black_box;
use std::sync::Barrier;

use bytes::Bytes;
use jebi_cache::{
    Body, Cache, CacheKey, Event, KeyBytes, L1, Load, Loaded, Namespace, NamespaceConfig, Scope,
    internals,
};

use crate::measure::{Random, Spread, Zipf, cpu_time_of};
use crate::report::{Report, Target};

const GETS: usize = 1 << 16;
const TURNS: usize = 61;

/// A page of a seller's orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct PageKey {
    seller: u128,
    page: u64,
}

const FILTER: &str = "status=paid";

impl PageKey {
    fn new(n: u64) -> Self {
        Self { seller: u128::from(n % 16) << 64 | 7, page: n }
    }
}

impl CacheKey for PageKey {
    fn scope(&self) -> Scope {
        Scope::new(self.seller)
    }

    fn write(&self, bytes: &mut KeyBytes) {
        bytes.str(FILTER).u64(self.page);
    }
}

/// The same question as one would write it for a peer: whose, and bytes that are written for each get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct BytesKey {
    seller: u128,
    bytes: [u8; 27],
}

impl BytesKey {
    fn new(n: u64) -> Self {
        let key = PageKey::new(n);
        let mut bytes = [0; 27];
        bytes[..8].copy_from_slice(&(FILTER.len() as u64).to_be_bytes());
        bytes[8..19].copy_from_slice(FILTER.as_bytes());
        bytes[19..].copy_from_slice(&key.page.to_be_bytes());
        Self { seller: key.seller, bytes }
    }
}

fn value(n: u64) -> Bytes {
    Bytes::from(n.to_string().repeat(8))
}

pub(crate) fn run(report: &mut Report) {
    for entries in [1_000, 100_000] {
        let contest = Contest::new(entries);
        for popularity in [Popularity::Zipf, Popularity::Even] {
            for threads in [1, 2] {
                contest.run(report, popularity, threads);
            }
        }
    }
}

/// How the entries are asked for.
#[derive(Debug, Clone, Copy)]
enum Popularity {
    /// By Zipf's law with 0.99, as in the traces of `eviction`.
    Zipf,
    /// Each as often as each other: at 100,000 entries every get waits for the machine's memory.
    Even,
}

struct Contest {
    entries: u64,
    cache: Cache,
    ours: Namespace,
    bytes_keyed: quick_cache::sync::Cache<BytesKey, Bytes>,
    typed: quick_cache::sync::Cache<PageKey, Bytes>,
    moka: moka::sync::Cache<BytesKey, Bytes>,
    _runtime: tokio::runtime::Runtime,
}

/// One turn of a contestant: asks for all of these. The loop is inside, so that the get is inlined into it.
type Turn<'a> = Box<dyn Fn(&[u64]) + Sync + 'a>;

fn turn<'a>(get: impl Fn(u64) -> usize + Sync + 'a) -> Turn<'a> {
    Box::new(move |order| {
        for n in order {
            black_box(get(black_box(*n)));
        }
    })
}

impl Contest {
    fn new(entries: u64) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime starts");
        // Room to spare on all sides: this is not about eviction.
        let room = entries * 2;
        let items = usize::try_from(room).expect("few");
        let (cache, ours) = runtime.block_on(filled(entries));
        let contest = Self {
            entries,
            cache,
            ours,
            bytes_keyed: quick_cache::sync::Cache::new(items),
            typed: quick_cache::sync::Cache::new(items),
            moka: moka::sync::Cache::new(room),
            _runtime: runtime,
        };
        for n in 0..entries {
            contest.bytes_keyed.insert(BytesKey::new(n), value(n));
            contest.typed.insert(PageKey::new(n), value(n));
            contest.moka.insert(BytesKey::new(n), value(n));
        }
        contest.moka.run_pending_tasks();
        contest
    }

    fn run(&self, report: &mut Report, popularity: Popularity, threads: usize) {
        let len = |bytes: Option<Bytes>| bytes.expect("there is room for all").len();
        let ours = |hit: Option<jebi_cache::Hit>| {
            hit.and_then(|hit| hit.body().map(|body| body.bytes.len())).expect("it is fresh")
        };
        let get_ours = turn(|n| ours(self.ours.try_get(&PageKey::new(n))));
        let contestants = [
            Box::new(|order: &[u64]| get_ours(order)),
            turn(|n| ours(internals::try_get_uncounted(&self.ours, &PageKey::new(n)))),
            turn(|n| len(self.bytes_keyed.get(&BytesKey::new(n)))),
            turn(|n| len(self.typed.get(&PageKey::new(n)))),
            turn(|n| len(self.moka.get(&BytesKey::new(n)))),
            self.after_invalidations(&get_ours),
        ];
        let took = self.turns(&contestants, popularity, threads);
        let [ours, uncounted, quick, typed, moka, reread] = &took[..] else {
            unreachable!("six of them")
        };
        let of = format!("{} entries, {popularity:?}, {threads} threads", self.entries);
        let each = |took: &[f64]| {
            let all = f64::from(u32::try_from(GETS * threads).expect("few"));
            Spread::of(took.iter().map(|took| took * 1e9 / all).collect())
        };
        report.add(format!("hit, {of}: CPU ns"), each(ours), Target::None);
        report.add(format!("hit after an invalidation, {of}: CPU ns"), each(reread), Target::None);
        report.add(format!("quick_cache, {of}: CPU ns"), each(quick), Target::None);
        let ratio = |peer: &[f64]| Spread::of_ratios(ours, peer);
        report.add(format!("hit / quick_cache, {of}"), ratio(quick), Target::AtMost(1.25));
        report.add(format!("hit / quick_cache with a typed key, {of}"), ratio(typed), Target::None);
        report.add(format!("hit / moka::sync, {of}"), ratio(moka), Target::AtMost(0.35));
        report.add(
            format!("hit / hit without counters, {of}"),
            ratio(uncounted),
            Target::AtMost(1.03),
        );
    }

    /// Each hit is the first one of its entry since something else was invalidated, so that all that the
    /// entry hangs on is read again.
    fn after_invalidations<'a>(&'a self, get_all: &'a Turn<'_>) -> Turn<'a> {
        let all: Vec<u64> = (0..self.entries).map(|n| n * 7_919 % self.entries).collect();
        Box::new(move |order| {
            let mut left = order.len();
            while left > 0 {
                self.cache.hear(&Event::new("something:else", Scope::SHARED));
                let now = &all[..left.min(all.len())];
                get_all(now);
                left -= now.len();
            }
        })
    }

    /// For each contestant, what each turn took all threads together.
    fn turns(
        &self,
        contestants: &[Turn<'_>],
        popularity: Popularity,
        threads: usize,
    ) -> Vec<Vec<f64>> {
        let zipf = Zipf::new(self.entries, 0.99);
        let barrier = Barrier::new(threads);
        let one_thread = |seed: u64| {
            let mut random = Random(seed);
            let mut next = || match popularity {
                // Popular ones are spread over the table as others are.
                Popularity::Zipf => zipf.rank(&mut random) * 7_919 % self.entries,
                Popularity::Even => random.below(self.entries),
            };
            let order: Vec<u64> = (0..GETS).map(|_| next()).collect();
            let mut took = vec![Vec::with_capacity(TURNS); contestants.len()];
            for turn in 0..TURNS {
                // Nobody always comes after the same other one, whose lines are still near the processor.
                for at in order_of(contestants.len(), turn) {
                    barrier.wait();
                    took[at].push(cpu_time_of(|| contestants[at](&order)));
                }
            }
            took
        };
        std::thread::scope(|scope| {
            let one_thread = &one_thread;
            let running: Vec<_> =
                (0..threads as u64).map(|seed| scope.spawn(move || one_thread(seed))).collect();
            let all = running.into_iter().map(|thread| thread.join().expect("it measures"));
            all.reduce(|mut sums, more| {
                let pairs = sums.iter_mut().flatten().zip(more.iter().flatten());
                pairs.for_each(|(sum, more)| *sum += more);
                sums
            })
            .expect("there is a thread")
        })
    }
}

/// The contestants of a turn, shuffled; the same for all threads.
fn order_of(contestants: usize, turn: usize) -> Vec<usize> {
    let mut random = Random(turn as u64);
    let mut order: Vec<usize> = (0..contestants).collect();
    order.sort_by_cached_key(|_| random.next());
    order
}

async fn filled(entries: u64) -> (Cache, Namespace) {
    let cache = Cache::builder()
        .l1(L1 { max_bytes: 4 << 30, max_entries: entries * 2 })
        .namespace(NamespaceConfig::new("pages"))
        .namespace(NamespaceConfig::new("else"))
        .add_dependency_rule("something:else", ["else"])
        .build()
        .expect("it makes sense");
    let pages = cache.namespace("pages").expect("declared");
    for n in 0..entries {
        let load = move |at: Load| async move {
            at.add_tag("orders");
            at.add_tag(&format!("month:{}", n / 50));
            at.add_tag(&format!("page:{n}"));
            Ok::<_, Infallible>(Loaded::from(Body::new(value(n))))
        };
        pages.get_or_load(&PageKey::new(n), load).await.expect("it does not fail");
    }
    (cache, pages)
}
