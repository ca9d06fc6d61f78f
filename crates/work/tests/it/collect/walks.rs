//! Walks of catalogues, on a clock that is moved by hand.

use jebi_domain::{JobState, Wholesaler};
use jebi_simulator::{Fault, FaultRule, Settings};
use jebi_work::{Extent, collect_job};

use crate::collect::support::{World, stored, wrong};

/// A walk of everything.
async fn walk(world: &World, wholesalers: &[Wholesaler]) -> jebi_db_optimizer::jobs::Job {
    let of = |wholesaler| world.accounts[wholesaler].clone();
    let accounts: Vec<_> = wholesalers.iter().map(of).collect();
    world.run(collect_job(&accounts, Extent::default())).await
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
    let troubles = "SELECT count(*) FROM collections WHERE trouble LIKE 'the catalogue lacks%'";
    assert_eq!(world.db.number(troubles).await, 2);

    let accounts = [world.accounts[&Wholesaler::Ownerclan].clone()];
    let accepting = Extent { most: None, accepts_shrinking: true };
    world.run(collect_job(&accounts, accepting)).await;
    // Each was asked for: those that the wholesaler still knows by their keys are there.
    let kept = "SELECT count(*) FROM wholesale_items
                WHERE wholesaler = 'ownerclan' AND availability IN ('on_sale', 'unknown')";
    assert_eq!(world.db.number(kept).await + gone(&world).await > 200, true);
    assert_eq!(world.db.number(troubles).await, 1);
}
