//! Workers that die and workers that sleep, each a process of its own.
#![cfg(unix)]

use std::time::Duration;

use jebi_domain::JobState;

use crate::child::Worker;
use crate::fixture::{database, end_leases, ended, start, until};

const LONG: Duration = Duration::from_mins(10);
const SHORT: Duration = Duration::from_millis(500);

/// Waits for what a child says, while other tests go on.
fn hear(worker: &mut Worker, word: &str) {
    tokio::task::block_in_place(|| worker.hear(word));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_item_ends_once_though_workers_are_killed() {
    let db = database().await;
    let seller = db.seller("one").await.seller();
    let job = start(&db.pool, seller, "waits", 9).await;
    let plain = start(&db.pool, seller, "plain", 40).await;
    db.run("UPDATE jobs SET max_attempts = 100").await;
    for round in 0..3 {
        let mut worker = Worker::start(&db.url(), &format!("killed {round}"), LONG);
        // In the midst of one batch, and anywhere in the others.
        hear(&mut worker, "begun");
        worker.signal("KILL");
        assert!(!worker.end());
        end_leases(&db).await;
    }
    let mut last = Worker::start(&db.url(), "last", LONG);
    // As often as it may have to be told.
    for _ in 0..9 {
        last.go_on();
    }
    for (job, items) in [(job, 9), (plain, 40)] {
        let job = ended(&db, seller, job).await;
        assert_eq!((job.state, job.done, job.failed), (JobState::Done, items, 0));
    }
    let twice = "SELECT count(*) FROM (SELECT job_id, number FROM job_items_ended
                 GROUP BY job_id, number HAVING count(*) > 1) AS twice";
    assert_eq!(db.number(twice).await, 0);
    assert_eq!(db.number("SELECT count(*) FROM effects").await, 49);
    last.signal("TERM");
    assert!(last.end());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_slept_past_its_lease_commits_nothing() {
    let db = database().await;
    let seller = db.seller("one").await.seller();
    let job = start(&db.pool, seller, "waits", 1).await;
    // On a busy machine it may lose the lease before it is put to sleep.
    db.run("UPDATE jobs SET max_attempts = 100").await;
    let mut sleeper = Worker::start(&db.url(), "sleeper", SHORT);
    hear(&mut sleeper, "begun");
    sleeper.signal("STOP");
    // Its lease ends by itself.
    let mut other = Worker::start(&db.url(), "other", LONG);
    hear(&mut other, "begun");
    other.go_on();
    hear(&mut other, "committed");
    let first = ended(&db, seller, job).await;
    assert_eq!((first.state, first.done), (JobState::Done, 1));
    sleeper.go_on();
    sleeper.signal("CONT");
    hear(&mut sleeper, "refused");
    assert_eq!(db.text("SELECT string_agg(worker, ', ') FROM effects").await, "other");
    assert_eq!(ended(&db, seller, job).await, first);
    // It is alive and well: it takes the next work.
    other.signal("TERM");
    assert!(other.end());
    let next = start(&db.pool, seller, "plain", 3).await;
    assert_eq!(ended(&db, seller, next).await.done, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_kills_its_workers_is_given_up_and_the_others_go_on() {
    let db = database().await;
    let (seller, other) = (db.seller("one").await.seller(), db.seller("other").await.seller());
    let bad = start(&db.pool, seller, "poison", 10).await;
    let good = start(&db.pool, other, "plain", 10).await;
    let mut crashes = 0;
    let job = loop {
        let mut worker = Worker::start(&db.url(), "mortal", LONG);
        hear(&mut worker, "ready");
        // It ends by the poison, or there is none any more.
        let died = until(|| async {
            let ended = "SELECT count(*) FROM jobs WHERE state NOT IN ('queued', 'running')";
            if db.number(ended).await == 2 {
                return Some(false);
            }
            let poisoned = "SELECT count(*) FROM job_items
                            WHERE number = 7 AND holder IS NOT NULL AND due_at > clock_timestamp()";
            (db.number(poisoned).await == 1).then_some(true)
        })
        .await;
        if !died {
            worker.signal("TERM");
            assert!(worker.end());
            break ended(&db, seller, bad).await;
        }
        assert!(!tokio::task::block_in_place(|| worker.end()));
        crashes += 1;
        assert!(crashes <= 3);
        end_leases(&db).await;
    };
    assert_eq!(crashes, 3);
    assert_eq!((job.state, job.done, job.failed), (JobState::Done, 9, 1));
    assert_eq!(job.failures[0].item, "item 7");
    let good = ended(&db, other, good).await;
    assert_eq!((good.state, good.done, good.failed), (JobState::Done, 10, 0));
    assert_eq!(db.number("SELECT count(*) FROM effects").await, 19);
}
