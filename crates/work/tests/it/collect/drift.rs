//! Three days in which everything changes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jebi_db_optimizer::collection::{self, Age};
use jebi_domain::{JobState, Wholesaler};
use jebi_simulator::{Availability, Change, Settings, Time, What, item_key};
use jebi_work::{Extent, Scheduler, Schedules, Wake, collect_job, follow_job};

use crate::collect::support::{World, stored, wrong};
use crate::fixture::until;

/// No job is alive.
async fn rest(world: &World) {
    let alive = "SELECT count(*) FROM jobs WHERE state IN ('queued', 'running')";
    let resting = until(|| async { (world.db.number(alive).await == 0).then_some(()) });
    world.drive(resting).await;
}

/// Items of a wholesaler about which anything has changed since so long ago.
fn changed(world: &World, wholesaler: Wholesaler, within: Duration) -> BTreeSet<u64> {
    let (now, back) = (world.now(), within.as_millis());
    let since = Time::from_unix_ms(now.unix_ms() - i64::try_from(back).unwrap());
    world
        .simulator()
        .catalogue(wholesaler)
        .changes(since, now)
        .map(|change| change.number)
        .collect()
}

async fn ages(world: &World) -> BTreeMap<Wholesaler, Age> {
    let ages = collection::freshness(&world.db.pool, world.today()).await.unwrap();
    ages.into_iter().map(|age| (age.wholesaler, age)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_days_of_drift_every_price_and_stock_is_true_and_none_was_older_than_promised()
{
    const STEP: Duration = Duration::from_secs(150);
    const STEPS_AN_HOUR: u32 = 24;
    let settings = Settings { drift: true, ..Settings::default() }.with_items(1_000);
    let world = World::new(settings.clone()).await;
    let accounts: Vec<_> = world.accounts.values().cloned().collect();
    let job = world.run(collect_job(&accounts, Extent::default())).await;
    assert_eq!((job.state, job.failed), (JobState::Done, 0));
    let schedules = Schedules {
        walks: Some("0 3 * * *".parse().unwrap()),
        follows: Some("*/10 * * * *".parse().unwrap()),
    };
    let promises: BTreeMap<Wholesaler, Duration> = Wholesaler::ALL
        .iter()
        .map(|of| (*of, schedules.promise(*of, world.today()).unwrap()))
        .collect();
    let scheduler = Scheduler::new(world.db.pool.clone(), schedules, Wake::default());
    let (mut jobs, mut stale) = (0, 0);
    for step in 1..=3 * 24 * STEPS_AN_HOUR {
        world.clock.advance(STEP);
        jobs += scheduler.look(world.today()).await.unwrap();
        if step % STEPS_AN_HOUR != 0 {
            // At full hours it is looked while the followers are at work, or have not begun.
            rest(&world).await;
            continue;
        }
        let (ages, stored) = (ages(&world).await, stored(&world.db).await);
        for (wholesaler, promise) in &promises {
            let age = ages[wholesaler];
            assert!(age.p99 <= *promise, "{wholesaler}: {age:?}");
            let lately = changed(&world, *wholesaler, age.most);
            let wrong = wrong(world.simulator(), &stored, world.now());
            let wrong = wrong.iter().filter(|(of, _)| of == wholesaler);
            for (_, number) in wrong {
                // What is not true any more has changed since the moment that the figure names.
                assert!(lately.contains(number), "{wholesaler} {number}: {age:?}");
                stale += 1;
            }
        }
        rest(&world).await;
    }
    // Both do something in this test.
    assert!(jobs > 3 * (2 * 6 * 24 + 20) && stale > 0, "{jobs} jobs, {stale} stale offers");

    // The clock went on beside the steps while calls were answered, and not by much.
    let days = world.clock.now().as_secs_f64() / 86_400.0;
    assert!((3.0..3.5).contains(&days), "{days} days");

    // What has changed up to now, and nothing any more.
    world.simulator().set(Settings { drift: false, ..settings }, world.now());
    for account in &accounts {
        let (job, item) = follow_job(account.id, &account.name);
        let job = world.run((job, vec![item])).await;
        assert_eq!((job.state, job.failed), (JobState::Done, 0), "{job:?}");
    }
    let stored = stored(&world.db).await;
    assert_eq!(wrong(world.simulator(), &stored, world.now()), []);
    for &wholesaler in Wholesaler::ALL {
        let catalogue = world.simulator().catalogue(wholesaler);
        let mut lacking = BTreeSet::new();
        let mut new = 0;
        for item in catalogue.items(world.now()) {
            let is_known = stored.contains_key(&(wholesaler, item_key(wholesaler, item.number())));
            new += usize::from(is_known && item.number() >= 1_000);
            if !is_known && item.availability() == Availability::OnSale {
                lacking.insert(item.number());
            }
        }
        // What is new at Ownerclan its history does not tell: the next walk finds it.
        let standing =
            collection::find(&world.db.pool, world.seller(), world.accounts[&wholesaler].id).await;
        let walked_at = standing.unwrap().walked_at.unwrap().timestamp_millis();
        let added = |change: &Change| change.what == What::Added;
        let lately = catalogue.changes(Time::from_unix_ms(walked_at), world.now()).filter(added);
        let lately: BTreeSet<u64> = lately.map(|change| change.number).collect();
        // Each market of Domeggook sells some that the other does not.
        let is_split = wholesaler == Wholesaler::Domeggook;
        assert!(is_split || lacking.is_subset(&lately), "{wholesaler}: {lacking:?}, {lately:?}");
        assert!(new > 0, "{wholesaler}");
    }
    let changes = "SELECT count(*) FROM cost_history";
    assert!(world.db.number(changes).await > i64::try_from(stored.len()).unwrap() + 300);
    assert_eq!(world.simulator().blocks(), []);
}
