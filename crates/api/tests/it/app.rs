//! A running service and its sellers.

use std::net::TcpListener;

use chrono::Utc;
use jebi_api::serve::{serve_on, serve_through};
use jebi_api::settings::Settings;
use jebi_db_optimizer::testing::{MASTER_KEY, TestDatabase};
use jebi_db_optimizer::{Config, random, sellers};
use jebi_domain::{ApiKeyId, Scope, Scopes, api_key, api_key_digest};
use serde_json::{Value, json};

use crate::http::{Request, Response};

pub(crate) const ORDERS: &str = "/api/v1/orders-optimized/";

pub(crate) const PRODUCTS: &str = "/api/v1/products-optimized/";

/// All events, whether the relay has moved them or not.
pub(crate) const EVENTS: &str = "(SELECT event, version FROM outbox \
                                  UNION ALL SELECT event, version FROM events) AS happened";

pub(crate) struct TestApp {
    pub(crate) db: TestDatabase,
    pub(crate) address: String,
    /// A key of the seller *demo* with all scopes of a seller.
    pub(crate) key: String,
}

impl TestApp {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// A service with some settings of its own.
    pub(crate) async fn with(set: &[(&str, &str)]) -> Self {
        let db = TestDatabase::new().await;
        let (listener, address) = listener();
        tokio::spawn(serve_on(listener, settings(&db, set)));
        Self::of(db, address).await
    }

    /// A service whose only connection is the database's own pool, and in which nothing runs beside the requests.
    pub(crate) async fn alone() -> Self {
        let db =
            TestDatabase::with_config(&Config { size: 1, overflow: 0, ..Config::default() }).await;
        let (listener, address) = listener();
        tokio::spawn(serve_through(db.pool.clone(), listener, settings(&db, &[])));
        Self::of(db, address).await
    }

    async fn of(db: TestDatabase, address: String) -> Self {
        let key = add_key(&db, "demo", Scopes::all_of_a_seller()).await.0;
        add_product(&db, "demo", "TEA-1").await;
        Self { db, address, key }
    }

    pub(crate) async fn send(&self, request: Request) -> Response {
        request.send(&self.address).await
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.send(Request::new("GET", path).key(&self.key)).await
    }

    pub(crate) async fn post(&self, idempotency_key: &str, body: &Value) -> Response {
        self.send(post(&self.key, idempotency_key, body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Response {
        self.send(Request::new("PATCH", path).key(&self.key).json(body)).await
    }

    /// A key of `seller`, who is added where there is none of this name.
    pub(crate) async fn key_of(&self, seller: &str, scopes: &[Scope]) -> String {
        add_key(&self.db, seller, scopes.iter().copied().collect()).await.0
    }

    /// The path to a product of *demo*.
    pub(crate) async fn product(&self, sku: &str) -> String {
        let select = format!(
            "SELECT p.id::text FROM products AS p JOIN sellers AS s ON s.id = p.seller_id
             WHERE s.name = 'demo' AND p.sku = '{sku}'"
        );
        format!("{PRODUCTS}{}", self.db.text(&select).await)
    }

    /// A new order, and the path to it.
    pub(crate) async fn order(&self) -> String {
        let key = format!("order-{}", u64::from_le_bytes(random()));
        let response = self.post(&key, &order_body()).await.expect(201);
        response.header("location").unwrap().to_owned()
    }
}

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

fn settings(db: &TestDatabase, set: &[(&str, &str)]) -> Settings {
    let lookup = |name: &str| match name {
        "DATABASE_URL" => Some(db.url()),
        "JEBI_MASTER_KEY" => Some(MASTER_KEY.to_owned()),
        "DATABASE_POOL_SIZE" => Some("2".to_owned()),
        // Nobody outside is called by a test.
        "OWNERCLAN_API_URL" | "OWNERCLAN_AUTH_URL" | "ZENTRADE_BASE_URL" | "DOMEGGOOK_BASE_URL"
            if set.iter().all(|(known, _)| *known != name) =>
        {
            Some("http://127.0.0.1:1".to_owned())
        }
        "JEBI_PERFORMANCE_LOG" if set.iter().all(|(known, _)| *known != name) => {
            Some("off".to_owned())
        }
        name => set.iter().find(|(known, _)| *known == name).map(|set| set.1.to_owned()),
    };
    Settings::from_lookup(&lookup).unwrap()
}

pub(crate) fn post(key: &str, idempotency_key: &str, body: &Value) -> Request {
    Request::new("POST", ORDERS).key(key).header("idempotency-key", idempotency_key).json(body)
}

pub(crate) fn order_body() -> Value {
    json!({
        "currency": "KRW",
        "items": [{ "sku": "TEA-1", "quantity": 2, "price": 12_900 }],
        "shipping_amount": 3_000,
        "customer": { "name": "홍길동", "phone": "010-1234-5678" },
    })
}

pub(crate) async fn add_key(db: &TestDatabase, seller: &str, scopes: Scopes) -> (String, ApiKeyId) {
    let admin = db.admin().await;
    let now = Utc::now();
    let seller = sellers::add(&admin, seller, now).await.unwrap();
    let key = api_key(random());
    let digest = api_key_digest(&key).unwrap();
    let id = sellers::add_key(&admin, Some(seller.id), scopes, digest, now).await.unwrap();
    (key, id)
}

/// A product of the seller's, of which there are ten.
pub(crate) async fn add_product(db: &TestDatabase, seller: &str, sku: &str) {
    db.run(&format!(
        "WITH added AS (
             INSERT INTO products (id, seller_id, sku, name, created_at)
             SELECT gen_random_uuid(), id, '{sku}', '보이차 {sku}', now()
             FROM sellers WHERE name = '{seller}'
             RETURNING id, seller_id
         )
         INSERT INTO product_offers (product_id, seller_id, currency, price, stock)
         SELECT id, seller_id, 'KRW', 12900, 10 FROM added"
    ))
    .await;
}
