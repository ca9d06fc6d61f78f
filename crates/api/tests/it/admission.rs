//! Where too many wait for too long, others are refused at once, and what is cached is answered all the same.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jebi_db_optimizer::Transaction;
use jebi_db_optimizer::testing::{TestDatabase, run_as_service};
use jebi_domain::{Scope, Scopes};
use tokio::task::JoinHandle;

use crate::app::{ORDERS, TestApp, add_key, order_body, post};
use crate::hostile::refused_twice_on_one_connection;
use crate::http::{Request, Response};
use crate::process::Served;
use crate::redis::Redis;

const PATIENT: (&str, &str) = ("JEBI_CACHE_MAX_STALENESS_MS", "60000");

/// Whoever asks for a page that is in no cache.
type Crowd = FuturesUnordered<JoinHandle<Response>>;

/// While it is there, whoever wants to see an order waits.
async fn locked(db: &TestDatabase) -> Transaction<'_> {
    let seller = db.seller("demo").await.seller();
    let transaction = db.pool.begin(seller).await.unwrap();
    run_as_service(&transaction, "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await.unwrap();
    transaction
}

/// As many as may wait, and more of them until one is refused, who is handed out.
async fn crowd(address: &str, key: &str) -> (Crowd, Response) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let pages = (1..).flat_map(|page| (1..=100).map(move |size| (page, size)));
    let mut requests = pages.map(|(page, size)| {
        let path = format!("{ORDERS}?status=pending&page={page}&page_size={size}");
        let (request, address) = (Request::new("GET", &path).key(key), address.to_owned());
        tokio::spawn(async move { request.send(&address).await })
    });
    let mut crowd: Crowd = requests.by_ref().take(256.max(128 * cores)).collect();
    loop {
        // Nobody is answered before the lock is gone.
        let answered = tokio::time::timeout(Duration::from_millis(10), crowd.next()).await;
        if let Ok(Some(refused)) = answered {
            return (crowd, refused.unwrap());
        }
        crowd.extend(requests.next());
    }
}

/// How often it was said that there is no place.
async fn turned_away(address: &str, operator: &str) -> u64 {
    let figures = Request::new("GET", "/api/v1/performance/api").key(operator);
    let figures = figures.send(address).await.expect(200).json();
    let all = figures["endpoints"].as_array().unwrap().iter();
    let away = all.filter(|one| one["endpoint"].as_str().unwrap().ends_with("turned away"));
    away.map(|one| one["count"].as_u64().unwrap()).sum()
}

fn is_refusal(response: &Response) -> bool {
    assert!(response.text().contains("the service is busy"), "{}", response.text());
    response.status == 503 && response.header("retry-after") == Some("1")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_would_wait_too_long_is_refused_and_nobody_else() {
    let app = TestApp::with(&[PATIENT, ("JEBI_RATE_LIMIT_PER_MINUTE", "100000")]).await;
    let operator = app.key_of("operator", &[Scope::PerformanceRead]).await;
    // Loaded; answered from memory, and so known at the door.
    for _ in 0..2 {
        app.get(ORDERS).await.expect(200);
    }
    let lock = locked(&app.db).await;
    let (mut crowd, refused) = crowd(&app.address, &app.key).await;
    assert!(is_refusal(&refused));
    assert!(is_refusal(&app.post("busy", &order_body()).await));
    refused_twice_on_one_connection(&app.address, &app.key, 503).await;
    app.get(ORDERS).await.expect(200);
    app.send(Request::new("GET", "/healthz")).await.expect(200);
    let away = turned_away(&app.address, &operator).await;
    lock.rollback().await.unwrap();

    let mut refused = 4;
    while let Some(answer) = crowd.next().await {
        let answer = answer.unwrap();
        refused += u64::from(answer.status != 200 && is_refusal(&answer));
    }
    // Nobody who was let in came away with nothing.
    assert!((4..=refused).contains(&away), "{away}");
    assert_eq!(turned_away(&app.address, &operator).await, refused);
    assert_eq!(app.post("busy", &order_body()).await.expect(201).header("retry-after"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_has_is_answered_also_where_nothing_can_be_loaded() {
    let (db, redis) = (TestDatabase::new().await, Redis::start().await);
    let key = add_key(&db, "demo", Scopes::all_of_a_seller()).await.0;
    let url = redis.url();
    let settings = [("REDIS_URL", url.as_str()), PATIENT, ("JEBI_RATE_LIMIT_PER_MINUTE", "100000")];
    let (one, two) = (Served::with(&db.url(), &settings), Served::with(&db.url(), &settings));
    let page = |size: u32| Request::new("GET", &format!("{ORDERS}?page_size={size}")).key(&key);
    // A process does not hear of Redis before it has asked a few times.
    let shared = async |size: u32| {
        page(size).send(&one.address).await.expect(200);
        let answer = page(size).send(&two.address).await.expect(200);
        answer.header("cache-status").unwrap().ends_with("detail=l2")
    };
    let mut sizes = (1..=90).cycle();
    while !shared(sizes.next().unwrap()).await {}
    page(100).send(&one.address).await.expect(200);

    let lock = locked(&db).await;
    let (mut crowd, refused) = crowd(&two.address, &key).await;
    assert!(is_refusal(&refused));
    assert!(is_refusal(&post(&key, "busy", &order_body()).send(&two.address).await));
    let answer = page(100).send(&two.address).await.expect(200);
    assert_eq!(answer.header("cache-status"), Some("jebi; hit; detail=l2"));
    lock.rollback().await.unwrap();
    while let Some(answer) = crowd.next().await {
        let answer = answer.unwrap();
        assert!(answer.status == 200 || is_refusal(&answer));
    }
    page(99).send(&two.address).await.expect(200);
}
