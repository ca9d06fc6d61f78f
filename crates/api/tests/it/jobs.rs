//! Jobs over HTTP, done by workers of the test's own.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use jebi_db_optimizer::Author;
use jebi_db_optimizer::jobs::{NewItem, NewJob, enqueue};
use jebi_domain::{JobId, Scope, SellerId};
use jebi_work::{Config, Kinds, Outcome, Policy, Runner, Wake, Work};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::app::TestApp;
use crate::http::Request;
use crate::process::{jebi, stderr};

const JOBS: &str = "/api/v1/jobs/";

/// A job of *demo* that has ended.
pub(crate) async fn ended_job(app: &TestApp) -> String {
    let seller = app.db.seller("demo").await.seller();
    start(app, seller, "nothing", 0).await.to_string()
}

async fn start(app: &TestApp, seller: SellerId, kind: &str, items: usize) -> JobId {
    let new = NewJob { kind, account: None, parameters: json!({}), max_attempts: 3 };
    let item = |n| NewItem { name: format!("item {n}"), payload: json!({}) };
    let items: Vec<NewItem> = (1..=items).map(item).collect();
    let author = Author { actor: "test".to_owned(), request_id: None, at: Utc::now() };
    let transaction = app.db.pool.begin(seller).await.unwrap();
    let enqueued = enqueue(&transaction, seller, &new, &items, &author).await.unwrap();
    transaction.commit().await.unwrap();
    enqueued.job
}

/// Workers that do an item for each permit; the third of every job fails.
struct Workers {
    gate: Arc<Semaphore>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Workers {
    fn new(app: &TestApp) -> Self {
        let (gate, stop) = (Arc::new(Semaphore::new(0)), CancellationToken::new());
        let waiting = Arc::clone(&gate);
        let kinds = Kinds::default().with("sync", Policy::ONE, move |work: Arc<Work>| {
            let gate = Arc::clone(&waiting);
            async move {
                let number = work.claim.items[0].number;
                tokio::select! {
                    () = work.stop().cancelled() => return Ok(vec![]),
                    permit = gate.acquire() => permit.unwrap().forget(),
                }
                let outcome = match number {
                    3 => Outcome::Failed("sold out".to_owned()),
                    _ => Outcome::Done,
                };
                Ok(vec![(number, outcome)])
            }
        });
        let quick = Duration::from_millis(20);
        let config = Config { workers: 1, beat: quick, poll: quick, ..Config::default() };
        let runner = Runner::new(app.db.pool.clone(), kinds, config, &Wake::default());
        let task = tokio::spawn(runner.run(stop.clone().cancelled_owned()));
        Self { gate, stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// A stream of events, read as they come.
pub(crate) struct Events {
    lines: tokio::io::Lines<BufReader<TcpStream>>,
}

impl Events {
    pub(crate) async fn open(app: &TestApp, job: impl std::fmt::Display) -> Self {
        let mut stream = TcpStream::connect(&app.address).await.unwrap();
        let head = format!(
            "GET {JOBS}{job}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
             last-event-id: 99\r\nconnection: close\r\n\r\n",
            app.key
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        assert_eq!(lines.next_line().await.unwrap().unwrap(), "HTTP/1.1 200 OK");
        let mut kind = String::new();
        while let Some(line) = lines.next_line().await.unwrap().filter(|line| !line.is_empty()) {
            if line.starts_with("content-type") {
                kind = line;
            }
        }
        assert_eq!(kind, "content-type: text/event-stream");
        Self { lines }
    }

    /// The next event's job; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        while let Some(line) = self.lines.next_line().await.unwrap() {
            if let Some(data) = line.strip_prefix("data: ") {
                return Some(serde_json::from_str(data).unwrap());
            }
        }
        None
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jobs_events_tell_how_far_it_is_until_it_ends() {
    let app = TestApp::new().await;
    let seller = app.db.seller("demo").await.seller();
    let job = start(&app, seller, "sync", 3).await;
    let mut events = Events::open(&app, job).await;
    let first = events.next().await.unwrap();
    assert_eq!(
        (&first["state"], &first["done"], &first["total"]),
        (&json!("queued"), &json!(0), &json!(3))
    );
    assert_eq!(first["id"], job.to_string());
    let workers = Workers::new(&app);
    assert_eq!(events.next().await.unwrap()["state"], "running");
    for done in 1..=2 {
        workers.gate.add_permits(1);
        // Between two changes of what is shown there may be others.
        while events.next().await.unwrap()["done"] != done {}
    }
    workers.gate.add_permits(1);
    let mut last = Value::Null;
    while let Some(event) = events.next().await {
        last = event;
    }
    assert_eq!(
        (&last["state"], &last["done"], &last["failed"]),
        (&json!("done"), &json!(2), &json!(1))
    );
    assert_eq!(last["failures"], json!([{ "item": "item 3", "reason": "sold out" }]));
    assert!(last["rate_per_second"].as_f64().unwrap() > 0.0 && last["eta_seconds"].is_null());
    let read = app.get(&format!("{JOBS}{job}")).await.expect(200);
    assert_eq!(read.json(), last);
    // Nothing of it changes any more.
    let known = Request::new("GET", &format!("{JOBS}{job}")).key(&app.key);
    let known = known.header("if-none-match", read.header("etag").unwrap());
    app.send(known).await.expect(304);
    let mut again = Events::open(&app, job).await;
    assert_eq!(again.next().await, Some(last));
    assert_eq!(again.next().await, None);
    workers.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_cancelled_once_and_stays_so() {
    let app = TestApp::new().await;
    let seller = app.db.seller("demo").await.seller();
    let delete = |job: JobId| Request::new("DELETE", &format!("{JOBS}{job}")).key(&app.key);
    let queued = start(&app, seller, "sync", 3).await;
    for _ in 0..2 {
        let cancelled = app.send(delete(queued)).await.expect(200).json();
        assert_eq!(cancelled["state"], "cancelled");
    }
    let workers = Workers::new(&app);
    let running = start(&app, seller, "sync", 3).await;
    let mut events = Events::open(&app, running).await;
    while events.next().await.unwrap()["state"] != "running" {}
    app.send(delete(running)).await.expect(200);
    let mut last = Value::Null;
    while let Some(event) = events.next().await {
        last = event;
    }
    assert_eq!((&last["state"], &last["done"]), (&json!("cancelled"), &json!(0)));
    let done = start(&app, seller, "sync", 1).await;
    workers.gate.add_permits(1);
    let mut events = Events::open(&app, done).await;
    while events.next().await.is_some() {}
    assert_eq!(app.send(delete(done)).await.expect(200).json()["state"], "done");
    workers.stop().await;
    let audited = "SELECT count(*) FROM audit_log WHERE action = 'jobs:cancelled'";
    assert_eq!(app.db.number(audited).await, 2);

    let reader = app.key_of("demo", &[Scope::OrdersRead]).await;
    app.send(Request::new("DELETE", &format!("{JOBS}{done}")).key(&reader)).await.expect(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_by_page_and_by_cursor() {
    let app = TestApp::new().await;
    let seller = app.db.seller("demo").await.seller();
    let other = app.db.seller("other").await.seller();
    let mut ids = vec![];
    for kind in ["a", "b", "c"] {
        ids.push(start(&app, seller, kind, 1).await.to_string());
    }
    start(&app, other, "a", 1).await;
    ids.reverse();
    let first = app.get(&format!("{JOBS}?page_size=2")).await.expect(200).json();
    let shown = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items.map(|job| job["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(shown(&first), ids[..2]);
    assert_eq!((&first["total"], &first["total_is"]), (&json!(3), &json!("exact")));
    assert_eq!((&first["page"], &first["pages"]), (&json!(1), &json!(2)));
    let cursor = first["next_cursor"].as_str().unwrap();
    let next = app.get(&format!("{JOBS}?page_size=2&cursor={cursor}")).await.expect(200).json();
    assert_eq!((shown(&next), &next["next_cursor"]), (ids[2..].to_vec(), &Value::Null));
    assert!(shown(&app.get(&format!("{JOBS}?page=9")).await.expect(200).json()).is_empty());

    for (query, status) in [("?page=0", 422), ("?cursor=x", 400), ("?colour=red", 422)] {
        let refused = app.get(&format!("{JOBS}{query}")).await.expect(status);
        assert_eq!(refused.fields().len(), 1, "{}", refused.text());
    }
    // The cursor of another list.
    let orders = app.get(&format!("/api/v1/orders-optimized/?cursor={cursor}")).await;
    assert_eq!(orders.status, 400);
    let refused = app.get(&format!("{JOBS}{}?page=1", ids[0])).await.expect(422);
    assert_eq!(refused.fields(), ["page"]);
    let refused = app.get(&format!("{JOBS}{}/events?since=1", ids[0])).await.expect(422);
    assert_eq!(refused.fields(), ["since"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_has_so_many_streams_open_and_no_more() {
    let app = TestApp::new().await;
    let seller = app.db.seller("demo").await.seller();
    let job = start(&app, seller, "sync", 1).await;
    let mut open = vec![];
    for _ in 0..50 {
        open.push(Events::open(&app, job).await);
    }
    let path = format!("{JOBS}{job}/events");
    app.get(&path).await.expect(429);
    let other = app.key_of("other", &[Scope::OrdersRead]).await;
    app.send(Request::new("GET", &path).key(&other)).await.expect(404);
    // They hold no connection: there are 32 at most.
    app.get(&format!("{JOBS}{job}")).await.expect(200);
    for events in &mut open {
        assert_eq!(events.next().await.unwrap()["state"], "queued");
    }
    app.send(Request::new("DELETE", &format!("{JOBS}{job}")).key(&app.key)).await.expect(200);
    for events in &mut open {
        assert_eq!(events.next().await.unwrap()["state"], "cancelled");
        assert_eq!(events.next().await, None);
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_its_own_stops_when_it_is_told() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;

    let app = TestApp::with(&[("JEBI_WORKERS", "0")]).await;
    let mut worker = jebi(&app.db.url());
    let mut child = worker.arg("worker").stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("Working on 4 claims at once")));
    let kill = format!("kill -TERM {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    assert!(lines.any(|line| line.contains("Stopped")));
    assert!(child.wait().unwrap().success());

    let output = jebi(&app.db.url()).arg("worker").env("JEBI_WORKERS", "0").output().unwrap();
    assert!(!output.status.success());
    assert!(stderr(&output).contains("JEBI_WORKERS is 0"), "{}", stderr(&output));
}
