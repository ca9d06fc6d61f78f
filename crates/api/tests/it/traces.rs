//! What a collector of OpenTelemetry gets.

use std::collections::HashMap;

use jebi_db_optimizer::testing::TestDatabase;
use jebi_domain::Scopes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::app::{ORDERS, add_key, add_product};
use crate::http::Request;
use crate::process::Served;

/// A collector that takes everything and keeps it.
struct Collector {
    address: String,
    received: UnboundedReceiver<(String, Vec<u8>)>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (sender, received) = unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                tokio::spawn(async move {
                    let mut stream = stream;
                    while let Some(request) = receive(&mut stream).await {
                        let _ = sender.send(request);
                        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        Self { address, received }
    }

    /// The next span of this name.
    async fn spans_with(&mut self, name: &str) -> Vec<Span> {
        let mut all: Vec<Span> = Vec::new();
        while !all.iter().any(|span| span.name == name) {
            let (path, body) = self.received.recv().await.unwrap();
            if path == "/v1/traces" {
                let sent = ExportTraceServiceRequest::decode(&*body).unwrap();
                let scopes = sent.resource_spans.into_iter().flat_map(|one| one.scope_spans);
                all.extend(scopes.flat_map(|one| one.spans));
            }
        }
        all
    }
}

/// A request's path and body; `None` at the end of the connection.
async fn receive(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let (mut head, mut byte) = (Vec::new(), [0; 1]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).await.ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse().unwrap())
    });
    let mut body = vec![0; length.unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    Some((path, body))
}

fn attributes(span: &Span) -> HashMap<String, String> {
    let text = |value: Option<Value>| match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    let pair = |one: &opentelemetry_proto::tonic::common::v1::KeyValue| {
        (one.key.clone(), text(one.value.clone().and_then(|value| value.value)))
    };
    span.attributes.iter().map(pair).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_one_trace_from_http_through_a_miss_to_sql() {
    let mut collector = Collector::start().await;
    let db = TestDatabase::new().await;
    let key = add_key(&db, "demo", Scopes::all_of_a_seller()).await.0;
    add_product(&db, "demo", "TEA-1").await;
    let served = Served::with(
        &db.url(),
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address),
            // Who calls decides; the others are not traced at all.
            ("OTEL_TRACES_SAMPLER_ARG", "0"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ],
    );
    let list = Request::new("GET", &format!("{ORDERS}?search=010-1234-5678")).key(&key);
    list.send(&served.address).await.expect(200);
    let untraced = format!("00-{:032x}-{:016x}-00", 9, 9);
    list.clone().header("traceparent", &untraced).send(&served.address).await.expect(200);
    let parent = format!("00-{:032x}-{:016x}-01", 7, 8);
    let page = Request::new("GET", &format!("{ORDERS}?page=2&search=010-1234-5678")).key(&key);
    page.header("traceparent", &parent).send(&served.address).await.expect(200);

    let spans = collector.spans_with("GET /api/v1/orders-optimized").await;
    let by_id: HashMap<&[u8], &Span> = spans.iter().map(|span| (&*span.span_id, span)).collect();
    let find = |name: &str| {
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:?}"))
    };
    let server = find("GET /api/v1/orders-optimized");
    assert_eq!(server.kind, SpanKind::Server as i32);
    assert_eq!(server.trace_id, 7_u128.to_be_bytes());
    assert_eq!(server.parent_span_id, 8_u64.to_be_bytes());
    let told = attributes(server);
    assert_eq!(told["http.request.method"], "GET");
    assert_eq!(told["http.route"], "/api/v1/orders-optimized");
    assert_eq!(told["http.response.status_code"], "200");
    let cache = find("cache orders");
    assert_eq!(cache.parent_span_id, server.span_id);
    assert_eq!(attributes(cache)["jebi.cache.level"], "load");
    let load = find("load orders");
    assert_eq!(load.parent_span_id, cache.span_id);
    let sql: Vec<&Span> =
        spans.iter().filter(|span| span.kind == SpanKind::Client as i32).collect();
    let of_load = sql.iter().filter(|span| span.parent_span_id == load.span_id).count();
    assert!(of_load >= 1, "{spans:?}");
    for span in &spans {
        assert_eq!(span.trace_id, server.trace_id, "nobody else is traced: {}", span.name);
        assert!(
            span.end_time_unix_nano >= span.start_time_unix_nano && span.start_time_unix_nano > 0
        );
        let is_child = span.span_id == server.span_id || by_id.contains_key(&*span.parent_span_id);
        assert!(is_child, "{} has no parent", span.name);
    }
    for span in sql {
        let told = attributes(span);
        assert_eq!(told["db.system.name"], "postgresql");
        assert_eq!(told["db.query.summary"], span.name);
        assert!(!told["db.query.text"].is_empty());
    }
    let all = format!("{spans:?}");
    let seller = db.seller("demo").await.seller().to_string();
    // Four digits alone are in some time in nanoseconds.
    for secret in ["1234-5678", "12345678", &*seller, &*key] {
        assert!(!all.contains(secret), "{secret} is in {all}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_ends_at_the_cache_and_a_stop_sends_metrics() {
    let mut collector = Collector::start().await;
    let db = TestDatabase::new().await;
    let key = add_key(&db, "demo", Scopes::all_of_a_seller()).await.0;
    let mut served = Served::with(
        &db.url(),
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address),
            ("OTEL_TRACES_SAMPLER_ARG", "1"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ],
    );
    let list = Request::new("GET", ORDERS).key(&key);
    while list.send(&served.address).await.expect(200).header("cache-status")
        != Some("jebi; hit; detail=l1")
    {}
    let is_hit =
        |span: &Span| attributes(span).get("jebi.cache.level").is_some_and(|level| level == "l1");
    let mut spans = Vec::new();
    let hit = loop {
        spans.extend(collector.spans_with("cache orders").await);
        if let Some(hit) = spans.iter().find(|span| is_hit(span)) {
            break hit.clone();
        }
    };
    assert!(!spans.iter().any(|span| span.parent_span_id == hit.span_id), "{spans:?}");

    let kill = format!("kill -TERM {}", served.child.id());
    assert!(std::process::Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let names = loop {
        let (path, body) = collector.received.recv().await.unwrap();
        if path == "/v1/metrics" {
            let sent = ExportMetricsServiceRequest::decode(&*body).unwrap();
            let scopes = sent.resource_metrics.into_iter().flat_map(|one| one.scope_metrics);
            break scopes.flat_map(|one| one.metrics).map(|one| one.name).collect::<Vec<_>>();
        }
    };
    for name in
        ["http.server.request.duration", "db.client.operation.duration", "jebi.cache.requests"]
    {
        assert!(names.iter().any(|known| known == name), "{name} in {names:?}");
    }
    assert!(served.child.wait().unwrap().success());
}
