//! What is answered from the cache: the right thing, to the right seller, whatever happens to Redis.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use jebi_db_optimizer::random;
use jebi_db_optimizer::testing::TestDatabase;
use jebi_domain::{Scope, Scopes};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::app::{ORDERS, PRODUCTS, TestApp, add_key, add_product, order_body, post};
use crate::http::{Request, Response};
use crate::link::Link;
use crate::process::Served;
use crate::proxy::Proxy;
use crate::redis::Redis;

const FIGURES: &str = "/api/v1/performance/cache";

fn came_from(response: &Response) -> &str {
    response.header("cache-status").unwrap()
}

const HIT: &str = "jebi; hit; detail=l1";
const MISS: &str = "jebi; fwd=miss";

/// Whether the answer came from the process's own level, whatever its age.
fn is_hit(response: &Response) -> bool {
    came_from(response) == HIT
}

async fn figures(address: &str, key: &str) -> Value {
    Request::new("GET", FIGURES).key(key).send(address).await.expect(200).json()
}

fn loads(figures: &Value) -> u64 {
    let namespaces = figures["namespace_analysis"].as_object().unwrap();
    namespaces.values().map(|space| space["loads"].as_u64().unwrap()).sum()
}

/// How long a service that is not about age trusts what it holds: a machine that is busy elsewhere does not make it ask
/// again.
const PATIENT: (&str, &str) = ("JEBI_CACHE_MAX_STALENESS_MS", "60000");

async fn patient() -> TestApp {
    TestApp::with(&[PATIENT]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_twice_is_loaded_once_and_a_304_needs_no_database() {
    let app = patient().await;
    let operator = app.key_of("demo", &[Scope::PerformanceRead]).await;
    let (order, product) = (app.order().await, app.product("TEA-1").await);
    let search = format!("{PRODUCTS}?search=TEA");
    let stock = format!("{PRODUCTS}?low_stock=true");
    let sums = format!("{ORDERS}analytics/performance");
    for path in [ORDERS, &order, PRODUCTS, &product, &search, &stock, &sums] {
        let first = app.get(path).await.expect(200);
        assert_eq!(came_from(&first), MISS, "{path}");
        let second = app.get(path).await.expect(200);
        assert_eq!(came_from(&second), HIT, "{path}");
        assert_eq!(first.body, second.body);
        let before = loads(&figures(&app.address, &operator).await);
        let tag = first.header("etag").unwrap();
        let again = Request::new("GET", path).key(&app.key).header("if-none-match", tag);
        let known = app.send(again).await.expect(304);
        assert_eq!((came_from(&known), known.header("etag")), (HIT, Some(tag)));
        assert_eq!(loads(&figures(&app.address, &operator).await), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_are_sent_as_gzip_to_those_who_take_it() {
    let app = patient().await;
    for _ in 0..5 {
        app.order().await;
    }
    let plain = app.get(ORDERS).await.expect(200);
    let gzip = Request::new("GET", ORDERS).key(&app.key).header("accept-encoding", "gzip");
    let packed = app.send(gzip.clone()).await.expect(200);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() * 2 < plain.body.len());
    let mut unpacked = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(&packed.body[..]);
    std::io::Read::read_to_end(&mut decoder, &mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
    // Each is known by its own tag, and each tag says that the other has not changed either.
    let (one, other) = (plain.header("etag").unwrap(), packed.header("etag").unwrap());
    assert!(one.ends_with(".identity\"") && other.ends_with(".gzip\""), "{one} {other}");
    app.send(gzip.header("if-none-match", one)).await.expect(304);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_ends_what_shows_it_and_nothing_else() {
    let app = patient().await;
    let (order, other) = (app.order().await, app.order().await);
    let product = app.product("TEA-1").await;
    let stock = format!("{PRODUCTS}?low_stock=true");
    let sums = format!("{ORDERS}analytics/performance");
    let all = [ORDERS, &order, &other, PRODUCTS, &product, &stock, &sums];
    let check = async |path: &str, change: Value, ended: &[&str]| {
        for path in all {
            app.get(path).await.expect(200);
        }
        app.patch(path, &change).await.expect(200);
        for path in all {
            let is_ended = ended.contains(&path);
            assert_eq!(!is_hit(&app.get(path).await), is_ended, "{path} after {change}");
        }
    };
    check(&order, json!({ "memo": "빨리" }), &[&order]).await;
    check(&order, json!({ "tracking_number": "1" }), &[ORDERS, &order]).await;
    check(&order, json!({ "status": "confirmed" }), &[ORDERS, &order, &sums]).await;
    check(&order, json!({ "memo": "빨리" }), &[]).await;
    check(&product, json!({ "stock": 3 }), &[PRODUCTS, &product, &stock]).await;
    check(&product, json!({ "price": 700 }), &[PRODUCTS, &product, &stock]).await;
    check(&product, json!({ "status": "paused" }), &[PRODUCTS, &product, &stock, &sums]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_moves_no_order_reads_one_order_again() {
    let app = patient().await;
    let orders = [app.order().await, app.order().await, app.order().await];
    let numbers = async |path: &str| {
        let page = app.get(path).await.expect(200).json();
        let number = |item: &Value| (item["id"].clone(), item["tracking_number"].clone());
        page["items"].as_array().unwrap().iter().map(number).collect::<HashMap<_, _>>()
    };
    let id = |order: &str| json!(order.rsplit('/').next().unwrap());
    numbers(ORDERS).await;
    // Behind the service's back: whoever reads these again shows it.
    app.db.run("UPDATE orders SET tracking_number = 'unheard'").await;
    app.patch(&orders[1], &json!({ "tracking_number": "heard" })).await.expect(200);
    let page = numbers(ORDERS).await;
    assert_eq!(page[&id(&orders[1])], "heard");
    assert_eq!(page[&id(&orders[0])], Value::Null);
    assert_eq!(page[&id(&orders[2])], Value::Null);
    // One that moves an order reads the page anew, and both ways lead to the same body.
    app.patch(&orders[0], &json!({ "status": "confirmed" })).await.expect(200);
    let whole = numbers(ORDERS).await;
    assert_eq!(whole[&id(&orders[2])], "unheard");
    app.patch(&orders[2], &json!({ "tracking_number": "3" })).await.expect(200);
    let patched = app.get(ORDERS).await.expect(200);
    let again = format!("{ORDERS}?page=1&page_size=50&date_from=2000-01-01T00:00:00Z");
    let loaded = app.get(&again).await.expect(200);
    assert_eq!(patched.json()["items"], loaded.json()["items"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_there_is_found_once_it_is() {
    let app = patient().await;
    let other = app.key_of("other", &[Scope::OrdersRead]).await;
    let list = async || app.get(ORDERS).await.expect(200).json()["total"].as_u64().unwrap();
    assert_eq!(list().await, 0);
    let order = app.order().await;
    assert_eq!(list().await, 1);
    let theirs = Request::new("GET", &order).key(&other);
    app.send(theirs.clone()).await.expect(404);
    app.send(theirs).await.expect(404);
    app.get(&order).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sellers_writes_leave_anothers_answers_where_they_are() {
    let app = patient().await;
    let other = app.key_of("other", &Scopes::all_of_a_seller().iter().collect::<Vec<_>>()).await;
    add_product(&app.db, "other", "TEA-1").await;
    let order = app.order().await;
    let created = app.send(post(&other, "k", &order_body())).await.expect(201);
    let theirs = created.header("location").unwrap().to_owned();
    let sums = format!("{ORDERS}analytics/performance");
    let paths = [ORDERS, &theirs, PRODUCTS, &sums];
    for path in paths {
        app.send(Request::new("GET", path).key(&other)).await.expect(200);
    }
    for round in 0..50 {
        let status = if round == 10 { json!("confirmed") } else { Value::Null };
        let mut change =
            json!({ "memo": format!("{round}"), "tracking_number": format!("{round}") });
        if !status.is_null() {
            change["status"] = status;
        }
        app.patch(&order, &change).await.expect(200);
        for path in paths {
            let answer = app.send(Request::new("GET", path).key(&other)).await.expect(200);
            assert_eq!(came_from(&answer), HIT, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_warm_cache_a_seller_finds_nothing_of_anothers() {
    let app = patient().await;
    let other = app.key_of("other", &Scopes::all_of_a_seller().iter().collect::<Vec<_>>()).await;
    let (order, product) = (app.order().await, app.product("TEA-1").await);
    for path in [&order, &product] {
        let tag = app.get(path).await.expect(200).header("etag").unwrap().to_owned();
        for tag in [tag.as_str(), "*"] {
            for _ in 0..2 {
                let request = Request::new("GET", path).key(&other).header("if-none-match", tag);
                app.send(request).await.expect(404);
            }
        }
        assert!(is_hit(&app.get(path).await.expect(200)), "and it is still there for its seller");
    }
    for path in [ORDERS, PRODUCTS] {
        let mine = app.get(path).await.expect(200);
        let tag = mine.header("etag").unwrap();
        let request = Request::new("GET", path).key(&other).header("if-none-match", tag);
        let theirs = app.send(request).await.expect(200);
        assert_eq!(theirs.json()["total"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_holds_nothing_that_can_be_read_of_a_customer() {
    let (db, redis) = (TestDatabase::new().await, Redis::start().await);
    let key = seller(&db).await;
    let url = redis.url();
    let settings = [("REDIS_URL", url.as_str()), ("CACHE_COMPRESSION_ENABLED", "false")];
    let (one, two) = (Served::with(&db.url(), &settings), Served::with(&db.url(), &settings));
    let order = post(&key, "k", &order_body()).send(&one.address).await.expect(201);
    let order = order.header("location").unwrap().to_owned();
    for path in [ORDERS, &order] {
        shared(&key, path, &one, &two).await;
    }
    let dump = redis.dump().await;
    assert!(dump.len() > 1_000, "{}", dump.len());
    for secret in ["홍길동", "010-1234-5678", "1234-5678", "5678"] {
        assert!(!dump.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "{secret}");
    }
}

async fn seller(db: &TestDatabase) -> String {
    let key = add_key(db, "demo", Scopes::all_of_a_seller()).await.0;
    add_product(db, "demo", "TEA-1").await;
    key
}

/// Asks one process and then the other, until the other finds in Redis what the first one has loaded.
async fn shared(key: &str, path: &str, one: &Served, two: &Served) {
    for round in 0.. {
        let page = format!("{path}?page_size={}", 1 + round % 100);
        let path = if path.ends_with('/') { &page } else { path };
        let request = Request::new("GET", path).key(key);
        let first = request.send(&one.address).await.expect(200);
        let second = request.send(&two.address).await.expect(200);
        assert_eq!(first.body, second.body);
        if came_from(&second) == "jebi; hit; detail=l2" {
            return;
        }
        assert!(round < 10_000, "{}", came_from(&second));
        if !path.ends_with('/') && is_hit(&second) {
            // It loaded the order itself, before it had heard from Redis: a change lets it ask again.
            let body = json!({ "memo": format!("{round}") });
            Request::new("PATCH", path).key(key).json(&body).send(&one.address).await;
        }
    }
}

/// What the test knows of an order: its versions, and when and where each was acknowledged.
#[derive(Default)]
struct Known {
    acknowledged: std::sync::Mutex<Vec<(Instant, usize, u64)>>,
    writing: Mutex<()>,
}

impl Known {
    /// The oldest version that a request beginning now at `process` may be answered with.
    fn floor(&self, process: usize, now: Instant) -> u64 {
        let known = self.acknowledged.lock().unwrap();
        let binding = known.iter().filter(|(at, writer, _)| {
            *writer == process || now.duration_since(*at) > MAX_STALENESS
        });
        binding.map(|(_, _, version)| *version).max().unwrap_or(0)
    }
}

const MAX_STALENESS: Duration = Duration::from_secs(2);

/// `JEBI_TEST_OPERATIONS` of them; a few without.
fn operations() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "tests read what the test runner says")]
    let set = std::env::var("JEBI_TEST_OPERATIONS").ok();
    set.map_or(4_000, |set| set.parse().expect("JEBI_TEST_OPERATIONS is a count"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_never_answer_what_is_too_old() {
    const ORDERS_OF_TEST: u64 = 12;
    const TASKS: u64 = 6;
    let (db, redis) = (TestDatabase::new().await, Redis::start().await);
    let key = seller(&db).await;
    let link = Arc::new(Link::to_redis(&redis).await);
    let url = redis.url();
    let no_limit = ("JEBI_RATE_LIMIT_PER_MINUTE", "0");
    let processes = Arc::new([
        Served::with(&db.url(), &[("REDIS_URL", url.as_str()), no_limit]),
        Served::with(&db.url(), &[("REDIS_URL", &link.redis_url()), no_limit]),
    ]);
    let mut orders = Vec::new();
    for n in 0..ORDERS_OF_TEST {
        let created = post(&key, &format!("k{n}"), &order_body()).send(&processes[0].address).await;
        let created = created.expect(201);
        orders.push((created.header("location").unwrap().to_owned(), Known::default()));
    }
    let (orders, total) = (Arc::new(orders), operations());
    let done = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (orders, processes, key) =
                (Arc::clone(&orders), Arc::clone(&processes), key.clone());
            let (done, link) = (Arc::clone(&done), Arc::clone(&link));
            tokio::spawn(async move {
                let mut streams = [
                    TcpStream::connect(&processes[0].address).await.unwrap(),
                    TcpStream::connect(&processes[1].address).await.unwrap(),
                ];
                loop {
                    let number = done.fetch_add(1, SeqCst);
                    // The second process is cut off from Redis for a third of the time.
                    match number {
                        number if number >= total => return,
                        number if number == total / 3 => link.cut(),
                        number if number == total * 2 / 3 => link.mend(),
                        _ => {}
                    }
                    let [dice, order, process, _] = random::<4>();
                    let process = usize::from(process % 2);
                    let order = usize::from(order) % orders.len();
                    one_operation(&key, dice, &orders, order, process, &mut streams[process]).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    // Both levels were of use: this was no test of the database.
    let operator = add_key(&db, "demo", [Scope::PerformanceRead].into_iter().collect()).await.0;
    for process in processes.iter() {
        let figures = figures(&process.address, &operator).await;
        let hits = |level: &str| figures[level]["hits"].as_u64().unwrap();
        assert!(hits("l1") > total / 20, "{figures}");
        assert!(hits("l2") > 0, "{figures}");
    }
}

async fn one_operation(
    key: &str,
    dice: u8,
    orders: &[(String, Known)],
    order: usize,
    process: usize,
    stream: &mut TcpStream,
) {
    let (path, known) = &orders[order];
    match dice {
        0..=24 => {
            let _writing = known.writing.lock().await;
            let next = known.floor(process, Instant::now() + MAX_STALENESS * 2) + 1;
            let body = json!({ "tracking_number": next.to_string() });
            let request = Request::new("PATCH", path).key(key).json(&body);
            request.send_on(stream).await.expect(200);
            known.acknowledged.lock().unwrap().push((Instant::now(), process, next));
        }
        25..=150 => {
            let floor = known.floor(process, Instant::now());
            let answer = Request::new("GET", path).key(key).send_on(stream).await.expect(200);
            check(&answer.json(), floor, process, came_from(&answer));
        }
        151.. => {
            let now = Instant::now();
            let floors: HashMap<&str, u64> = orders
                .iter()
                .map(|(path, known)| (path.rsplit('/').next().unwrap(), known.floor(process, now)))
                .collect();
            let answer = Request::new("GET", ORDERS).key(key).send_on(stream).await.expect(200);
            for order in answer.json()["items"].as_array().unwrap() {
                let floor = floors[order["id"].as_str().unwrap()];
                check(order, floor, process, came_from(&answer));
            }
        }
    }
}

#[track_caller]
fn check(order: &Value, floor: u64, process: usize, came_from: &str) {
    let shown = order["tracking_number"].as_str().map_or(0, |number| number.parse().unwrap());
    assert!(
        shown >= floor,
        "process {process} showed {shown}, at least {floor} was due: {came_from}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_dies_before_it_reports_is_reported_for_in_time() {
    let (db, redis) = (TestDatabase::new().await, Redis::start().await);
    let key = seller(&db).await;
    let url = redis.url();
    let settings = [("REDIS_URL", url.as_str())];
    let reader = Served::with(&db.url(), &settings);
    let proxy = Proxy::before(&db.url()).await;
    let mut doomed = Served::with(&proxy.url, &settings);
    let created = post(&key, "k", &order_body()).send(&reader.address).await.expect(201);
    let order = created.header("location").unwrap().to_owned();
    let get = Request::new("GET", &order).key(&key);
    get.send(&doomed.address).await.expect(200);
    get.send(&reader.address).await.expect(200);
    assert!(is_hit(&get.send(&reader.address).await));

    proxy.hold_commits();
    let change = Request::new("PATCH", &order).key(&key).json(&json!({ "memo": "new" }));
    let address = doomed.address.clone();
    let (answer, committed) = futures::join!(change.try_send(&address), async {
        proxy.held().await;
        let committed = Instant::now();
        doomed.kill();
        committed
    });
    assert_eq!(answer, None, "nobody was told");
    let mut seen = 0;
    while seen < 3 {
        let asked = Instant::now();
        let answer = get.send(&reader.address).await.expect(200);
        let is_new = answer.json()["memo"] == "new";
        assert!(
            is_new || asked.duration_since(committed) <= MAX_STALENESS,
            "{}",
            came_from(&answer)
        );
        seen += u32::from(is_new);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_processes_hear_of_each_other_all_the_same() {
    let db = TestDatabase::new().await;
    let key = seller(&db).await;
    let (writer, reader) = (Served::start(&db.url()), Served::start(&db.url()));
    let created = post(&key, "k", &order_body()).send(&writer.address).await.expect(201);
    let order = created.header("location").unwrap().to_owned();
    let get = Request::new("GET", &order).key(&key);
    for version in ["0", "1", "2"] {
        // Until it is kept there.
        while !is_hit(&get.send(&reader.address).await.expect(200)) {}
        let change = json!({ "memo": version });
        Request::new("PATCH", &order)
            .key(&key)
            .json(&change)
            .send(&writer.address)
            .await
            .expect(200);
        let written = Instant::now();
        loop {
            let asked = Instant::now();
            let answer = get.send(&reader.address).await.expect(200);
            if answer.json()["memo"] == version {
                break;
            }
            assert!(asked.duration_since(written) <= MAX_STALENESS, "{}", came_from(&answer));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_redis_every_answer_is_right() {
    const ORDERS_OF_TEST: usize = 20;
    let (db, mut redis) = (TestDatabase::new().await, Redis::start().await);
    let key = seller(&db).await;
    let operator = add_key(&db, "demo", [Scope::PerformanceRead].into_iter().collect()).await.0;
    let url = redis.url();
    let served = Served::with(&db.url(), &[("REDIS_URL", url.as_str()), PATIENT]);
    let mut orders = Vec::new();
    for n in 0..ORDERS_OF_TEST {
        let created = post(&key, &format!("k{n}"), &order_body()).send(&served.address).await;
        orders.push(created.expect(201).header("location").unwrap().to_owned());
    }
    let mut stream = TcpStream::connect(&served.address).await.unwrap();
    // Each order is read many times, and changed, and read again by its writer.
    let mut version = 0;
    let mut phase = async |what: &str| {
        version += 1;
        for order in &orders {
            let body = json!({ "memo": version.to_string() });
            let request = Request::new("PATCH", order).key(&key).json(&body);
            request.send_on(&mut stream).await.expect(200);
            let answer =
                Request::new("GET", order).key(&key).send_on(&mut stream).await.expect(200);
            assert_eq!(answer.json()["memo"], version.to_string(), "{what}");
        }
        let before = loads(&figures(&served.address, &operator).await);
        for round in 0..30 {
            for order in &orders {
                let answer = Request::new("GET", order).key(&key).send_on(&mut stream).await;
                let answer = answer.expect(200);
                assert_eq!(answer.json()["memo"], version.to_string(), "{what}, round {round}");
                assert!(!came_from(&answer).contains("stale"), "{what}");
            }
        }
        let loaded = loads(&figures(&served.address, &operator).await) - before;
        assert!(
            loaded <= ORDERS_OF_TEST as u64,
            "{what}: {loaded} loads of {ORDERS_OF_TEST} orders"
        );
    };
    phase("with Redis").await;
    redis.command("FLUSHALL").await;
    phase("after FLUSHALL").await;
    redis.pause();
    phase("while Redis stands still").await;
    redis.go_on();
    phase("after it went on").await;
    redis.kill();
    phase("without Redis").await;
    redis.come_back().await;
    phase("with an empty one").await;
}
