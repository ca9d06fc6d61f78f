//! Walks of catalogues, on a clock that is moved by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use jebi_db_optimizer::testing::TestDatabase;
use jebi_domain::{AccountKind, JobState, Wholesaler};
use jebi_simulator::{
    Clock as SimClock, Fault, FaultRule, Oddity, PerWholesaler, Server, Settings, Simulator,
};
use jebi_work::{Extent, collect_job};

use crate::child::say;
use crate::collect::kills::collector;
use crate::collect::support::{World, account_of, start, stored, wrong};
use crate::fixture::ended;

/// A walk of everything.
async fn walk(world: &World, wholesalers: &[Wholesaler]) -> jebi_db_optimizer::jobs::Job {
    let of = |wholesaler| world.accounts[wholesaler].clone();
    let accounts: Vec<_> = wholesalers.iter().map(of).collect();
    world.run(collect_job(&accounts, Extent::default())).await
}

/// How often Ownerclan was asked for items by their keys.
fn asked_by_key(world: &World) -> usize {
    world.simulator().log().into_iter().filter(|call| call.route == "itemsByKeys").count()
}

async fn gone(world: &World) -> i64 {
    world.db.number("SELECT count(*) FROM wholesale_items WHERE availability = 'gone'").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_of_everything_stores_what_is_so() {
    let world = World::new(Settings::default().with_items(2_500)).await;
    let job = walk(&world, Wholesaler::ALL).await;
    assert_eq!((job.state, job.failed, job.done), (JobState::Done, 0, job.total), "{job:?}");
    let stored = stored(&world.db).await;
    assert!(stored.len() > 6_500, "{}", stored.len());
    assert_eq!(wrong(world.simulator(), &stored, world.now()), []);
    // Totals are those of the rows.
    let totals = "SELECT sum(products)::bigint FROM product_total_deltas WHERE wholesaler <> ''";
    assert_eq!(world.db.number(totals).await, i64::try_from(stored.len()).unwrap());
    let items = "SELECT sum(items)::bigint FROM collections";
    assert_eq!(world.db.number(items).await, i64::try_from(stored.len()).unwrap());
    let left =
        "SELECT (SELECT count(*) FROM collection_staging) + (SELECT count(*) FROM collection_seen)";
    assert_eq!(world.db.number(left).await, 0);
    assert_eq!(world.simulator().blocks(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_that_shrank_marks_nothing_as_gone_until_somebody_says_so() {
    let world = World::new(Settings::default().with_items(300)).await;
    let all = [Wholesaler::Ownerclan, Wholesaler::Domeggook];
    walk(&world, &all).await;
    let before = stored(&world.db).await;
    for wholesaler in all {
        world
            .simulator()
            .add_fault(FaultRule::new(Fault::ShrunkCatalogue { to: 3 }).on(wholesaler));
    }
    let job = walk(&world, &all).await;
    let told = job.result.unwrap().to_string();
    assert!(told.contains("no item was marked as gone"), "{told}");
    assert_eq!((gone(&world).await, stored(&world.db).await), (0, before));
    let troubles =
        "SELECT count(*) FROM collections WHERE walk_trouble LIKE 'the catalogue lacks%'";
    assert_eq!(world.db.number(troubles).await, 2);

    let accounts = [world.accounts[&Wholesaler::Ownerclan].clone()];
    let before = asked_by_key(&world);
    let accepting = Extent { most: None, accepts_shrinking: true };
    world.run(collect_job(&accounts, accepting)).await;
    // Each that the walk did not show was asked for by its key.
    assert!(asked_by_key(&world) > before);
    assert_eq!(world.db.number(troubles).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_catalogue_is_its_first_items_each_time_and_nothing_else_is_gone() {
    let world = World::new(Settings::default().with_items(400)).await;
    let accounts = [world.accounts[&Wholesaler::Ownerclan].clone()];
    let part = Extent { most: Some(150), ..Extent::default() };
    let job = world.run(collect_job(&accounts, part)).await;
    assert_eq!((job.done, job.total), (150, 150));
    let before = stored(&world.db).await;
    world.simulator().add_fault(FaultRule::new(Fault::ShrunkCatalogue { to: 3 }));
    let job = world.run(collect_job(&accounts, part)).await;
    assert_eq!((job.state, job.done), (JobState::Done, 3));
    assert_eq!((gone(&world).await, stored(&world.db).await), (0, before));
    assert_eq!(
        world.db.number("SELECT count(*) FROM collections WHERE walk_trouble IS NULL").await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_rejected_with_its_reason_and_what_was_known_of_it_stays() {
    let world = World::new(Settings::default().with_items(200)).await;
    walk(&world, Wholesaler::ALL).await;
    let before = stored(&world.db).await;
    let odd = |oddities: &[Oddity]| -> BTreeMap<u64, Oddity> {
        (10..).step_by(7).zip(oddities.iter().copied()).collect()
    };
    let in_json = [
        Oddity::NegativePrice,
        Oddity::AbsurdPrice,
        Oddity::NulInName,
        Oddity::LoneSurrogate,
        Oddity::ManyOptions,
        Oddity::HugeDescription,
    ];
    let in_xml =
        [Oddity::NegativePrice, Oddity::AbsurdPrice, Oddity::ManyOptions, Oddity::HugeDescription];
    let oddities = PerWholesaler {
        ownerclan: odd(&in_json),
        zentrade: odd(&in_xml),
        domeggook: odd(&in_json),
    };
    let settings = Settings { oddities, ..Settings::default() }.with_items(200);
    world.simulator().set(settings, world.now());
    let job = walk(&world, Wholesaler::ALL).await;
    assert_eq!((job.state, job.failed), (JobState::Done, 0), "{job:?}");
    let result = job.result.unwrap();
    for (wholesaler, account) in &world.accounts {
        let told = &result[account.id.to_string()];
        let rejected = told["rejected"].as_u64().unwrap();
        assert!(rejected >= 3, "{wholesaler}: {told}");
        let reasons = told["rejected_because"].as_object().unwrap();
        let counted: u64 = reasons.values().filter_map(serde_json::Value::as_u64).sum();
        assert_eq!(counted, rejected, "{wholesaler}: {told}");
        assert_eq!(told["changed"], 0, "{wholesaler}: {told}");
    }
    assert_eq!((gone(&world).await, stored(&world.db).await), (0, before));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_silent_account_of_eight_holds_up_no_other() {
    let settings = Settings { enforce_limits: false, ..Settings::default() }.with_items(1_500);
    let clock = SimClock::system();
    let simulator = Arc::new(Simulator::new(settings, clock.now()));
    let silent = FaultRule::new(Fault::BlackHole).account("seller-0");
    simulator.add_fault(silent.route("allItems"));
    let server = Server::bind("127.0.0.1:0", Arc::clone(&simulator), clock).await.unwrap();
    let base = server.urls().base;
    tokio::spawn(server.run());
    let db = TestDatabase::new().await;
    let mut jobs = Vec::new();
    for n in 0..8 {
        let keys = db.seller(&format!("seller {n}")).await;
        let name = format!("seller-{n}");
        let account = account_of(&db, &keys, AccountKind::Ownerclan, &name).await;
        let (job, items) = collect_job(&[account], Extent::default());
        jobs.push((keys.seller(), start(&db, keys.seller(), &job, &items).await));
    }
    let _worker = collector(&db, &base);
    for (seller, job) in &jobs[1..] {
        let job = ended(&db, *seller, *job).await;
        assert_eq!((job.state, job.failed), (JobState::Done, 0), "{job:?}");
    }
    let alive = "SELECT count(*) FROM jobs WHERE state = 'running' AND progress_done IS NULL";
    assert_eq!(db.number(alive).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn items_of_a_list_that_are_not_there_when_they_are_asked_for_are_not_gone_for_that() {
    let world = World::new(Settings::default().with_items(300)).await;
    walk(&world, &[Wholesaler::Domeggook]).await;
    let before = stored(&world.db).await;
    let nothing = Fault::Answer {
        status: 200,
        headers: BTreeMap::new(),
        body: r#"{"domeggook":[]}"#.to_owned(),
    };
    world.simulator().add_fault(FaultRule::new(nothing).route("getItemView"));
    let job = walk(&world, &[Wholesaler::Domeggook]).await;
    assert_eq!(job.state, JobState::Done, "{job:?}");
    assert_eq!((gone(&world).await, stored(&world.db).await), (0, before.clone()));
    let troubles = "SELECT count(*) FROM collections WHERE walk_trouble IS NOT NULL";
    assert_eq!(world.db.number(troubles).await, 1);

    // Who asks for a part does not take back that all was asked for.
    world.simulator().clear_faults();
    let part = Extent { most: Some(50), ..Extent::default() };
    let accounts = [world.accounts[&Wholesaler::Domeggook].clone()];
    world.run(collect_job(&accounts, part)).await;
    assert_eq!(world.db.number("SELECT count(*) FROM collections WHERE most IS NULL").await, 1);
    assert_eq!(stored(&world.db).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_of_the_sellers_own_that_has_the_code_stops_nothing() {
    let world = World::new(Settings::default().with_items(60)).await;
    let accounts = [world.accounts[&Wholesaler::Ownerclan].clone()];
    world.run(collect_job(&accounts, Extent::default())).await;
    let all = stored(&world.db).await.len();
    world
        .db
        .run(
            "CREATE TEMPORARY TABLE taken AS SELECT product_id FROM wholesale_items ORDER BY key LIMIT 5;
             DELETE FROM wholesale_items WHERE product_id IN (SELECT product_id FROM taken)",
        )
        .await;
    let job = world.run(collect_job(&accounts, Extent::default())).await;
    assert_eq!((job.state, job.failed), (JobState::Done, 0), "{job:?}");
    let told = &job.result.unwrap()[accounts[0].id.to_string()];
    assert_eq!(told["rejected_because"]["a product of the seller's own has its code"], 5, "{told}");
    assert_eq!(stored(&world.db).await.len(), all - 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wholesaler_that_says_everything_in_another_way_is_told_of() {
    let world = World::new(Settings::default().with_items(300)).await;
    let accounts = [world.accounts[&Wholesaler::Ownerclan].clone()];
    world.run(collect_job(&accounts, Extent::default())).await;
    let as_of = "SELECT current_as_of::text FROM collections";
    let before = (world.db.text(as_of).await, stored(&world.db).await);
    let oddities = (0..100).map(|number| (number, Oddity::NegativePrice)).collect();
    let oddities = PerWholesaler { ownerclan: oddities, ..PerWholesaler::default() };
    let settings = Settings { oddities, ..Settings::default() }.with_items(300);
    world.simulator().set(settings, world.now());
    let job = world.run(collect_job(&accounts, Extent::default())).await;
    assert_eq!((job.state, job.failed), (JobState::Done, 0), "{job:?}");
    // What was known stays, and is not said to be newer than it is.
    assert_eq!((world.db.text(as_of).await, stored(&world.db).await), before);
    let why = world.db.text("SELECT walk_trouble FROM collections").await;
    assert!(why.contains(" of 300 items could not be used"), "{why}");
}

/// Bytes of WAL that this database's statements have written.
async fn wal(world: &World) -> i64 {
    let sum = "SELECT coalesce(sum(wal_bytes), 0)::bigint FROM pg_stat_statements
               WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())";
    world.db.number(sum).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_which_nothing_changed_writes_no_row_and_hardly_any_wal() {
    let world = World::new(Settings::default().with_items(8_000)).await;
    let of = [Wholesaler::Ownerclan, Wholesaler::Domeggook];
    let start = wal(&world).await;
    walk(&world, &of).await;
    let first = wal(&world).await - start;
    let before = newest(&world).await;
    let job = walk(&world, &of).await;
    let second = wal(&world).await - start - first;
    let told = job.result.unwrap().to_string();
    assert!(told.contains(r#""created":0"#) && told.contains(r#""changed":0"#), "{told}");
    assert_eq!(newest(&world).await, before);
    let share = second as f64 / first as f64;
    assert!(share <= 0.01, "{second} of {first} bytes");
    say(&format!("{second} of {first} bytes of WAL: {share:.5}"));
}

/// The transaction that wrote to each table last, and how many rows there are.
async fn newest(world: &World) -> Vec<String> {
    let mut newest = Vec::new();
    for table in [
        "products",
        "product_offers",
        "product_variants",
        "wholesale_items",
        "wholesale_details",
        "cost_history",
        "price_history",
        "outbox",
        "listings_to_push",
        "product_total_deltas",
    ] {
        let last = format!("SELECT concat(count(*), ' ', max(xmin::text::bigint)) FROM {table}");
        newest.push(world.db.text(&last).await);
    }
    newest
}
