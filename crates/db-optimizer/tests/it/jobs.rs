use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use jebi_db_optimizer::jobs::{
    Claim, Enqueued, Held, NewItem, NewJob, Offer, Outcome, Report, Settled, StillHeld, add_items,
    cancel, claim, enqueue, extend, find, overview, page, report, rotate, settle, tidy,
};
use jebi_db_optimizer::testing::{TestDatabase, assert_statements, run_as_service};
use jebi_db_optimizer::{Author, Config, Pool};
use jebi_domain::{AccountId, At, JobId, JobState, PageNumber, PageSize, SellerId, TotalIs};
use serde_json::json;
use uuid::Uuid;

const HERE: Uuid = Uuid::from_u128(1);
const THERE: Uuid = Uuid::from_u128(2);

fn author() -> Author {
    let at = DateTime::from_timestamp_micros(Utc::now().timestamp_micros()).unwrap();
    Author { actor: "test".to_owned(), request_id: None, at }
}

fn job(kind: &str) -> NewJob<'_> {
    NewJob { kind, account: None, parameters: json!({ "hours": 24 }), max_attempts: 3 }
}

fn items(count: usize) -> Vec<NewItem> {
    let item = |n| NewItem { name: format!("item {n}"), payload: json!({ "n": n }) };
    (1..=count).map(item).collect()
}

async fn start(db: &TestDatabase, seller: SellerId, new: &NewJob<'_>, count: usize) -> Enqueued {
    let transaction = db.pool.begin(seller).await.unwrap();
    let enqueued = enqueue(&transaction, seller, new, &items(count), &author()).await.unwrap();
    transaction.commit().await.unwrap();
    enqueued
}

fn offer(kinds: &[&str]) -> Offer {
    Offer {
        kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        sizes: kinds.iter().map(|_| 20).collect(),
        lease: Duration::from_mins(1),
        cap: 1_000,
        takes_suspects: true,
    }
}

async fn take(db: &TestDatabase, worker: Uuid, kinds: &[&str]) -> Option<Claim> {
    claim(&db.pool, worker, &offer(kinds)).await.unwrap()
}

fn all(claim: &Claim, outcome: &Outcome) -> Vec<Settled> {
    let settled = |item: &jebi_db_optimizer::jobs::ClaimedItem| Settled {
        number: item.number,
        attempt: item.attempt,
        outcome: outcome.clone(),
    };
    claim.items.iter().map(settled).collect()
}

/// Ends all items of a claim, and says how many of them the worker had still.
async fn end(db: &TestDatabase, worker: Uuid, claim: &Claim, outcome: &Outcome) -> usize {
    let transaction = db.pool.begin(claim.seller).await.unwrap();
    let settled = all(claim, outcome);
    let held = settle(&transaction, claim.seller, claim.job, worker, &settled).await.unwrap();
    transaction.commit().await.unwrap();
    held
}

async fn state(db: &TestDatabase, seller: SellerId, job: JobId) -> JobState {
    find(&db.pool, seller, job).await.unwrap().unwrap().state
}

/// As if every lease had ended and every delay were over.
const LATER: &str = "UPDATE job_items SET due_at = clock_timestamp();
                     UPDATE job_lanes SET ready_at = clock_timestamp()";

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_done_item_by_item_and_ends_with_the_last() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    let transaction = db.pool.begin(seller).await.unwrap();
    let new = job("sync");
    let (work, by) = (items(25), author());
    let enqueued = assert_statements(&db.pool, 4, enqueue(&transaction, seller, &new, &work, &by));
    let enqueued = enqueued.await.unwrap();
    assert!(take(&db, HERE, &["sync"]).await.is_none(), "it is not committed yet");
    transaction.commit().await.unwrap();
    assert_eq!((enqueued.is_new, enqueued.items), (true, 25));
    assert_eq!(state(&db, seller, enqueued.job).await, JobState::Queued);
    assert!(take(&db, HERE, &["another"]).await.is_none(), "nobody knows this kind");

    let first =
        assert_statements(&db.pool, 1, claim(&db.pool, HERE, &offer(&["sync"]))).await.unwrap();
    let first = first.unwrap();
    assert_eq!((first.seller, first.job, first.account), (seller, enqueued.job, None));
    assert_eq!((first.kind.as_str(), &first.parameters), ("sync", &json!({ "hours": 24 })));
    let numbers: Vec<i32> = first.items.iter().map(|item| item.number).collect();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    assert_eq!(
        (first.items[0].name.as_str(), &first.items[0].payload),
        ("item 1", &json!({ "n": 1 }))
    );
    assert_eq!(state(&db, seller, enqueued.job).await, JobState::Running);
    let second = take(&db, THERE, &["sync"]).await.unwrap();
    assert_eq!(second.items.len(), 5);
    assert!(take(&db, THERE, &["sync"]).await.is_none(), "all are under lease");

    let transaction = db.pool.begin(seller).await.unwrap();
    let mut settled = all(&first, &Outcome::Done);
    settled[3].outcome = Outcome::Failed("no such\u{0}product".to_owned());
    let held = settle(&transaction, seller, first.job, HERE, &settled);
    assert_eq!(assert_statements(&db.pool, 1, held).await.unwrap(), 20);
    transaction.commit().await.unwrap();
    let half = find(&db.pool, seller, first.job).await.unwrap().unwrap();
    assert_eq!((half.state, half.done, half.failed, half.total), (JobState::Running, 19, 1, 25));
    assert!(half.rate_per_second().unwrap() > 0.0 && half.eta_seconds().is_some());
    assert_eq!(end(&db, THERE, &second, &Outcome::Done).await, 5);

    let read = assert_statements(&db.pool, 1, find(&db.pool, seller, first.job)).await;
    let read = read.unwrap().unwrap();
    assert_eq!((read.state, read.done, read.failed), (JobState::Done, 24, 1), "failed items only");
    assert_eq!((read.failures[0].item.as_str(), read.failures.len()), ("item 4", 1));
    assert_eq!(read.failures[0].reason.as_deref(), Some("no such product"));
    assert!(read.finished_at.unwrap() >= read.started_at.unwrap());
    assert_eq!((read.attempts, read.eta_seconds()), (2, None));
    assert_eq!(db.number("SELECT count(*) FROM job_items").await, 0);
    assert_eq!(db.number("SELECT count(*) FROM job_items_ended").await, 25);
    assert_eq!(end(&db, HERE, &first, &Outcome::Done).await, 0, "an item ends once");
    assert_eq!(db.number("SELECT count(*) FROM audit_log").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_who_enqueue_one_job_one_does() {
    let db =
        TestDatabase::with_config(&Config { size: 20, overflow: 0, ..Config::default() }).await;
    let seller = db.seller("one").await.seller();
    let account = Some(AccountId::new(Utc::now(), [1; 10]));
    for (account, expected) in [(None, 1), (account, 2)] {
        let enqueues = (0..500).map(|_| {
            let pool = db.pool.clone();
            tokio::spawn(async move {
                let transaction = pool.begin(seller).await.unwrap();
                let new = NewJob { account, ..job("sync") };
                let done = enqueue(&transaction, seller, &new, &items(1), &author()).await;
                transaction.settle(done).await.unwrap()
            })
        });
        let enqueued = futures::future::join_all(enqueues.collect::<Vec<_>>()).await;
        let enqueued: Vec<Enqueued> = enqueued.into_iter().map(Result::unwrap).collect();
        assert_eq!(enqueued.iter().filter(|one| one.is_new).count(), 1);
        assert_eq!(enqueued.iter().map(|one| one.job).collect::<HashSet<_>>().len(), 1);
        assert_eq!(db.number("SELECT count(*) FROM jobs").await, expected);
        assert_eq!(db.number("SELECT count(*) FROM job_items").await, expected);
    }
    // After its end there may be a new one.
    let first = take(&db, HERE, &["sync"]).await.unwrap();
    end(&db, HERE, &first, &Outcome::Done).await;
    let transaction = db.pool.begin(seller).await.unwrap();
    let new = NewJob { account: first.account, ..job("sync") };
    let again = enqueue(&transaction, seller, &new, &items(1), &author()).await.unwrap();
    assert!(again.is_new && again.job != first.job);
    let (work, by) = (items(7), author());
    let alive = enqueue(&transaction, seller, &new, &work, &by);
    let alive = assert_statements(&db.pool, 2, alive).await.unwrap();
    assert_eq!(alive, Enqueued { is_new: false, ..again });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_with_a_hundred_thousand_items_delays_another_by_one_batch() {
    let db = TestDatabase::new().await;
    let (large, small) = (db.seller("large").await.seller(), db.seller("small").await.seller());
    let transaction = db.pool.begin(large).await.unwrap();
    let work = items(100_000);
    let (new, by) = (job("collect"), author());
    let enqueued = enqueue(&transaction, large, &new, &work, &by);
    assert_statements(&db.pool, 103, enqueued).await.unwrap();
    transaction.commit().await.unwrap();
    for _ in 0..5 {
        assert_eq!(take(&db, HERE, &["collect"]).await.unwrap().seller, large);
    }
    start(&db, small, &job("collect"), 45).await;
    let mut turns = Vec::new();
    for _ in 0..8 {
        turns.push(take(&db, HERE, &["collect"]).await.unwrap().seller == small);
    }
    assert_eq!(turns, [true, false, true, false, true, false, false, false]);
    // So does a job of the same seller and kind, for another account.
    let account = Some(AccountId::new(Utc::now(), [1; 10]));
    start(&db, large, &NewJob { account, ..job("collect") }, 20).await;
    assert_eq!(take(&db, HERE, &["collect"]).await.unwrap().account, account);
    // And one that comes back after a long rest is not owed all the turns that it did not take.
    start(&db, small, &NewJob { account, ..job("collect") }, 100).await;
    let small_turns = [
        take(&db, HERE, &["collect"]).await.unwrap().seller == small,
        take(&db, HERE, &["collect"]).await.unwrap().seller == small,
    ];
    assert_eq!(small_turns.iter().filter(|is_small| **is_small).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_has_so_many_items_under_lease_and_no_more() {
    let db = TestDatabase::new().await;
    let (one, other) = (db.seller("one").await.seller(), db.seller("other").await.seller());
    start(&db, one, &job("sync"), 100).await;
    let capped = Offer { cap: 30, ..offer(&["sync"]) };
    let first = claim(&db.pool, HERE, &capped).await.unwrap().unwrap();
    let second = claim(&db.pool, THERE, &capped).await.unwrap().unwrap();
    assert_eq!((first.items.len(), second.items.len()), (20, 10));
    assert!(claim(&db.pool, HERE, &capped).await.unwrap().is_none());
    start(&db, other, &job("sync"), 1).await;
    assert_eq!(claim(&db.pool, HERE, &capped).await.unwrap().unwrap().seller, other);
    end(&db, THERE, &second, &Outcome::Done).await;
    assert_eq!(claim(&db.pool, HERE, &capped).await.unwrap().unwrap().items.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_its_worker_writes_of_is_still_its_own() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    start(&db, seller, &job("sync"), 1).await;
    let claim = take(&db, HERE, &["sync"]).await.unwrap();
    let held = Held { seller, job: claim.job, number: 1, attempt: claim.items[0].attempt };
    let due = "SELECT (extract(epoch FROM due_at) * 1000000)::bigint FROM job_items";
    let before = db.number(due).await;
    let beat = async || extend(&db.pool, HERE, &[held], Duration::from_hours(1)).await.unwrap();

    let transaction = db.pool.begin(seller).await.unwrap();
    assert!(report(&transaction, HERE, held, &Report::Progress(1, 2)).await.unwrap());
    assert_eq!(beat().await, [StillHeld { held, is_to_stop: false }], "and waits for nobody");
    assert_eq!(db.number(due).await, before);
    transaction.commit().await.unwrap();
    assert_eq!(beat().await.len(), 1);
    assert!(db.number(due).await > before);

    db.run(LATER).await;
    take(&db, THERE, &["sync"]).await.unwrap();
    assert_eq!(beat().await, [], "others have it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_settled_also_where_a_heart_beat_has_it_at_this_moment() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    start(&db, seller, &job("sync"), 1).await;
    let waits = "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let is_held = "SELECT count(*) FROM job_items WHERE holder IS NOT NULL";
    for (outcome, held_then) in [
        (Outcome::Checkpoint(json!({ "page": 2 })), 1),
        (Outcome::Back, 0),
        (Outcome::Snooze(Duration::ZERO), 0),
        (Outcome::Done, 0),
    ] {
        db.run(LATER).await;
        let claim = take(&db, HERE, &["sync"]).await.unwrap();
        let beat = db.pool.begin(seller).await.unwrap();
        let held = json!([{
            "seller_id": seller, "job_id": claim.job, "number": 1, "attempt": claim.items[0].attempt,
        }]);
        let extend = format!("SELECT jebi_extend_job_leases('{HERE}', '{held}', '1 minute')");
        assert_eq!(run_as_service(&beat, &extend).await, Ok(1));
        let settled = end(&db, HERE, &claim, &outcome);
        let committed = async {
            let it_waits = async { while db.number(waits).await == 0 {} };
            let it_waits = tokio::time::timeout(Duration::from_mins(1), it_waits).await;
            it_waits.expect("what ends an item waits for the heart-beat");
            beat.commit().await.unwrap();
        };
        let (settled, ()) = futures::join!(settled, committed);
        assert_eq!((settled, db.number(is_held).await), (1, held_then), "{outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_the_lease_commits_nothing() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    start(&db, seller, &job("sync"), 1).await;
    let stale = take(&db, HERE, &["sync"]).await.unwrap();
    let held =
        |claim: &Claim| Held { seller, job: claim.job, number: 1, attempt: claim.items[0].attempt };
    db.run(LATER).await;
    let fresh = take(&db, THERE, &["sync"]).await.unwrap();
    assert_eq!((fresh.items[0].attempt, fresh.items[0].failures), (2, 1));
    assert!(fresh.items[0].is_suspect);

    let lease = Duration::from_mins(1);
    let lost = [held(&stale)];
    let beat = extend(&db.pool, HERE, &lost, lease);
    assert_eq!(assert_statements(&db.pool, 1, beat).await.unwrap(), []);
    assert_eq!(extend(&db.pool, THERE, &[held(&fresh)], lease).await.unwrap().len(), 1);
    // The same worker, in an attempt of before.
    let before = Held { attempt: 1, ..held(&fresh) };
    assert_eq!(extend(&db.pool, THERE, &[before], lease).await.unwrap(), []);

    assert_eq!(end(&db, HERE, &stale, &Outcome::Done).await, 0);
    let transaction = db.pool.begin(seller).await.unwrap();
    let result = Report::Result(json!("stale"));
    assert!(!report(&transaction, HERE, held(&stale), &result).await.unwrap());
    let noted = report(&transaction, THERE, held(&fresh), &Report::Progress(3, 7));
    assert!(assert_statements(&db.pool, 1, noted).await.unwrap());
    let result = Report::Result(json!({ "built": 3 }));
    assert!(report(&transaction, THERE, held(&fresh), &result).await.unwrap());
    transaction.commit().await.unwrap();
    assert_eq!(end(&db, THERE, &fresh, &Outcome::Done).await, 1);
    let read = find(&db.pool, seller, fresh.job).await.unwrap().unwrap();
    assert_eq!((read.state, read.done, read.total), (JobState::Done, 3, 7));
    assert_eq!(read.result, Some(json!({ "built": 3 })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_which_one_item_was_lost_is_not_settled_whole() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    start(&db, seller, &job("sync"), 5).await;
    let stale = take(&db, HERE, &["sync"]).await.unwrap();
    db.run(
        "UPDATE job_items SET due_at = clock_timestamp() WHERE number = 3;
            UPDATE job_lanes SET ready_at = clock_timestamp()",
    )
    .await;
    let fresh = take(&db, THERE, &["sync"]).await.unwrap();
    assert_eq!(fresh.items.iter().map(|item| item.number).collect::<Vec<_>>(), [3]);
    let transaction = db.pool.begin(seller).await.unwrap();
    let settled = all(&stale, &Outcome::Done);
    let held = settle(&transaction, seller, stale.job, HERE, &settled).await.unwrap();
    assert_eq!(held, 4, "the caller rolls back");
    transaction.rollback().await.unwrap();
    assert_eq!(db.number("SELECT count(*) FROM job_items").await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn to_come_back_later_is_no_failed_attempt_and_to_fail_is() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    let Enqueued { job: id, .. } = start(&db, seller, &job("sync"), 1).await;
    let long = Duration::from_hours(1);
    for outcome in [Outcome::Snooze(long), Outcome::Snooze(long), Outcome::Snooze(long)] {
        let claim = take(&db, HERE, &["sync"]).await.unwrap();
        assert_eq!(claim.items[0].failures, 0);
        end(&db, HERE, &claim, &outcome).await;
        assert!(take(&db, HERE, &["sync"]).await.is_none(), "not before its time");
        db.run(LATER).await;
    }
    let claim = take(&db, HERE, &["sync"]).await.unwrap();
    end(&db, HERE, &claim, &Outcome::Back).await;
    let retry = Outcome::Retry { reason: "refused".to_owned(), delay: long };
    for failures in 0..3 {
        let claim = take(&db, HERE, &["sync"]).await.unwrap();
        assert_eq!(claim.items[0].failures, failures);
        end(&db, HERE, &claim, &retry).await;
        assert!(take(&db, HERE, &["sync"]).await.is_none(), "after a while");
        db.run(LATER).await;
    }
    let read = find(&db.pool, seller, id).await.unwrap().unwrap();
    assert_eq!((read.state, read.failed, read.done), (JobState::Failed, 1, 0), "a dead job");
    assert_eq!(read.error.as_deref(), Some("refused"));
    assert_eq!(read.failures[0].reason.as_deref(), Some("refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_killed_its_worker_is_tried_alone_and_given_up() {
    let db = TestDatabase::new().await;
    let (seller, other) = (db.seller("one").await.seller(), db.seller("other").await.seller());
    let Enqueued { job: id, .. } = start(&db, seller, &job("sync"), 3).await;
    assert_eq!(take(&db, HERE, &["sync"]).await.unwrap().items.len(), 3);
    db.run(LATER).await;
    start(&db, other, &job("sync"), 1).await;
    let careful = Offer { takes_suspects: false, ..offer(&["sync"]) };
    assert_eq!(claim(&db.pool, HERE, &careful).await.unwrap().unwrap().seller, other);
    assert!(claim(&db.pool, HERE, &careful).await.unwrap().is_none());
    // The first one goes on killing its workers; the others are innocent.
    let mut deaths = 1;
    while let Some(claim) = take(&db, HERE, &["sync"]).await {
        if claim.seller == other {
            continue;
        }
        assert_eq!(claim.items.len(), 1);
        if claim.items[0].number == 1 {
            deaths += 1;
        } else {
            assert_eq!(end(&db, HERE, &claim, &Outcome::Done).await, 1);
        }
        db.run(
            "UPDATE job_items SET due_at = clock_timestamp() WHERE number = 1;
                UPDATE job_lanes SET ready_at = clock_timestamp()",
        )
        .await;
        assert!(deaths <= 3);
    }
    assert_eq!(deaths, 3);
    let read = find(&db.pool, seller, id).await.unwrap().unwrap();
    assert_eq!((read.state, read.done, read.failed), (JobState::Done, 2, 1));
    assert_eq!(read.failures[0].item, "item 1");
    assert!(read.failures[0].reason.as_deref().unwrap().contains("given up"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_job_is_cancelled_at_once_and_a_running_one_when_its_workers_let_go() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    let by = author();
    let Enqueued { job: queued, .. } = start(&db, seller, &job("sync"), 3).await;
    assert!(assert_statements(&db.pool, 3, cancel(&db.pool, seller, queued, &by)).await.unwrap());
    assert!(!assert_statements(&db.pool, 1, cancel(&db.pool, seller, queued, &by)).await.unwrap());
    assert_eq!(state(&db, seller, queued).await, JobState::Cancelled);
    assert!(take(&db, HERE, &["sync"]).await.is_none());

    let Enqueued { job: running, is_new, .. } = start(&db, seller, &job("sync"), 30).await;
    assert!(is_new, "a cancelled job is not alive");
    let claim = take(&db, HERE, &["sync"]).await.unwrap();
    assert!(cancel(&db.pool, seller, running, &by).await.unwrap());
    assert_eq!(state(&db, seller, running).await, JobState::Running);
    assert!(take(&db, THERE, &["sync"]).await.is_none(), "nobody begins any more of it");
    let first = &claim.items[0];
    let (number, attempt) = (first.number, first.attempt);
    let held = Held { seller, job: running, number, attempt };
    let beat = extend(&db.pool, HERE, &[held], Duration::from_mins(1)).await.unwrap();
    assert!(beat[0].is_to_stop);
    let transaction = db.pool.begin(seller).await.unwrap();
    let mut settled = all(&claim, &Outcome::Back);
    settled[0].outcome = Outcome::Done;
    settle(&transaction, seller, running, HERE, &settled).await.unwrap();
    transaction.commit().await.unwrap();
    let read = find(&db.pool, seller, running).await.unwrap().unwrap();
    assert_eq!((read.state, read.done, read.failed), (JobState::Cancelled, 1, 0));

    // A worker that died does not keep a job from its end.
    let Enqueued { job: orphan, .. } = start(&db, seller, &job("sync"), 1).await;
    let lost = take(&db, HERE, &["sync"]).await.unwrap();
    cancel(&db.pool, seller, orphan, &by).await.unwrap();
    tidy(&db.pool).await.unwrap();
    assert_eq!(state(&db, seller, orphan).await, JobState::Running);
    db.run(LATER).await;
    tidy(&db.pool).await.unwrap();
    assert_eq!(state(&db, seller, orphan).await, JobState::Cancelled);
    assert_eq!(end(&db, HERE, &lost, &Outcome::Done).await, 0);
    // Between two attempts nobody has to be asked.
    let Enqueued { job: resting, .. } = start(&db, seller, &job("sync"), 1).await;
    let claim = take(&db, HERE, &["sync"]).await.unwrap();
    end(&db, HERE, &claim, &Outcome::Snooze(Duration::from_hours(1))).await;
    cancel(&db.pool, seller, resting, &by).await.unwrap();
    assert_eq!(state(&db, seller, resting).await, JobState::Cancelled);
    tidy(&db.pool).await.unwrap();
    assert_eq!(db.number("SELECT count(*) FROM job_items").await, 0);
    let put_away = "SELECT count(*) FROM job_items_ended WHERE state = 'cancelled'";
    assert_eq!(db.number(put_away).await, 3 + 29 + 1 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_is_found_on_the_way_joins_its_job() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    let Enqueued { job: id, .. } = start(&db, seller, &job("collect"), 1).await;
    let claim = take(&db, HERE, &["collect"]).await.unwrap();
    let transaction = db.pool.begin(seller).await.unwrap();
    let found = items(1_500);
    let added = add_items(&transaction, seller, (id, "collect"), &found);
    assert!(assert_statements(&db.pool, 4, added).await.unwrap());
    let settled = all(&claim, &Outcome::Done);
    settle(&transaction, seller, id, HERE, &settled).await.unwrap();
    transaction.commit().await.unwrap();
    let mut done = 1;
    while let Some(claim) = take(&db, HERE, &["collect"]).await {
        done += end(&db, HERE, &claim, &Outcome::Done).await;
    }
    assert_eq!(done, 1_501);
    let read = find(&db.pool, seller, id).await.unwrap().unwrap();
    assert_eq!((read.state, read.done, read.total), (JobState::Done, 1_501, 1_501));
    let transaction = db.pool.begin(seller).await.unwrap();
    let late = add_items(&transaction, seller, (id, "collect"), &items(1)).await;
    assert!(!late.unwrap(), "it has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_items_is_done_and_one_that_lost_them_has_failed() {
    let db = TestDatabase::new().await;
    let seller = SellerId::INSTALLATION;
    let Enqueued { job: empty, .. } = start(&db, seller, &job("optimize"), 0).await;
    assert_eq!(state(&db, seller, empty).await, JobState::Done);
    let Enqueued { job: robbed, is_new, .. } = start(&db, seller, &job("optimize"), 2).await;
    assert!(is_new);
    db.run("DELETE FROM job_items").await;
    tidy(&db.pool).await.unwrap();
    let read = find(&db.pool, seller, robbed).await.unwrap().unwrap();
    assert_eq!((read.state, read.failed), (JobState::Failed, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_newest_first_and_only_the_sellers() {
    let db = TestDatabase::new().await;
    let (one, other) = (db.seller("one").await.seller(), db.seller("other").await.seller());
    let kinds = ["a", "b", "c", "d", "e"];
    let mut ids = Vec::new();
    for kind in kinds {
        ids.push(start(&db, one, &job(kind), 1).await.job);
    }
    start(&db, other, &job("a"), 1).await;
    ids.reverse();
    let size = PageSize::new(2).unwrap();
    let by_number = |n| At::Page(PageNumber::new(n, size).unwrap());
    let first = assert_statements(&db.pool, 1, page(&db.pool, one, by_number(1), size));
    let first = first.await.unwrap();
    assert_eq!((first.total, first.total_is), (5, TotalIs::Exact));
    let shown = |page: &jebi_domain::Page<jebi_db_optimizer::jobs::Job>| -> Vec<JobId> {
        page.items.iter().map(|job| job.id).collect()
    };
    assert_eq!(shown(&first), ids[..2]);
    let second = page(&db.pool, one, At::After(first.next.unwrap()), size).await.unwrap();
    assert_eq!((shown(&second), second.total), (ids[2..4].to_vec(), 5));
    let last = page(&db.pool, one, by_number(3), size).await.unwrap();
    assert_eq!((shown(&last), last.next), (ids[4..].to_vec(), None));
    for beyond in [4, 10_000, 1 << 40] {
        let none = page(&db.pool, one, by_number(beyond), size).await.unwrap();
        assert_eq!((none.items.len(), none.total), (0, 5));
    }
    assert_eq!(find(&db.pool, other, ids[0]).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_with_the_same_ids_is_neither_shown_nor_changed() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    let Enqueued { job: id, .. } = start(&db, seller, &job("sync"), 3).await;
    let twin = db.twin_of(seller).await.seller();
    let theirs = format!(
        "SELECT md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM (
             SELECT j::text FROM jobs AS j WHERE seller_id = '{twin}'
             UNION ALL SELECT i::text FROM job_items AS i WHERE seller_id = '{twin}'
         ) AS t"
    );
    let claim = loop {
        let claim = take(&db, HERE, &["sync"]).await.unwrap();
        if claim.seller == seller {
            break claim;
        }
        end(&db, HERE, &claim, &Outcome::Back).await;
    };
    assert_eq!(claim.items.len(), 3);
    let theirs_before = db.text(&theirs).await;
    let held: Vec<Held> = claim
        .items
        .iter()
        .map(|item| Held { seller, job: id, number: item.number, attempt: item.attempt })
        .collect();
    assert_eq!(extend(&db.pool, HERE, &held, Duration::from_mins(1)).await.unwrap().len(), 3);
    let transaction = db.pool.begin(seller).await.unwrap();
    assert!(report(&transaction, HERE, held[0], &Report::Progress(1, 2)).await.unwrap());
    add_items(&transaction, seller, (id, "sync"), &items(1)).await.unwrap();
    let mut settled = all(&claim, &Outcome::Done);
    settled[1].outcome = Outcome::Failed("mine".to_owned());
    settle(&transaction, seller, id, HERE, &settled).await.unwrap();
    transaction.commit().await.unwrap();
    cancel(&db.pool, seller, id, &author()).await.unwrap();
    tidy(&db.pool).await.unwrap();
    assert_eq!(db.text(&theirs).await, theirs_before);
    let read = find(&db.pool, twin, id).await.unwrap().unwrap();
    assert_eq!((read.failed, read.failures.len()), (0, 0));
    assert_eq!(state(&db, seller, id).await, JobState::Cancelled);

    // The second wall: whatever a statement says, it changes the transaction's seller's rows only.
    let transaction = db.pool.begin(seller).await.unwrap();
    let settled = all(&claim, &Outcome::Done);
    assert_eq!(settle(&transaction, twin, id, HERE, &settled).await.unwrap(), 0);
    for change in
        ["jobs SET done = 7", "job_items SET attempt = 9", "job_lanes SET ready_at = now()"]
    {
        let sql = format!("UPDATE {change} WHERE seller_id = '{twin}'");
        assert_eq!(run_as_service(&transaction, &sql).await, Ok(0));
    }
    drop(transaction);
    let transaction = db.pool.begin(seller).await.unwrap();
    let planted = enqueue(&transaction, twin, &job("planted"), &items(1), &author()).await;
    assert!(planted.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_long_ago_is_dropped_by_the_day() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    let Enqueued { job: id, .. } = start(&db, seller, &job("sync"), 1).await;
    let claim = take(&db, HERE, &["sync"]).await.unwrap();
    end(&db, HERE, &claim, &Outcome::Failed("gone".to_owned())).await;
    assert_statements(&db.pool, 1, rotate(&db.pool)).await.unwrap();
    rotate(&db.pool).await.unwrap();
    let partitions =
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'job_items_ended'::regclass";
    assert_eq!(db.number(partitions).await, 3, "two days ahead, and the rest");
    db.run(
        "CREATE TABLE job_items_ended_20200101 PARTITION OF job_items_ended
                FOR VALUES FROM ('2020-01-01') TO ('2020-01-02');
            UPDATE job_items_ended SET ended_at = '2020-01-01T05:00:00Z';
            UPDATE jobs SET finished_at = '2020-01-01T05:00:00Z'",
    )
    .await;
    assert_eq!(find(&db.pool, seller, id).await.unwrap().unwrap().failures.len(), 1);
    rotate(&db.pool).await.unwrap();
    assert_eq!(db.number(partitions).await, 3);
    assert_eq!(db.number("SELECT count(*) FROM job_items_ended").await, 0);
    assert_eq!(assert_statements(&db.pool, 1, tidy(&db.pool)).await.unwrap(), 1);
    assert_eq!(find(&db.pool, seller, id).await.unwrap(), None);
}

/// Works on until nothing is left, with clumsy hands: some items fail, some come back, and now and then the backend is
/// terminated under the worker.
async fn work_on(pool: Pool, worker: Uuid) {
    let mut idle = 0;
    while idle < 3 {
        let Ok(claimed) = claim(&pool, worker, &offer(&["sync"])).await else { continue };
        let Some(claim) = claimed else {
            idle += 1;
            continue;
        };
        let Ok(transaction) = pool.begin(claim.seller).await else { continue };
        let settled = all(&claim, &Outcome::Done);
        let done = settle(&transaction, claim.seller, claim.job, worker, &settled).await;
        if done.is_ok() {
            // Its answer may be lost; what it did is not.
            drop(transaction.commit().await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_accepted_item_is_lost_when_postgresql_ends_connections() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    let Enqueued { job: id, .. } = start(&db, seller, &job("sync"), 400).await;
    // As many attempts as it takes.
    db.run("UPDATE jobs SET max_attempts = 1000").await;
    let state_of = "SELECT count(*) FROM (SELECT number FROM job_items
                    UNION ALL SELECT number FROM job_items_ended) AS every";
    for round in 0..8_u128 {
        let workers = [1, 2, 3]
            .map(|n| tokio::spawn(work_on(db.pool.clone(), Uuid::from_u128(round * 10 + n))));
        db.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name = 'jebi' AND datname = current_database()",
        )
        .await;
        for worker in workers {
            worker.await.unwrap();
        }
        assert_eq!(db.number(state_of).await, 400, "each is somewhere, once");
        db.run(LATER).await;
    }
    while let Some(claim) = take(&db, HERE, &["sync"]).await {
        end(&db, HERE, &claim, &Outcome::Done).await;
    }
    let read = find(&db.pool, seller, id).await.unwrap().unwrap();
    assert_eq!((read.state, read.done), (JobState::Done, 400));
    let ended = "SELECT count(DISTINCT number) FROM job_items_ended WHERE state = 'done'";
    assert_eq!(db.number(ended).await, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_that_meet_take_different_items() {
    let db = TestDatabase::with_config(&Config { size: 8, overflow: 0, ..Config::default() }).await;
    let sellers = [db.seller("one").await.seller(), db.seller("two").await.seller()];
    for seller in sellers {
        start(&db, seller, &job("sync"), 300).await;
        start(&db, seller, &job("collect"), 300).await;
    }
    let workers = (0..8).map(|n| {
        let pool = db.pool.clone();
        tokio::spawn(async move {
            let (mut taken, mut idle) = (Vec::new(), 0);
            while idle < 20 {
                let claimed = claim(&pool, Uuid::from_u128(n), &offer(&["sync", "collect"])).await;
                match claimed.unwrap() {
                    Some(claim) => {
                        let key =
                            |item: &jebi_db_optimizer::jobs::ClaimedItem| (claim.job, item.number);
                        taken.extend(claim.items.iter().map(key));
                    }
                    None => idle += 1,
                }
            }
            taken
        })
    });
    let taken = futures::future::join_all(workers.collect::<Vec<_>>()).await;
    let taken: Vec<(JobId, i32)> = taken.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(taken.len(), 1_200);
    assert_eq!(taken.iter().collect::<HashSet<_>>().len(), 1_200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_business_transaction_takes_back_was_never_enqueued() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    let transaction = db.pool.begin(seller).await.unwrap();
    enqueue(&transaction, seller, &job("sync"), &items(3), &author()).await.unwrap();
    transaction.rollback().await.unwrap();
    let transaction = db.pool.begin(seller).await.unwrap();
    enqueue(&transaction, seller, &job("sync"), &items(3), &author()).await.unwrap();
    drop(transaction);
    assert!(take(&db, HERE, &["sync"]).await.is_none());
    assert_eq!(db.number("SELECT count(*) FROM jobs").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_of_all_sellers_is_seen_at_once_with_what_waits_longest() {
    let db = TestDatabase::new().await;
    let (one, two) = (db.seller("one").await.seller(), db.seller("two").await.seller());
    let seen = assert_statements(&db.pool, 2, overview(&db.pool)).await.unwrap();
    assert_eq!((seen.jobs.len(), seen.open_items, seen.oldest_due), (0, 0, None));
    start(&db, one, &job("sync"), 25).await;
    start(&db, two, &job("sync"), 3).await;
    db.run("UPDATE job_items SET due_at = now() - interval '1 hour' WHERE number = 3").await;
    let seen = overview(&db.pool).await.unwrap();
    assert_eq!((seen.jobs.len(), seen.open_items), (2, 28));
    assert!(seen.oldest_due.unwrap() >= Duration::from_hours(1), "{seen:?}");
    for _ in 0..2 {
        let taken = take(&db, HERE, &["sync"]).await.unwrap();
        end(&db, HERE, &taken, &Outcome::Done).await;
    }
    tidy(&db.pool).await.unwrap();
    let seen = overview(&db.pool).await.unwrap();
    let mut states: Vec<_> = seen.jobs.iter().map(|job| (job.state.as_str(), job.done)).collect();
    states.sort_unstable();
    assert_eq!(states, [("done", 3), ("running", 20)]);
    assert_eq!((seen.open_items, seen.jobs[0].rate_per_second().is_some()), (5, true));
}
