//! What it costs to count a request's statements: `DATABASE_URL=… cargo bench -p jebi-db-optimizer`.
//!
//! The cheapest requests there are, a key that is looked up and a page without orders, by turns with and without
//! counting. A turn is timed by the CPU time of this process's only working thread: what PostgreSQL takes, and HTTP, would
//! make the share smaller. The promise is 2 % of a request.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::future::ready;
use std::time::Duration;

use jebi_db_optimizer::repeats::{Found, watch};
use jebi_db_optimizer::testing::TestDatabase;
use jebi_db_optimizer::{Config, Pool, orders, sellers};
use jebi_domain::{At, OrderFilter, PageNumber, PageSize, SellerKeys};
use rustix::time::{ClockId, clock_gettime};

const TURNS: usize = 101;
const REQUESTS: usize = 200;

fn main() {
    // The template's migrations want several threads, the figures one.
    let several = tokio::runtime::Runtime::new().expect("a runtime");
    let (db, keys) = several.block_on(async {
        let db = TestDatabase::new().await;
        let keys = db.seller("one").await;
        (db, keys)
    });
    let one = tokio::runtime::Builder::new_current_thread().enable_all().build();
    one.expect("a runtime").block_on(async {
        let config = Config { size: 1, overflow: 0, ..Config::default() };
        let pool = Pool::new(&db.url(), &config).expect("the URL is good");
        println!("{:<44} {:>9}  [quartiles]", "", "median");
        report("a key looked up, 1 statement", async || look_up(&pool).await).await;
        report("a page of orders, 2 statements", async || page(&pool, &keys).await).await;
        let found = Found::default();
        const EMPTY: u32 = 1_000_000;
        let began = cpu_time();
        for _ in 0..EMPTY {
            watch(&found, ready(()), |()| String::new()).await;
        }
        let each = (cpu_time() - began).as_nanos() / u128::from(EMPTY);
        println!("{:<44} {each:>6} ns", "a request without statements, such as a hit");
        assert!(found.findings().is_empty(), "nothing was repeated");
    });
}

async fn look_up(pool: &Pool) {
    sellers::find_key(pool, [7; 32]).await.expect("an answer");
}

async fn page(pool: &Pool, keys: &SellerKeys) {
    let (at, size) = (At::Page(PageNumber::first()), PageSize::new(50).expect("50 is a size"));
    orders::page(pool, keys, &OrderFilter::default(), at, size).await.expect("a page");
}

/// The CPU time of requests with counting, as a ratio to that of the same without.
async fn report(what: &str, request: impl AsyncFn()) {
    let found = Found::default();
    let (mut ratios, mut took) = (vec![], Duration::ZERO);
    for turn in 0..=TURNS {
        let began = cpu_time();
        for _ in 0..REQUESTS {
            watch(&found, request(), |()| "a request".to_owned()).await;
        }
        let with = cpu_time() - began;
        let began = cpu_time();
        for _ in 0..REQUESTS {
            request().await;
        }
        let without = cpu_time() - began;
        // The first turn opens the connection.
        if turn > 0 {
            ratios.push(with.as_secs_f64() / without.as_secs_f64());
            took += without;
        }
    }
    ratios.sort_by(f64::total_cmp);
    let percent = |quarter: usize| (ratios[(TURNS - 1) * quarter / 4] - 1.0) * 100.0;
    let each = took.as_secs_f64() * 1e6 / f64::from(u32::try_from(TURNS * REQUESTS).unwrap_or(1));
    println!(
        "{what:<44} {:>7.2} %  [{:.2} {:.2}]  of {each:.1} µs of our CPU",
        percent(2),
        percent(1),
        percent(3)
    );
}

/// CPU time that this thread has used.
fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(now.tv_sec).expect("CPU time is not negative");
    let nanoseconds = u32::try_from(now.tv_nsec).expect("less than a second");
    Duration::new(seconds, nanoseconds)
}
