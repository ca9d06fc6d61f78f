//! `optimize` as a job over HTTP and as a command.

use chrono::Utc;
use jebi_db_optimizer::Author;
use jebi_db_optimizer::jobs::enqueue;
use jebi_db_optimizer::optimize::Level;
use jebi_domain::{Scope, SellerId};
use jebi_work::optimize_job;
use serde_json::Value;

use crate::app::{ORDERS, TestApp};
use crate::http::Request;
use crate::process::{jebi, stderr};

const OPTIMIZE: &str = "/api/v1/performance/optimize";

/// A run of the optimizer that has ended before it began.
pub(crate) async fn ended_optimization(app: &TestApp) -> String {
    let owner = SellerId::INSTALLATION;
    let author = Author { actor: "test".to_owned(), request_id: None, at: Utc::now() };
    let transaction = app.db.pool.begin(owner).await.unwrap();
    let (job, _) = optimize_job(Level::Moderate, true);
    let enqueued = enqueue(&transaction, owner, &job, &[], &author).await.unwrap();
    transaction.commit().await.unwrap();
    enqueued.job.to_string()
}

/// Asks until the run has ended.
async fn ended(app: &TestApp, key: &str, url: &str) -> Value {
    loop {
        let run = app.send(Request::new("GET", url).key(key)).await.expect(200).json();
        if run["finished_at"].is_string() {
            return run;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_who_ask_at_once_get_one_run_which_is_audited_and_tells_what_it_did() {
    let app = TestApp::new().await;
    let key = app.key_of("demo", Scope::ALL).await;
    app.db.run("DROP INDEX orders_by_time").await;
    // What a seller has read, and what a warm-up loads again.
    app.get(ORDERS).await.expect(200);
    let asked = (0..100).map(|_| async {
        let level = format!("{OPTIMIZE}?optimization_level=aggressive");
        app.send(Request::new("POST", &level).key(&key)).await.expect(202).json()
    });
    let answers = futures::future::join_all(asked).await;
    let url = answers[0]["status_url"].as_str().unwrap();
    let alive = answers.iter().filter(|answer| answer["status_url"] == url).count();
    let runs = "SELECT count(*) FROM jobs WHERE kind = 'optimize'";
    // The first may have ended while others asked.
    let count = usize::try_from(app.db.number(runs).await).unwrap();
    assert!(alive > 1 && count < 100, "{count} runs, {alive} asked for the first");
    let run = ended(&app, &key, url).await;
    assert_eq!((run["state"].as_str(), run["error"].as_str()), (Some("done"), None), "{run}");
    assert_eq!(run["optimization_level"], "aggressive");
    let steps = run["report"]["steps"].as_array().unwrap();
    assert!(
        steps
            .iter()
            .any(|step| step["doing"] == "build orders_by_time" && step["outcome"] == "done"),
        "{run}"
    );
    let warm = run["report"]["warm_up"].as_str().unwrap();
    assert!(warm.starts_with("1 of the 1 "), "{warm}");
    let audited =
        "SELECT count(*) FROM audit_log WHERE action = 'jobs:created' AND actor LIKE 'key:%'
                   AND seller_id = '00000000-0000-0000-0000-000000000000'";
    assert_eq!(app.db.number(audited).await, i64::try_from(count).unwrap());
    // Nobody but an operator sees it.
    app.get(url).await.expect(403);
    let as_a_job = url.replace("performance/optimize", "jobs");
    app.get(&as_a_job).await.expect(404);

    let again = format!("{OPTIMIZE}?optimization_level=aggressive&dry_run=true");
    let again = app.send(Request::new("POST", &again).key(&key)).await.expect(202).json();
    let run = ended(&app, &key, again["status_url"].as_str().unwrap()).await;
    assert_eq!(run["dry_run"], true);
    assert_eq!(run["report"]["is_up_to_date"], true, "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_level_that_is_none_starts_nothing() {
    let app = TestApp::new().await;
    let key = app.key_of("demo", Scope::ALL).await;
    for (query, status) in [
        ("optimization_level=huge", 422),
        ("optimization_level=", 422),
        ("dry_run=perhaps", 400),
        ("level=moderate", 422),
    ] {
        let path = format!("{OPTIMIZE}?{query}");
        let response = app.send(Request::new("POST", &path).key(&key)).await;
        assert_eq!(response.status, status, "{query}: {}", response.text());
    }
    assert_eq!(app.db.number("SELECT count(*) FROM jobs").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_the_sql_does_it_and_is_up_to_date() {
    let app = TestApp::new().await;
    app.db.run("DROP INDEX orders_by_time").await;
    let report = std::env::temp_dir()
        .join(format!("jebi-{}.html", u64::from_le_bytes(jebi_db_optimizer::random())));
    let run = |arguments: &[&str]| {
        let output = jebi(&app.db.url()).arg("optimize").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let dry = run(&["--dry-run"]);
    let sql = "CREATE INDEX CONCURRENTLY \"orders_by_time\" ON \"public\".\"orders\" \
               USING btree (seller_id, created_at, id);\n";
    assert!(dry.contains(sql) && dry.contains("backup") && !dry.contains("up to date"), "{dry}");
    let done = run(&["--report", report.to_str().unwrap()]);
    assert!(done.contains("done: build orders_by_time"), "{done}");
    assert!(run(&["--dry-run"]).lines().any(|line| line == "up to date"));
    let page = std::fs::read_to_string(&report).unwrap();
    for text in ["orders_by_time", "Plan after", "viewport"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(
        !page.contains("http://") && !page.contains("https://") && !page.contains("<script"),
        "it needs no network"
    );
    let json = report.with_extension("json");
    let read: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(read["steps"][0]["outcome"], "done");
    let id = read["run"].as_str().unwrap();
    assert!(run(&["--runs"]).contains(id));
    let back = run(&["--rollback", id]);
    assert!(back.contains("dropped orders_by_time"), "{back}");
    [report, json].iter().for_each(|file| std::fs::remove_file(file).unwrap());

    let refused =
        jebi(&app.db.url()).args(["optimize", "--report", "/nowhere/r.html"]).output().unwrap();
    assert!(!refused.status.success() && stderr(&refused).contains("cannot write /nowhere/r.html"));
}
