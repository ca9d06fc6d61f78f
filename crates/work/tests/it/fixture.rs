//! Jobs, and a table for what they do.

use std::time::Duration;

use chrono::Utc;
use jebi_db_optimizer::jobs::{Job, NewItem, NewJob, enqueue, find};
use jebi_db_optimizer::testing::{TestDatabase, run_as_service};
use jebi_db_optimizer::{Author, Pool, Transaction};
use jebi_domain::{JobId, SellerId};
use jebi_work::{Config, Kinds, Runner, Wake};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Short times, where nothing is meant to outlive them.
pub(crate) fn quick() -> Config {
    Config {
        workers: 2,
        lease: Duration::from_secs(20),
        beat: Duration::from_millis(20),
        poll: Duration::from_millis(5),
        grace: Duration::from_millis(200),
        first_delay: Duration::ZERO,
        most_delay: Duration::ZERO,
        ..Config::default()
    }
}

/// A database with a table of effects: a row is what a job did to the world.
pub(crate) async fn database() -> TestDatabase {
    let db = TestDatabase::new().await;
    db.run(
        "CREATE TABLE effects (seller_id uuid NOT NULL, number integer NOT NULL, worker text NOT NULL);
         GRANT SELECT, INSERT ON effects TO jebi_service",
    )
    .await;
    db
}

/// Does to the world what item `number` is there for.
pub(crate) async fn effect(transaction: &Transaction<'_>, seller: SellerId, number: i32, by: &str) {
    let insert = format!("INSERT INTO effects VALUES ('{seller}', {number}, '{by}')");
    assert_eq!(run_as_service(transaction, &insert).await, Ok(1));
}

pub(crate) async fn start(pool: &Pool, seller: SellerId, kind: &str, items: usize) -> JobId {
    let new = NewJob { kind, account: None, parameters: json!({}), max_attempts: 3 };
    let item = |n| NewItem { name: format!("item {n}"), payload: json!({}) };
    let items: Vec<NewItem> = (1..=items).map(item).collect();
    let author = Author { actor: "test".to_owned(), request_id: None, at: Utc::now() };
    let transaction = pool.begin(seller).await.unwrap();
    let enqueued = enqueue(&transaction, seller, &new, &items, &author).await.unwrap();
    assert!(enqueued.is_new);
    transaction.commit().await.unwrap();
    enqueued.job
}

/// The job once it has ended.
pub(crate) async fn ended(db: &TestDatabase, seller: SellerId, job: JobId) -> Job {
    until(|| async {
        let job = find(&db.pool, seller, job).await.unwrap().unwrap();
        job.state.is_ended().then_some(job)
    })
    .await
}

/// As if all leases of workers that are gone had ended, once PostgreSQL knows that they are: what it was sent it still does, and that may be
/// to claim an item for the dead, with a lease that outlasts the test.
pub(crate) async fn end_leases(db: &TestDatabase) {
    let connections = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND application_name LIKE 'jebi%'";
    until(|| async {
        let others = db.number(connections).await > i64::from(db.pool.state().open);
        (!others).then_some(())
    })
    .await;
    db.run(
        "UPDATE job_items SET due_at = clock_timestamp() WHERE holder IS NOT NULL;
         UPDATE job_lanes SET ready_at = clock_timestamp()",
    )
    .await;
}

/// Asks again and again, each time after a round trip to the database.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(ask: impl Fn() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asking).await.expect("it comes to that")
}

/// A runner in this process.
pub(crate) struct Running {
    pub(crate) wake: Wake,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn new(db: &TestDatabase, kinds: Kinds, config: Config) -> Self {
        let wake = Wake::default();
        let (stop, stopped) = oneshot::channel();
        let runner = Runner::new(db.pool.clone(), kinds, config, &wake);
        let task = tokio::spawn(runner.run(async { drop(stopped.await) }));
        Self { wake, stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}
