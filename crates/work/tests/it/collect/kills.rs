//! Collectors that are killed at any moment, each a process of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jebi_batch::Clock;
use jebi_db_optimizer::jobs::{Job, find};
use jebi_db_optimizer::testing::TestDatabase;
use jebi_db_optimizer::{Config as PoolConfig, Pool, random};
use jebi_domain::{AccountKind, JobId, JobState, SellerId};
use jebi_simulator::{Clock as SimClock, Server, Settings, Simulator};
use jebi_work::{Collector, Config, Extent, Kinds, Runner, Wake, collect_job};

use crate::child::{Worker, say, told};
use crate::collect::support::{account, outside, start, without_limits};
use crate::fixture::{end_leases, quick};

const DATABASE: &str = "JEBI_TEST_COLLECTOR_OF";
const OUTSIDE: &str = "JEBI_TEST_COLLECTOR_FROM";
/// How many collections are killed, and how large they are: `cargo xtask soak collect` sets more.
const KILLS: &str = "JEBI_TEST_OPERATIONS";
const ITEMS: &str = "JEBI_TEST_ITEMS";

/// What a collector takes of its machine, whatever the size of the catalogue.
const MOST_MEMORY: u64 = 200 << 20;

/// Does nothing where no test is its parent.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_of_another_test() {
    let (Some(url), Some(base)) = (told(DATABASE), told(OUTSIDE)) else { return };
    let clock = Clock::system();
    let outside = outside(&clock, &base).allowing(without_limits);
    let collector = Arc::new(Collector::new(Arc::new(outside), url.clone()));
    let pool = Pool::new(&url, &PoolConfig { size: 4, ..PoolConfig::default() }).unwrap();
    let config = Config { workers: 8, lease: Duration::from_mins(10), ..quick() };
    let runner = Runner::new(pool, collector.among(Kinds::default()), config, &Wake::default());
    say("ready");
    runner.run(std::future::pending()).await;
}

/// A worker that collects, in a process of its own.
pub(crate) fn collector(db: &TestDatabase, base: &str) -> Worker {
    let test = "collect::kills::a_collector_of_another_test";
    let mut worker = Worker::of(test, &[(DATABASE, &db.url()), (OUTSIDE, base)]);
    tokio::task::block_in_place(|| worker.hear("ready"));
    worker
}

/// A seller whose collection has been asked for.
async fn asked(kind: AccountKind) -> (TestDatabase, SellerId, JobId) {
    let db = TestDatabase::new().await;
    let keys = db.seller("demo").await;
    let account = account(&db, &keys, kind).await;
    let (job, items) = collect_job(&[account], Extent::default());
    let job = start(&db, keys.seller(), &job, &items).await;
    (db, keys.seller(), job)
}

/// All that a collection stores, but for ids and times.
async fn catalogue(db: &TestDatabase) -> String {
    db.text(
        "SELECT count(*) || ' ' || coalesce(sum(hashtextextended(line, 0)::numeric), 0) FROM (
             SELECT concat_ws('|', i.wholesaler, i.key, i.offer_hash, i.detail_hash, i.availability,
                 p.sku, p.name, p.wholesaler, p.status, o.price, o.cost_amount, o.wholesale_stock,
                 o.version, d.name, d.category_code, d.category_name, d.images, d.description,
                 d.tiers, d.raw,
                 (SELECT string_agg(concat_ws('~', v.sku, v.name, v.extra_amount,
                      v.extra_cost_amount, v.wholesale_stock), ';' ORDER BY v.sku)
                  FROM product_variants AS v WHERE v.product_id = p.id),
                 (SELECT count(*) FROM price_history AS h WHERE h.product_id = p.id),
                 (SELECT count(*) FROM cost_history AS h WHERE h.product_id = p.id),
                 e.events) AS line
             FROM products AS p
             LEFT JOIN product_offers AS o ON o.product_id = p.id
             LEFT JOIN wholesale_items AS i ON i.product_id = p.id
             LEFT JOIN wholesale_details AS d ON d.product_id = p.id
             LEFT JOIN (SELECT aggregate_id, count(*) AS events FROM outbox GROUP BY 1) AS e
               ON e.aggregate_id = p.id
         ) AS lines",
    )
    .await
}

/// How often each page was asked for, at most, and how many there were.
fn fetched(simulator: &Simulator) -> (usize, usize) {
    let mut pages: BTreeMap<(String, String), usize> = BTreeMap::new();
    for entry in simulator.log() {
        if !matches!(&*entry.route, "auth" | "setLogin") {
            *pages.entry((entry.route, format!("{:?}", entry.parameters))).or_default() += 1;
        }
    }
    (pages.values().copied().max().unwrap_or(0), pages.len())
}

/// A moment at which to kill.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// While this call is under way.
    Call(usize),
    /// When so many items were committed.
    Committed(i64),
    /// Between the COPY and the merge of the rows behind so many.
    Staged(i64),
}

impl Moment {
    /// Any, of a collection of so many calls and items.
    fn any(calls: usize, items: i64) -> Self {
        let [kind, bytes @ ..]: [u8; 9] = random();
        let share = u64::from_le_bytes(bytes);
        let of = |most: u64| share % most.max(1);
        match kind % 3 {
            0 => Self::Call(usize::try_from(of(calls as u64)).unwrap()),
            1 => Self::Committed(i64::try_from(of(items.cast_unsigned())).unwrap()),
            _ => Self::Staged(i64::try_from(of(items.cast_unsigned())).unwrap()),
        }
    }

    /// Waits for it; a collection that is over before has had it.
    async fn come(
        self,
        db: &TestDatabase,
        (seller, job): (SellerId, JobId),
        simulator: &Simulator,
    ) {
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        loop {
            tick.tick().await;
            let job = find(&db.pool, seller, job).await.unwrap().unwrap();
            let done = i64::try_from(job.done).unwrap();
            let has_come = match self {
                Self::Call(call) => simulator.log().len() > call,
                Self::Committed(items) => done > items,
                Self::Staged(items) => {
                    let rows = "SELECT count(*) FROM (SELECT FROM collection_staging LIMIT 1) AS s";
                    done >= items && db.number(rows).await > 0
                }
            };
            if has_come || job.state.is_ended() {
                return;
            }
        }
    }
}

/// The job once it has ended. It is not asked for all the time: the collector needs the machine.
async fn collected(db: &TestDatabase, seller: SellerId, job: JobId) -> Job {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    loop {
        tick.tick().await;
        let job = find(&db.pool, seller, job).await.unwrap().unwrap();
        if job.state.is_ended() {
            return job;
        }
    }
}

async fn killed_at_any_moment(kind: AccountKind, kills: usize, items: u64) {
    let settings = Settings { enforce_limits: false, ..Settings::default() }.with_items(items);
    let clock = SimClock::system();
    let simulator = Arc::new(Simulator::new(settings, clock.now()));
    let server = Server::bind("127.0.0.1:0", Arc::clone(&simulator), clock).await.unwrap();
    let base = server.urls().base;
    tokio::spawn(server.run());

    let (db, seller, job) = asked(kind).await;
    let worker = collector(&db, &base);
    let job = collected(&db, seller, job).await;
    let memory = worker.most_memory();
    drop(worker);
    assert!(memory < MOST_MEMORY, "{} MB", memory >> 20);
    assert_eq!((job.state, job.failed), (JobState::Done, 0), "{job:?}");
    let (undisturbed, read) = (catalogue(&db).await, i64::try_from(job.done).unwrap());
    let calls = simulator.log().len();
    assert_eq!(fetched(&simulator).0, 1);
    assert!(undisturbed.split(' ').next().unwrap().parse::<u64>().unwrap() > items / 2);

    let mut repeated = 0;
    for _ in 0..kills {
        simulator.clear_log();
        let (db, seller, job) = asked(kind).await;
        let moment = Moment::any(calls, read);
        let mut worker = collector(&db, &base);
        moment.come(&db, (seller, job), &simulator).await;
        worker.signal("KILL");
        assert!(!worker.end());
        end_leases(&db).await;
        let worker = collector(&db, &base);
        let job = collected(&db, seller, job).await;
        drop(worker);
        assert_eq!((job.state, job.failed), (JobState::Done, 0), "{moment:?} {job:?}");
        assert_eq!(catalogue(&db).await, undisturbed, "{moment:?}");
        let (most, pages) = fetched(&simulator);
        assert!(most <= 2 && pages > 0, "{moment:?}: a page was fetched {most} times");
        repeated += usize::from(most == 2);
        say(&format!("killed: {moment:?}"));
    }
    say(&format!(
        "{kind}: {read} items in {calls} calls and {} MB; {kills} kills, after {repeated} of which a page was fetched twice",
        memory >> 20
    ));
}

fn of_soak(name: &str, otherwise: u64) -> u64 {
    told(name).map_or(otherwise, |number| number.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_of_ownerclan_is_killed_and_the_catalogue_is_whole() {
    let kills = usize::try_from(of_soak(KILLS, 4)).unwrap();
    killed_at_any_moment(AccountKind::Ownerclan, kills, of_soak(ITEMS, 4_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_of_zentrade_is_killed_and_the_catalogue_is_whole() {
    let kills = usize::try_from(of_soak(KILLS, 3)).unwrap();
    killed_at_any_moment(AccountKind::Zentrade, kills, of_soak(ITEMS, 1_000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_of_domeggook_is_killed_and_the_catalogue_is_whole() {
    let kills = usize::try_from(of_soak(KILLS, 3)).unwrap();
    killed_at_any_moment(AccountKind::Domeggook, kills, of_soak(ITEMS, 1_500)).await;
}
