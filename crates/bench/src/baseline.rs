//! What the guide began with, as it is often written: a query for the page, one for each order's lines, one for each line's
//! product, a count and an offset, nothing cached and no index but keys. It answers the same routes with the same fields, of a
//! copy of the same data, through connections that are kept open and statements that are prepared once; what makes it slow is
//! its queries alone.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use actix_web::web::{Data, Json, Path, Query};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, ResponseError, web};
use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use jebi_domain::{Customer, MasterKey, SellerKeys, Sight, api_key_digest};
use serde_json::{Value, json};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};
use uuid::Uuid;

use crate::database;
use crate::served::LISTENING;

#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    #[arg(long, env = "JEBI_MASTER_KEY", hide_env_values = true)]
    master_key: String,
    /// Connections, all of them open.
    #[arg(long, default_value_t = 20)]
    connections: usize,
}

/// A connection, and what was prepared on it.
struct Connection {
    client: Client,
    prepared: Mutex<HashMap<String, Statement>>,
}

struct State {
    connections: Vec<Connection>,
    next: AtomicUsize,
    master_key: MasterKey,
}

#[derive(Debug)]
struct Failed(Problem);

#[derive(Debug)]
#[expect(dead_code, reason = "the error is for the log")]
enum Problem {
    Database(tokio_postgres::Error),
    Unauthorized,
    NotFound,
    Wrong,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl ResponseError for Failed {
    fn error_response(&self) -> HttpResponse {
        match &self.0 {
            Problem::Database(_) => HttpResponse::InternalServerError().finish(),
            Problem::Unauthorized => HttpResponse::Unauthorized().finish(),
            Problem::NotFound => HttpResponse::NotFound().finish(),
            Problem::Wrong => HttpResponse::BadRequest().finish(),
        }
    }
}

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        Self(Problem::Database(error))
    }
}

type Answer<T = HttpResponse> = std::result::Result<T, Failed>;
type Bind<'a> = &'a (dyn ToSql + Sync);

/// Serves until it is killed.
///
/// # Errors
/// Where there is no database, or nothing to listen on.
#[expect(clippy::print_stderr, reason = "how a program says where it listens")]
pub(crate) async fn serve(options: Options) -> Result<()> {
    let mut connections = vec![];
    for _ in 0..options.connections {
        let client = database::connect(&options.database_url).await?;
        connections.push(Connection { client, prepared: Mutex::default() });
    }
    let master_key = MasterKey::from_hex(&options.master_key).context("JEBI_MASTER_KEY")?;
    let state = Data::new(State { connections, next: AtomicUsize::new(0), master_key });
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .route("/api/v1/orders-optimized/", web::get().to(orders))
            .route("/api/v1/orders-optimized/", web::post().to(new_order))
            .route("/api/v1/orders-optimized/{id}", web::get().to(order))
            .route("/api/v1/orders-optimized/{id}", web::patch().to(change_order))
            .route("/api/v1/products-optimized/", web::get().to(products))
            .route("/api/v1/products-optimized/{id}", web::get().to(product))
            .route("/api/v1/products-optimized/{id}", web::patch().to(change_product))
    })
    .listen(listener)?
    .run();
    eprintln!("{LISTENING}{address}");
    Ok(server.await?)
}

impl State {
    /// One of the connections, in turn.
    fn connection(&self) -> &Connection {
        let next = self.next.fetch_add(1, Relaxed);
        &self.connections[next % self.connections.len()]
    }
}

impl Connection {
    async fn prepared(&self, sql: &str) -> Answer<Statement> {
        let known = || self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(statement) = known().get(sql).cloned() {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        known().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    async fn all(&self, sql: &str, binds: &[Bind<'_>]) -> Answer<Vec<Row>> {
        Ok(self.client.query(&self.prepared(sql).await?, binds).await?)
    }

    async fn one(&self, sql: &str, binds: &[Bind<'_>]) -> Answer<Row> {
        let rows = self.all(sql, binds).await?;
        rows.into_iter().next().ok_or(Failed(Problem::NotFound))
    }

    async fn run(&self, sql: &str, binds: &[Bind<'_>]) -> Answer<u64> {
        Ok(self.client.execute(&self.prepared(sql).await?, binds).await?)
    }
}

/// The seller who asks, looked up for each request.
async fn seller(
    request: &HttpRequest,
    state: &State,
    db: &Connection,
) -> Answer<(Uuid, SellerKeys)> {
    let sent = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let key = sent.and_then(|sent| sent.strip_prefix("Bearer ")).and_then(api_key_digest);
    let digest = key.ok_or(Failed(Problem::Unauthorized))?.to_vec();
    let key = "SELECT seller_id FROM api_keys WHERE digest = $1 AND revoked_at IS NULL";
    let seller: Uuid = db.one(key, &[&digest]).await?.get(0);
    let salt: Vec<u8> =
        db.one("SELECT key_salt FROM sellers WHERE id = $1", &[&seller]).await?.get(0);
    Ok((seller, state.master_key.seller_keys(seller.into(), &salt)))
}

type Params = Query<HashMap<String, String>>;

/// The conditions of a list, and what is bound to them.
struct Conditions {
    sql: String,
    binds: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Conditions {
    fn of(seller: Uuid) -> Self {
        Self { sql: "seller_id = $1".to_owned(), binds: vec![Box::new(seller)] }
    }

    fn and(&mut self, condition: &str, bind: impl ToSql + Sync + Send + 'static) {
        self.binds.push(Box::new(bind));
        let place = format!("${}", self.binds.len());
        self.sql = format!("{} AND {}", self.sql, condition.replace('?', &place));
    }

    fn binds(&self) -> Vec<Bind<'_>> {
        self.binds.iter().map(|bind| &**bind as Bind<'_>).collect()
    }
}

fn number(params: &Params, name: &str, default: i64) -> i64 {
    params.get(name).and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn envelope(items: &[Value], total: i64, (page, size): (i64, i64)) -> HttpResponse {
    let pages = (total + size - 1) / size;
    HttpResponse::Ok().json(json!({
        "items": items, "total": total, "total_is": "exact",
        "page": page, "page_size": size, "pages": pages, "next_cursor": null,
    }))
}

async fn orders(request: HttpRequest, state: Data<State>, params: Params) -> Answer {
    let db = state.connection();
    let (seller, keys) = seller(&request, &state, db).await?;
    let mut conditions = Conditions::of(seller);
    for column in ["status", "platform"] {
        if let Some(wanted) = params.get(column) {
            conditions.and(&format!("{column} = ?"), wanted.clone());
        }
    }
    if let Some(from) = params.get("date_from") {
        let from: DateTime<Utc> = from.parse().map_err(|_| Failed(Problem::Wrong))?;
        conditions.and("created_at >= ?", from);
    }
    if let Some(search) = params.get("search") {
        conditions.and("order_number LIKE ?", format!("{search}%"));
    }
    let (page, size) = (number(&params, "page", 1), number(&params, "page_size", 50));
    let count = format!("SELECT count(*) FROM orders WHERE {}", conditions.sql);
    let total: i64 = db.one(&count, &conditions.binds()).await?.get(0);
    let list = format!(
        "SELECT * FROM orders WHERE {} ORDER BY created_at DESC, id DESC LIMIT {size} OFFSET {}",
        conditions.sql,
        (page - 1) * size
    );
    let mut items = vec![];
    for order in db.all(&list, &conditions.binds()).await? {
        items.push(with_lines(db, seller, &keys, &order).await?);
    }
    Ok(envelope(&items, total, (page, size)))
}

/// An order with its lines, and each line with its product.
async fn with_lines(
    db: &Connection,
    seller: Uuid,
    keys: &SellerKeys,
    order: &Row,
) -> Answer<Value> {
    const LINES: &str =
        "SELECT * FROM order_items WHERE order_id = $1 AND seller_id = $2 ORDER BY line_no";
    const PRODUCT: &str = "SELECT * FROM products WHERE id = $1 AND seller_id = $2";
    let id: Uuid = order.get("id");
    let mut lines = vec![];
    for line in db.all(LINES, &[&id, &seller]).await? {
        let product: Uuid = line.get("product_id");
        let found = db.all(PRODUCT, &[&product, &seller]).await?;
        let name = found
            .first()
            .map_or_else(|| line.get("product_name"), |row| row.get::<_, String>("name"));
        lines.push(json!({
            "product_id": product,
            "sku": line.get::<_, String>("sku"),
            "product_name": name,
            "quantity": line.get::<_, i32>("quantity"),
            "price": line.get::<_, i64>("price"),
        }));
    }
    let customer =
        keys.open_customer(id, order.get("customer")).map_err(|_| Failed(Problem::Wrong))?;
    let Customer { name, phone, .. } = customer.seen(Sight::Full);
    Ok(json!({
        "id": id,
        "order_number": order.get::<_, String>("order_number"),
        "platform": order.get::<_, String>("platform"),
        "status": order.get::<_, String>("status"),
        "customer_name": name,
        "customer_phone": phone,
        "total_amount": order.get::<_, i64>("total_amount"),
        "currency": order.get::<_, String>("currency"),
        "tracking_number": order.get::<_, Option<String>>("tracking_number"),
        "created_at": order.get::<_, DateTime<Utc>>("created_at"),
        "items_count": lines.len(),
        "items": lines,
    }))
}

const ORDER: &str = "SELECT * FROM orders WHERE id = $1 AND seller_id = $2";

async fn order(request: HttpRequest, state: Data<State>, id: Path<Uuid>) -> Answer {
    let db = state.connection();
    let (seller, keys) = seller(&request, &state, db).await?;
    let order = db.one(ORDER, &[&*id, &seller]).await?;
    let mut body = with_lines(db, seller, &keys, &order).await?;
    let history =
        "SELECT * FROM order_history WHERE order_id = $1 AND seller_id = $2 ORDER BY version";
    let history = db.all(history, &[&*id, &seller]).await?;
    let entry = |row: &Row| json!({ "version": row.get::<_, i64>("version"), "status": row.get::<_, String>("status") });
    body["history"] = history.iter().map(entry).collect();
    body["memo"] = json!(order.get::<_, Option<String>>("memo"));
    Ok(HttpResponse::Ok().json(body))
}

async fn change_order(
    request: HttpRequest,
    state: Data<State>,
    id: Path<Uuid>,
    change: Json<Value>,
) -> Answer {
    let db = state.connection();
    let (seller, keys) = seller(&request, &state, db).await?;
    let memo = change["memo"].as_str().ok_or(Failed(Problem::Wrong))?;
    let update = "UPDATE orders SET memo = $3, version = version + 1, updated_at = now() WHERE id = $1 AND seller_id = $2";
    db.run(update, &[&*id, &seller, &memo]).await?;
    let order = db.one(ORDER, &[&*id, &seller]).await?;
    Ok(HttpResponse::Ok().json(with_lines(db, seller, &keys, &order).await?))
}

async fn new_order(request: HttpRequest, state: Data<State>, order: Json<Value>) -> Answer {
    const ACCOUNT: &str =
        "SELECT id FROM platform_accounts WHERE seller_id = $1 AND kind = 'direct'";
    const ADD: &str = "INSERT INTO orders (id, seller_id, platform, platform_account_id, platform_order_id, order_number, status, \
        currency, items_count, items_amount, total_amount, customer, memo, created_at) \
        VALUES ($1, $2, 'direct', $3, $4, $4, 'confirmed', 'KRW', 1, $5, $5, $6, $7, now())";
    const LINE: &str = "INSERT INTO order_items (order_id, line_no, seller_id, product_id, sku, product_name, quantity, price) \
        SELECT $1, 1, seller_id, id, sku, name, 1, $4 FROM products WHERE id = $3 AND seller_id = $2";
    let db = state.connection();
    let (seller, keys) = seller(&request, &state, db).await?;
    let line = &order["items"][0];
    let product: Option<Uuid> = line["product_id"].as_str().and_then(|id| id.parse().ok());
    let (product, price) = product.zip(line["price"].as_i64()).ok_or(Failed(Problem::Wrong))?;
    let id = Uuid::now_v7();
    let number = id.simple().to_string();
    let name = order["customer"]["name"].as_str().map(str::to_owned);
    let customer = Customer { name, ..Customer::default() };
    let nonce = id.as_bytes()[4..].try_into().map_err(|_| Failed(Problem::Wrong))?;
    let sealed = keys.seal_customer(id, &customer, nonce);
    let account: Uuid = db.one(ACCOUNT, &[&seller]).await?.get(0);
    let memo = order["memo"].as_str();
    db.run(ADD, &[&id, &seller, &account, &number, &price, &sealed, &memo]).await?;
    db.run(LINE, &[&id, &seller, &product, &price]).await?;
    let order = db.one(ORDER, &[&id, &seller]).await?;
    Ok(HttpResponse::Created().json(with_lines(db, seller, &keys, &order).await?))
}

async fn products(request: HttpRequest, state: Data<State>, params: Params) -> Answer {
    let db = state.connection();
    let (seller, _) = seller(&request, &state, db).await?;
    let mut conditions = Conditions::of(seller);
    if let Some(search) = params.get("search") {
        conditions.and("name ILIKE ?", format!("%{search}%"));
    }
    for (name, comparison) in [("min_price", ">="), ("max_price", "<=")] {
        if params.contains_key(name) {
            let offer =
                format!("id IN (SELECT product_id FROM product_offers WHERE price {comparison} ?)");
            conditions.and(&offer, number(&params, name, 0));
        }
    }
    let (page, size) = (number(&params, "page", 1), number(&params, "page_size", 20));
    let count = format!("SELECT count(*) FROM products WHERE {}", conditions.sql);
    let total: i64 = db.one(&count, &conditions.binds()).await?.get(0);
    let list = format!(
        "SELECT * FROM products WHERE {} ORDER BY created_at DESC, id DESC LIMIT {size} OFFSET {}",
        conditions.sql,
        (page - 1) * size
    );
    let mut items = vec![];
    for product in db.all(&list, &conditions.binds()).await? {
        items.push(with_offer(db, seller, &product).await?);
    }
    Ok(envelope(&items, total, (page, size)))
}

async fn with_offer(db: &Connection, seller: Uuid, product: &Row) -> Answer<Value> {
    const OFFER: &str = "SELECT * FROM product_offers WHERE product_id = $1 AND seller_id = $2";
    let id: Uuid = product.get("id");
    let offer = db.one(OFFER, &[&id, &seller]).await?;
    Ok(json!({
        "id": id,
        "sku": product.get::<_, String>("sku"),
        "name": product.get::<_, String>("name"),
        "brand": product.get::<_, Option<String>>("brand"),
        "currency": offer.get::<_, String>("currency"),
        "price": offer.get::<_, Option<i64>>("price"),
        "stock": offer.get::<_, Option<i64>>("stock"),
        "created_at": product.get::<_, DateTime<Utc>>("created_at"),
    }))
}

const PRODUCT: &str = "SELECT * FROM products WHERE id = $1 AND seller_id = $2";

async fn product(request: HttpRequest, state: Data<State>, id: Path<Uuid>) -> Answer {
    let db = state.connection();
    let (seller, _) = seller(&request, &state, db).await?;
    let product = db.one(PRODUCT, &[&*id, &seller]).await?;
    Ok(HttpResponse::Ok().json(with_offer(db, seller, &product).await?))
}

async fn change_product(
    request: HttpRequest,
    state: Data<State>,
    id: Path<Uuid>,
    change: Json<Value>,
) -> Answer {
    const UPDATE: &str = "UPDATE product_offers SET price = $3, updated_at = now() WHERE product_id = $1 AND seller_id = $2";
    let db = state.connection();
    let (seller, _) = seller(&request, &state, db).await?;
    let price = change["price"].as_i64().ok_or(Failed(Problem::Wrong))?;
    db.run(UPDATE, &[&*id, &seller, &price]).await?;
    let product = db.one(PRODUCT, &[&*id, &seller]).await?;
    Ok(HttpResponse::Ok().json(with_offer(db, seller, &product).await?))
}
