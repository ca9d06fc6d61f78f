use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use chrono::Utc;
use jebi_db_optimizer::Author;
use jebi_db_optimizer::jobs::{Report, cancel, find};
use jebi_domain::{JobState, SellerId};
use jebi_work::{Config, Error, Failure, Kinds, Outcome, Policy, Work};
use serde_json::json;
use tokio::sync::{Notify, Semaphore};

use crate::fixture::{Running, database, effect, ended, quick, start, until};

/// All that is left of it, done.
fn done(work: &Work) -> Vec<(i32, Outcome)> {
    work.open().into_iter().map(|number| (number, Outcome::Done)).collect()
}

fn author() -> Author {
    Author { actor: "test".to_owned(), request_id: None, at: Utc::now() }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_item_is_done_once_with_what_it_writes() {
    let db = database().await;
    let sellers = [db.seller("one").await.seller(), db.seller("other").await.seller()];
    let kinds = Kinds::default().with("sync", Policy::default(), async |work: Arc<Work>| {
        let transaction = work.begin().await?;
        for number in work.open() {
            effect(&transaction, work.claim.seller, number, "runner").await;
        }
        let ended = done(&work);
        work.commit(transaction, ended).await?;
        Ok(vec![])
    });
    let running = Running::new(&db, kinds, quick());
    for seller in sellers {
        let job = start(&db.pool, seller, "sync", 53).await;
        running.wake.wake();
        let job = ended(&db, seller, job).await;
        assert_eq!((job.state, job.done, job.failed), (JobState::Done, 53, 0));
    }
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM effects").await, 106);
    let once = "SELECT count(*) FROM (SELECT DISTINCT seller_id, number FROM effects) AS e";
    assert_eq!(db.number(once).await, 106);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_item_ends_as_its_handler_says() {
    let db = database().await;
    let seller = db.seller("one").await.seller();
    let kinds = Kinds::default().with("mixed", Policy::default(), async |work: Arc<Work>| {
        let outcome = |item: &jebi_db_optimizer::jobs::ClaimedItem| {
            let outcome = match item.number {
                1 => Outcome::Failed("no such product".to_owned()),
                2 => Outcome::Retry("refused".to_owned()),
                3 if item.attempt < 5 => Outcome::Snooze(Duration::ZERO),
                // Not a word of it: a failed attempt each time.
                4 => return None,
                _ => Outcome::Done,
            };
            Some((item.number, outcome))
        };
        Ok(work.claim.items.iter().filter_map(outcome).collect())
    });
    let running = Running::new(&db, kinds, quick());
    let job = start(&db.pool, seller, "mixed", 5).await;
    let job = ended(&db, seller, job).await;
    assert_eq!((job.state, job.done, job.failed), (JobState::Done, 2, 3));
    let failures: Vec<(&str, Option<&str>)> =
        job.failures.iter().map(|f| (f.item.as_str(), f.reason.as_deref())).collect();
    assert_eq!(
        failures,
        [
            ("item 1", Some("no such product")),
            ("item 2", Some("refused")),
            ("item 4", Some("the work ended without a word of it")),
        ]
    );
    running.stop().await;
    let attempts = "SELECT attempt::bigint FROM job_items_ended WHERE number = ";
    assert_eq!(db.number(&format!("{attempts} 2")).await, 3);
    assert_eq!(db.number(&format!("{attempts} 3")).await, 5, "to come back later costs nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_failed_attempt_of_the_guilty_alone() {
    let db = database().await;
    let (seller, other) = (db.seller("one").await.seller(), db.seller("other").await.seller());
    let panics = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&panics);
    let kinds = Kinds::default().with("sync", Policy::default(), move |work: Arc<Work>| {
        let panics = Arc::clone(&counted);
        async move {
            if work.claim.items.iter().any(|item| item.payload == json!({}) && item.number == 7) {
                panics.fetch_add(1, SeqCst);
                panic!("the seventh is bad, at 010-1234-5678");
            }
            Ok(done(&work))
        }
    });
    let running = Running::new(&db, kinds, Config { workers: 4, ..quick() });
    let bad = start(&db.pool, seller, "sync", 20).await;
    let bad = ended(&db, seller, bad).await;
    assert_eq!((bad.state, bad.done, bad.failed), (JobState::Done, 19, 1));
    assert_eq!((bad.failures[0].item.as_str(), panics.load(SeqCst)), ("item 7", 3));
    // "010" alone is in one identifier of a few dozen.
    assert!(!format!("{bad:?}").contains("1234-5678"), "what a panic says stays in the process");
    let good = start(&db.pool, other, "sync", 5).await;
    assert_eq!(ended(&db, other, good).await.done, 5);
    running.stop().await;
}

/// A job of one long item, as an index is built: it says how far it is, and what came of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_item_tells_how_far_it_is_and_can_be_stopped() {
    let db = database().await;
    let seller = SellerId::INSTALLATION;
    let steps = Arc::new(Semaphore::new(0));
    let taken = Arc::clone(&steps);
    let kinds = Kinds::default().with("optimize", Policy::ONE, move |work: Arc<Work>| {
        let steps = Arc::clone(&taken);
        async move {
            for step in 1..=3 {
                tokio::select! {
                    () = work.stop().cancelled() => return Ok(vec![]),
                    step = steps.acquire() => step.unwrap().forget(),
                }
                work.report(&Report::Progress(step, 3)).await?;
            }
            work.report(&Report::Result(json!({ "built": 3 }))).await?;
            Ok(done(&work))
        }
    });
    let running = Running::new(&db, kinds, quick());
    let long = start(&db.pool, seller, "optimize", 1).await;
    let progress = |steps: u64| {
        let db = &db;
        until(move || async move {
            let job = find(&db.pool, seller, long).await.unwrap().unwrap();
            ((job.done, job.total) == (steps, 3)).then_some(())
        })
    };
    for step in 1..=2 {
        steps.add_permits(1);
        progress(step).await;
    }
    // However long it takes, heart-beats keep it.
    let lease = "SELECT (extract(epoch FROM due_at) * 1000000)::bigint FROM job_items";
    let before = db.number(lease).await;
    until(|| async { (db.number(lease).await > before).then_some(()) }).await;
    steps.add_permits(1);
    let job = ended(&db, seller, long).await;
    assert_eq!((job.state, job.done, job.total), (JobState::Done, 3, 3));
    assert_eq!(job.result, Some(json!({ "built": 3 })));

    let long = start(&db.pool, seller, "optimize", 1).await;
    steps.add_permits(1);
    until(|| async {
        let job = find(&db.pool, seller, long).await.unwrap().unwrap();
        (job.done == 1).then_some(())
    })
    .await;
    assert!(cancel(&db.pool, seller, long, &author()).await.unwrap());
    let job = ended(&db, seller, long).await;
    assert_eq!((job.state, job.done, job.failed), (JobState::Cancelled, 1, 0));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_where_the_next_attempt_begins() {
    let db = database().await;
    let seller = db.seller("one").await.seller();
    let kinds = Kinds::default().with("collect", Policy::ONE, async |work: Arc<Work>| {
        let item = &work.claim.items[0];
        let page = item.payload["page"].as_i64().unwrap_or(0);
        for page in page..5 {
            let transaction = work.begin().await?;
            let number = i32::try_from(page).unwrap();
            effect(&transaction, work.claim.seller, number, "runner").await;
            work.checkpoint(transaction, item.number, json!({ "page": page + 1 })).await?;
            if page == 2 {
                return Err(Failure::Because("the wholesaler hung up".to_owned()));
            }
        }
        Ok(done(&work))
    });
    let running = Running::new(&db, kinds, quick());
    let job = start(&db.pool, seller, "collect", 1).await;
    assert_eq!(ended(&db, seller, job).await.state, JobState::Done);
    running.stop().await;
    let pages = "SELECT string_agg(number::text, ' ' ORDER BY number) FROM effects";
    assert_eq!(db.text(pages).await, "0 1 2 3 4", "each page once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_hands_back_what_is_not_done() {
    let db = database().await;
    let seller = db.seller("one").await.seller();
    let begun = Arc::new(Notify::new());
    let told = Arc::clone(&begun);
    // One listens to the stop, the other does not.
    let kinds = Kinds::default()
        .with("polite", Policy::default(), async |work: Arc<Work>| {
            work.stop().cancelled().await;
            Ok(vec![(1, Outcome::Done)])
        })
        .with("deaf", Policy::default(), move |_: Arc<Work>| {
            told.notify_one();
            std::future::pending()
        });
    let running = Running::new(&db, kinds, quick());
    let polite = start(&db.pool, seller, "polite", 3).await;
    let deaf = start(&db.pool, seller, "deaf", 3).await;
    begun.notified().await;
    until(|| async {
        let job = find(&db.pool, seller, polite).await.unwrap().unwrap();
        (job.state == JobState::Running).then_some(())
    })
    .await;
    running.stop().await;
    let held = "SELECT count(*) FROM job_items WHERE holder IS NOT NULL OR failures > 0";
    assert_eq!(db.number(held).await, 0, "free, and without a failed attempt");
    assert_eq!(db.number("SELECT count(*) FROM job_items").await, 5);

    let all = |work: Arc<Work>| async move { Ok(done(&work)) };
    let kinds = Kinds::default().with("polite", Policy::default(), all);
    let kinds = kinds.with("deaf", Policy::default(), all);
    let running = Running::new(&db, kinds, quick());
    for job in [polite, deaf] {
        assert_eq!(ended(&db, seller, job).await.done, 3);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_lost_its_lease_is_told_and_commits_nothing() {
    let db = database().await;
    let seller = db.seller("one").await.seller();
    let (begun, lost) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (telling, losing) = (Arc::clone(&begun), Arc::clone(&lost));
    let kinds = Kinds::default().with("sync", Policy::default(), move |work: Arc<Work>| {
        let (begun, lost) = (Arc::clone(&telling), Arc::clone(&losing));
        async move {
            begun.notify_one();
            work.stop().cancelled().await;
            let transaction = work.begin().await?;
            effect(&transaction, work.claim.seller, 1, "stale").await;
            let ended = done(&work);
            assert!(matches!(work.commit(transaction, ended).await, Err(Error::Lost)));
            lost.notify_one();
            Ok(vec![])
        }
    });
    let running = Running::new(&db, kinds, quick());
    start(&db.pool, seller, "sync", 1).await;
    begun.notified().await;
    // As if another worker had it.
    db.run("UPDATE job_items SET holder = gen_random_uuid(), attempt = attempt + 1").await;
    lost.notified().await;
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM effects").await, 0);
    assert_eq!(db.number("SELECT count(*) FROM job_items WHERE holder IS NOT NULL").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_while_postgresql_ends_connections() {
    let db = database().await;
    let seller = db.seller("one").await.seller();
    let kinds = Kinds::default().with("sync", Policy { batch: 5 }, async |work: Arc<Work>| {
        let transaction = work.begin().await?;
        for number in work.open() {
            let insert =
                format!("INSERT INTO effects VALUES ('{}', {number}, 'runner')", work.claim.seller);
            let written = jebi_db_optimizer::testing::run_as_service(&transaction, &insert).await;
            if written.is_err() {
                return Err(Failure::Away);
            }
        }
        let ended = done(&work);
        work.commit(transaction, ended).await?;
        Ok(vec![])
    });
    let lease = Duration::from_millis(500);
    let running = Running::new(&db, kinds, Config { workers: 4, lease, ..quick() });
    let job = start(&db.pool, seller, "sync", 500).await;
    db.run("UPDATE jobs SET max_attempts = 1000").await;
    for _ in 0..20 {
        db.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = 'jebi' AND datname = current_database()",
        )
        .await;
    }
    let job = until(|| async {
        let job = find(&db.pool, seller, job).await.ok()??;
        job.state.is_ended().then_some(job)
    })
    .await;
    assert_eq!((job.state, job.done, job.failed), (JobState::Done, 500, 0));
    running.stop().await;
    assert_eq!(db.number("SELECT count(*) FROM effects").await, 500);
    assert_eq!(db.number("SELECT count(DISTINCT number) FROM effects").await, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_with_much_to_do_keeps_nobody_waiting() {
    let db = database().await;
    let (large, small) = (db.seller("large").await.seller(), db.seller("small").await.seller());
    let (gate, order) = (Arc::new(Semaphore::new(0)), Arc::new(std::sync::Mutex::new(vec![])));
    let (waiting, noting) = (Arc::clone(&gate), Arc::clone(&order));
    let kinds = Kinds::default().with("collect", Policy::default(), move |work: Arc<Work>| {
        let (gate, order) = (Arc::clone(&waiting), Arc::clone(&noting));
        async move {
            order.lock().unwrap().push(work.claim.seller);
            gate.acquire().await.unwrap().forget();
            Ok(done(&work))
        }
    });
    let running = Running::new(&db, kinds, Config { workers: 1, ..quick() });
    start(&db.pool, large, "collect", 100_000).await;
    until(|| async { (order.lock().unwrap().len() == 1).then_some(()) }).await;
    let job = start(&db.pool, small, "collect", 1).await;
    gate.add_permits(2);
    assert_eq!(ended(&db, small, job).await.state, JobState::Done);
    assert_eq!(order.lock().unwrap()[..2], [large, small], "one batch, no more");
    gate.add_permits(100);
    running.stop().await;
}
