//! Each figure of `/performance` against somebody else who counts the same.

use std::time::{Duration, Instant};

use jebi_db_optimizer::testing::TestDatabase;
use jebi_domain::{Scope, Scopes};
use serde_json::{Value, json};

use crate::app::{ORDERS, TestApp, add_key, add_product, order_body, post};
use crate::http::{Request, Response};
use crate::process::{Served, jebi};
use crate::redis::Redis;

const PERFORMANCE: &str = "/api/v1/performance/";

async fn figures(app: &TestApp, what: &str) -> Value {
    let key = app.key_of("operator", &[Scope::PerformanceRead]).await;
    let path = format!("{PERFORMANCE}{what}");
    app.send(Request::new("GET", &path).key(&key)).await.expect(200).json()
}

fn endpoint<'a>(all: &'a Value, name: &str) -> &'a Value {
    let found = all["endpoints"].as_array().unwrap().iter().find(|one| one["endpoint"] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {all}"))
}

/// The nearest rank, as it is defined.
fn quantile(sorted: &[Duration], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil().max(1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
    let at = rank as usize - 1;
    sorted[at].as_secs_f64() * 1e3
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_errors_and_percentiles_are_those_that_the_client_counted() {
    let app = TestApp::new().await;
    let operator = app.key_of("operator", &[Scope::PerformanceRead]).await;
    let mut took = Vec::new();
    for page in 1..=200 {
        let began = Instant::now();
        app.get(&format!("{ORDERS}?page={page}")).await.expect(200);
        took.push(began.elapsed());
    }
    for _ in 0..7 {
        let began = Instant::now();
        app.get(&format!("{ORDERS}?page=0")).await.expect(422);
        took.push(began.elapsed());
    }
    // A pool without a table fails.
    app.db.run("ALTER TABLE orders RENAME TO gone").await;
    for page in 301..=305 {
        let began = Instant::now();
        app.get(&format!("{ORDERS}?page={page}")).await.expect(500);
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let path = format!("{PERFORMANCE}api?endpoint_filter=orders-optimized");
    let told = app.send(Request::new("GET", &path).key(&operator)).await.expect(200).json();
    let list = endpoint(&told, "GET /api/v1/orders-optimized");
    assert_eq!(
        (&list["count"], &list["client_errors"], &list["errors"]),
        (&json!(212), &json!(7), &json!(5))
    );
    assert_eq!(told["endpoints"].as_array().unwrap().len(), 1);
    // What the service measures lies within what the client does, so that no percentile is above the client's, but for
    // the stated error; and a client on the same machine waits for little else.
    for (name, share) in [("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)] {
        let (ours, theirs) = (list[name].as_f64().unwrap(), quantile(&took, share));
        assert!(ours <= theirs * 1.008, "{name}: {ours} of {theirs}");
    }
    let (ours, theirs) = (list["p50_ms"].as_f64().unwrap(), quantile(&took, 0.5));
    assert!(ours >= theirs * 0.3, "{ours} of {theirs}");
    let first = &told["bottleneck_detection"][0];
    assert_eq!((&first["endpoint"], &first["count"]), (&list["endpoint"], &json!(212)));
    let mean = first["total_seconds"].as_f64().unwrap() / 212.0;
    assert!((first["avg_time"].as_f64().unwrap() - mean).abs() < 1e-6, "{first}");
    let refused = Request::new("GET", &format!("{PERFORMANCE}api?endpoint=x")).key(&operator);
    assert_eq!(app.send(refused).await.expect(422).fields(), ["endpoint"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_and_connections_are_those_that_postgresql_counted() {
    let app = TestApp::alone().await;
    // Without what begins and ends a transaction.
    let counted = "SELECT coalesce(sum(s.calls), 0)::bigint FROM pg_stat_statements AS s
                   JOIN pg_database AS d ON d.oid = s.dbid
                   JOIN pg_roles AS r ON r.oid = s.userid
                   WHERE d.datname = current_database() AND r.rolname = 'jebi_service'
                     AND s.query !~* '^(begin|commit|rollback|set|select set_config)'";
    let ours = |told: &Value| -> u64 {
        let all = told["statements"].as_array().unwrap().iter();
        all.map(|one| one["count"].as_u64().unwrap()).sum()
    };
    let before = (ours(&figures(&app, "api").await), app.db.number(counted).await);
    for page in 1..=40 {
        app.get(&format!("{ORDERS}?page={page}")).await.expect(200);
    }
    app.order().await;
    let told = figures(&app, "api").await;
    let after = (ours(&told), app.db.number(counted).await);
    // Each look at the figures looks its own, new key up: after the first and before the second were counted.
    let (told_more, counted_more) = (after.0 - before.0, (after.1 - before.1).unsigned_abs());
    assert_eq!(told_more, counted_more, "{told}");
    assert!(told_more > 80, "{told_more}");

    let open = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'jebi'";
    let scans =
        "SELECT sum(idx_scan)::bigint FROM pg_stat_user_indexes WHERE indexrelname = 'orders_pkey'";
    app.get(&app.order().await).await.expect(200);
    app.db.run("SELECT pg_stat_force_next_flush()").await;
    let scanned = app.db.number(scans).await;
    let database = figures(&app, "database").await;
    assert_eq!(database["pool"]["open"], app.db.number(open).await);
    let index = database["index_usage"].as_array().unwrap().iter();
    let pkey = index.clone().find(|index| index["index"] == "public.orders_pkey").unwrap();
    let told = pkey["scans"].as_i64().unwrap();
    assert!((scanned..=app.db.number(scans).await).contains(&told), "{pkey} of {scanned}");
    let bytes = app.db.number("SELECT pg_table_size('orders')").await;
    let table = database["table_sizes"].as_array().unwrap().iter();
    let orders = table.clone().find(|table| table["table"] == "public.orders").unwrap();
    let told = orders["size_mb"].as_f64().unwrap() * 1_048_576.0;
    assert!((told - bytes as f64).abs() < 1.0, "{told} of {bytes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caches_questions_are_those_that_redis_and_the_client_counted() {
    let redis = Redis::start().await;
    let app = TestApp::with(&[("REDIS_URL", &redis.url())]).await;
    let space = async || figures(&app, "cache").await["namespace_analysis"]["orders"].clone();
    let calls = async || -> u64 {
        let info = redis.ask("INFO commandstats").await;
        let line = info.lines().find(|line| line.starts_with("cmdstat_getrange:"));
        let calls = line.map_or("0", |line| line.split(['=', ',']).nth(1).unwrap());
        calls.parse().unwrap()
    };
    // Until Redis is trusted nothing is asked of it.
    while figures(&app, "cache").await["l2"]["state"]["is_trusted"] != true {
        tokio::task::yield_now().await;
    }
    let before = (space().await, calls().await);
    let mut from_load = 0;
    for page in [1, 2, 3, 1, 2, 3, 1, 1, 1, 4] {
        let answer = app.get(&format!("{ORDERS}?page={page}")).await.expect(200);
        from_load += u64::from(answer.header("cache-status") == Some("jebi; fwd=miss"));
    }
    let after = (space().await, calls().await);
    let more = |name: &str| after.0[name].as_u64().unwrap() - before.0[name].as_u64().unwrap();
    assert_eq!(from_load, 4);
    assert_eq!((more("loads"), more("misses"), more("l1_hits")), (4, 4, 6));
    // One question to Redis for each answer that this process did not have.
    assert_eq!(after.1 - before.1, more("misses") + more("l2_hits"));
    let overview = figures(&app, "overview").await;
    assert_eq!(overview["cache"]["redis"], "in use");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_is_as_the_kernel_sees_it() {
    let db = TestDatabase::new().await;
    let key = add_key(&db, "demo", Scope::ALL.iter().copied().collect()).await.0;
    let served = Served::start(&db.url());
    let ask = async |path: &str| -> Value {
        Request::new("GET", path).key(&key).send(&served.address).await.expect(200).json()
    };
    // The second look has a first one to compare with.
    let real_time = format!("{PERFORMANCE}real-time");
    let mut told = ask(&real_time).await;
    while told["system"]["cpu_share"].is_null() {
        told = ask(&real_time).await;
    }
    let system = &told["system"];
    let pid = served.child.id();
    let count = |what: &str| std::fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| -> f64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let near = |told: &Value, seen: f64, by: f64| {
        let told = told.as_f64().unwrap();
        assert!((told - seen).abs() <= seen * by, "{told} for {seen}: {system}");
    };
    near(&system["rss_mb"], field("VmRSS:") / 1_024.0, 0.25);
    near(&system["threads"], count("task") as f64, 0.5);
    near(&system["open_files"], count("fd") as f64, 0.5);
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    assert_eq!(system["cores"], cores);
    let share = system["cpu_share"].as_f64().unwrap();
    assert!((0.0..=1.05).contains(&share), "{share}");
    assert_eq!(told["instance"], *served.address);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_those_of_the_table_and_the_score_has_its_parts() {
    let app = TestApp::with(&[("JEBI_WORKERS", "0")]).await;
    let admin = app.key_of("operator", &[Scope::PerformanceAdmin]).await;
    let start = Request::new("POST", &format!("{PERFORMANCE}optimize?dry_run=true")).key(&admin);
    let id = app.send(start).await.expect(202).json()["job_id"].clone();
    let jobs = async || figures(&app, "real-time").await["jobs"].clone();
    while jobs().await["jobs"].as_array().is_none_or(Vec::is_empty) {
        tokio::task::yield_now().await;
    }
    let told = jobs().await;
    assert_eq!((&told["jobs"][0]["id"], &told["jobs"][0]["state"]), (&id, &json!("queued")));
    assert_eq!(told["open_items"], app.db.number("SELECT count(*) FROM job_items").await);

    let key = app.key_of("operator", &[Scope::PerformanceRead]).await;
    let path = format!("{ORDERS}health/performance");
    let score = app.send(Request::new("GET", &path).key(&key)).await.expect(200).json();
    assert!(["healthy", "degraded"].contains(&score["status"].as_str().unwrap()), "{score}");
    let (mut sum, mut weight) = (0.0, 0.0);
    for (name, counts) in [("api", 40.0), ("database", 30.0), ("cache", 15.0), ("system", 15.0)] {
        if let Some(part) = score["component_scores"][name].as_f64() {
            sum += part * counts;
            weight += counts;
        }
    }
    assert!((score["overall_score"].as_f64().unwrap() - sum / weight).abs() < 1e-9, "{score}");
    // Too few questions: absent with its reason, and no constant.
    assert_eq!(score["unknown_components"][0]["component"], "cache");
    app.send(Request::new("GET", &path).key(&app.key)).await.expect(403);
    let recommended = figures(&app, "overview").await["recommendations"].clone();
    assert_eq!(recommended, json!([]), "without an alert nothing is recommended");
    let without = figures(&app, "overview?include_recommendations=false").await;
    assert!(without.get("recommendations").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_names_and_words_are_one_endpoint() {
    let app = TestApp::new().await;
    let mut stream = tokio::net::TcpStream::connect(&app.address).await.unwrap();
    for n in 0..5_000 {
        let path = format!("/nothing/{n}/010-1234-{n:04}");
        assert_eq!(Request::new("GET", &path).send_on(&mut stream).await.status, 404);
        let word = Request::new(&format!("WORD{n}"), "/healthz").send_on(&mut stream).await;
        assert!(word.status >= 400, "{}", word.status);
    }
    let told = figures(&app, "api").await;
    let names = told["endpoints"].as_array().unwrap().len();
    assert!(names < 10, "{told}");
    assert_eq!(endpoint(&told, "GET none")["count"], 5_000);
    assert!(!told.to_string().contains("010-1234"));
}

#[tokio::test(flavor = "multi_thread")]
async fn real_time_is_a_stream_that_ends_with_its_key() {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    let app = TestApp::new().await;
    let key = app.key_of("operator", &[Scope::PerformanceRead]).await;
    let mut stream = tokio::net::TcpStream::connect(&app.address).await.unwrap();
    let head = format!(
        "GET {PERFORMANCE}real-time HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\
         authorization: Bearer {key}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let line = lines.next_line().await.unwrap().expect("the stream goes on");
        if let Some(data) = line.strip_prefix("data: ") {
            let frame: Value = serde_json::from_str(data).unwrap();
            seen.push(frame["uptime_seconds"].as_u64().unwrap());
        }
    }
    assert!(seen[0] < seen[1], "{seen:?}");
    app.db
        .run("UPDATE api_keys SET revoked_at = now() WHERE 'performance:read' = ANY(scopes)")
        .await;
    // Chunked: the last chunk is empty.
    while lines.next_line().await.unwrap().is_some_and(|line| line != "0") {}
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_was_raised_is_there_after_a_restart() {
    let db = TestDatabase::new().await;
    let key = add_key(&db, "demo", Scope::ALL.iter().copied().collect()).await.0;
    let folder = std::env::temp_dir()
        .join(format!("jebi-{}", u64::from_le_bytes(jebi_db_optimizer::random())));
    std::fs::create_dir(&folder).unwrap();
    let log = folder.join("performance_optimization.log");
    // The same address again: by it a process knows its own alerts.
    let address =
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let line = |instance: &str, subject: &str| {
        let alert = json!({
            "rule": "slow_endpoint", "subject": subject, "unit": "ms", "raised_unix_ms": 1_795_000_000_000_u64,
            "cleared_unix_ms": null, "value": 730.0, "threshold": 500.0, "cause": "c", "next_step": "n",
        });
        json!({ "at": "", "instance": instance, "event": "alert", "change": "Raised", "alert": alert }).to_string()
    };
    let other = line("10.0.0.1:80", "http GET /other");
    std::fs::write(&log, format!("{}\n{other}\n", line(&address, "http GET /a"))).unwrap();
    let served = Served::with(
        &db.url(),
        &[("JEBI_LISTEN", &address), ("JEBI_PERFORMANCE_LOG", log.to_str().unwrap())],
    );
    let ask = Request::new("GET", &format!("{PERFORMANCE}overview")).key(&key);
    let told = ask.send(&served.address).await.expect(200).json();
    let alerts = told["alerts"].as_array().unwrap();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!((&alerts[0]["subject"], &alerts[0]["is_raised"]), (&json!("GET /a"), &json!(true)));
    let recommended = &told["recommendations"][0];
    assert_eq!(recommended["id"], "find_slow_statement");
    let evidence = recommended["evidence"].as_str().unwrap();
    assert!(
        evidence.starts_with("GET /a: 730 ms, the threshold is 500 ms, since 2026-11-18"),
        "{evidence}"
    );
    drop(served);
    std::fs::remove_dir_all(folder).unwrap();
}

/// What Prometheus' text format asks of a page, and how many samples it has.
fn parse_metrics(page: &str) -> Vec<(String, String, f64)> {
    let is_name = |name: &str| {
        let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
        name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
    };
    let (mut types, mut samples) = (std::collections::HashMap::new(), Vec::new());
    assert!(page.ends_with('\n'));
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind) && is_name(name), "{line}");
            assert!(types.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (name, labels, value) = match line.split_once('{') {
            Some((name, rest)) => {
                let (labels, value) = rest.rsplit_once("} ").unwrap();
                (name, labels, value)
            }
            None => {
                let (name, value) = line.split_once(' ').unwrap();
                (name, "", value)
            }
        };
        assert!(is_name(name), "{line}");
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let family = |name: &str| types.contains_key(name);
        let of_histogram = ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|suffix| name.strip_suffix(suffix))
            .any(|family| types.get(family).is_some_and(|kind| kind == "histogram"));
        assert!(family(name) || of_histogram, "no TYPE before {line}");
        samples.push((name.to_owned(), labels.to_owned(), value));
    }
    samples
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_parse_and_agree_with_the_figures_and_name_no_seller() {
    let app = TestApp::new().await;
    let key = app.key_of("operator", &[Scope::PerformanceRead]).await;
    for _ in 0..20 {
        app.get(ORDERS).await.expect(200);
    }
    let order = app.order().await;
    app.get(&order).await.expect(200);
    let response = app.send(Request::new("GET", "/metrics").key(&key)).await.expect(200);
    assert!(response.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"));
    let page = response.text();
    let samples = parse_metrics(&page);
    let find = |name: &str, with: &str| {
        let is_it = |sample: &&(String, String, f64)| sample.0 == name && sample.1.contains(with);
        samples.iter().find(is_it).unwrap_or_else(|| panic!("{name} {with} in\n{page}")).2
    };
    let list = "http_route=\"/api/v1/orders-optimized\"";
    assert_eq!(find("http_server_request_duration_seconds_count", list), 20.0);
    let buckets = samples.iter().filter(|(name, labels, _)| {
        name == "http_server_request_duration_seconds_bucket"
            && labels.contains(list)
            && labels.contains("GET")
    });
    let buckets: Vec<f64> = buckets.map(|sample| sample.2).collect();
    assert!(buckets.is_sorted() && buckets.last() == Some(&20.0), "{buckets:?}");
    let told = figures(&app, "api").await;
    assert_eq!(endpoint(&told, "GET /api/v1/orders-optimized")["count"], 20);
    let id = app.db.seller("demo").await.seller().to_string();
    for secret in [&*id, "홍길동", "1234-5678", &app.key, order.rsplit('/').next().unwrap()] {
        assert!(!page.contains(secret), "{secret} is in\n{page}");
    }
    // Where the tool itself is at hand, it says the same.
    if let Ok(mut promtool) = std::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .spawn()
    {
        use std::io::Write as _;
        promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
        assert!(promtool.wait().unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_stops_nothing_and_one_that_is_no_address_is_refused() {
    let db = TestDatabase::new().await;
    let key = add_key(&db, "demo", Scopes::all_of_a_seller()).await.0;
    add_product(&db, "demo", "TEA-1").await;
    let settings =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"), ("OTEL_TRACES_SAMPLER_ARG", "1")];
    let served = Served::with(&db.url(), &settings);
    let created: Response = post(&key, "k", &order_body()).send(&served.address).await.expect(201);
    assert!(created.header("location").is_some());
    let bad = jebi(&db.url())
        .arg("serve")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&bad.stderr).contains("OTEL_EXPORTER_OTLP_ENDPOINT"));
}
