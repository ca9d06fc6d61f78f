//! Every shape of statement by which this program reads, with values taken from the data at that moment. No value is
//! kept beyond the run.

use chrono::{DateTime, Utc};
use jebi_domain::{
    At, Bounds, OrderFilter, OrderStatus, PageNumber, PageSize, Platform, Position, PriceRange,
    ProductFilter, ProductId, ProductStatus, Search, SellerId, StockLevel, Wholesaler,
};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSqlOwned, ToSql};
use uuid::Uuid;

use super::session::Session;
use crate::{Bind, Statement, analytics, housekeeping, jobs, orders, products, relay, sellers};

/// A statement to be measured. It has no debug form: its values may be personal.
#[derive(Clone)]
pub(super) struct Query {
    /// What it is for; several with other values share it.
    pub(super) name: String,
    /// The route that sends it, or what else does.
    pub(super) endpoint: String,
    pub(super) text: String,
    pub(super) values: Values,
    /// What is set in its transaction, as where it is sent.
    pub(super) settings: &'static str,
}

/// What is sent beside a statement's text.
#[derive(Clone)]
pub(super) enum Values {
    /// Of the types that this program sends.
    Ours(Vec<Bind>),
    /// As text, of whatever type PostgreSQL takes.
    Sampled(Vec<String>),
}

impl Query {
    /// One that is sent where the planner may neither scan nor sort: queues change too fast for statistics.
    fn of_queue<R>(name: &str, endpoint: &str, statement: Statement<R>) -> Self {
        const SETTINGS: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off";
        Self { settings: SETTINGS, ..Self::new(name, endpoint, statement) }
    }

    /// The text, in which no value stands.
    pub(super) fn shown(&self) -> String {
        match self.values {
            Values::Ours(_) => self.text.clone(),
            Values::Sampled(_) => crate::watch::masked(&self.text),
        }
    }

    /// Whether only the server, or a catalogue, knows it.
    pub(super) const fn is_foreign(&self) -> bool {
        matches!(self.values, Values::Sampled(_))
    }

    fn new<R>(name: impl Into<String>, endpoint: &str, statement: Statement<R>) -> Self {
        let (text, values) = statement.into_parts();
        let (name, endpoint) = (name.into(), endpoint.to_owned());
        Self { name, endpoint, text, values: Values::Ours(values), settings: "" }
    }
}

/// What `orders` and `products` have in common for this.
const ORDERS: &str = "GET /orders-optimized/";
const ORDER: &str = "GET /orders-optimized/{order_id}";
const PRODUCTS: &str = "GET /products-optimized/";
const PRODUCT: &str = "GET /products-optimized/{product_id}";
const ANALYTICS: &str = "GET /orders-optimized/analytics/performance";

/// The statements of all lists, details, analytics and chores, each with values of the largest seller and of another.
pub(super) async fn of_jebi(session: &Session) -> Result<Vec<Query>, tokio_postgres::Error> {
    let sampler = Sampler { session };
    let mut queries = Vec::new();
    for seller in sampler.sellers("order_totals", "orders").await? {
        sampler.orders(seller, &mut queries).await?;
    }
    for seller in sampler.sellers("product_totals", "products").await? {
        sampler.products(seller, &mut queries).await?;
    }
    sampler.chores(&mut queries).await?;
    sampler.jobs(&mut queries).await?;
    Ok(queries)
}

struct Sampler<'a> {
    session: &'a Session,
}

type Found<T> = Result<T, tokio_postgres::Error>;

fn size() -> PageSize {
    PageSize::new(50).expect("50 is a size of a page")
}

fn page(number: u64) -> At {
    At::Page(PageNumber::new(number, size()).expect("so few pages can be skipped"))
}

/// The names of a filter's parts, and of the place in the list: `orders.list.status.deep`.
fn named(list: &str, parts: &[(&str, bool)], place: &str) -> String {
    let parts = parts.iter().filter(|(_, is_there)| *is_there).map(|(part, _)| *part);
    let place = Some(place).filter(|place| !place.is_empty());
    std::iter::once(list).chain(parts).chain(place).collect::<Vec<_>>().join(".")
}

impl Sampler<'_> {
    async fn column<T: FromSqlOwned>(
        &self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Found<Vec<T>> {
        let rows = self.session.rows(sql, values).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn first<T>(
        &self,
        sql: &str,
        values: &[&(dyn ToSql + Sync)],
        read: fn(&Row) -> T,
    ) -> Found<Option<T>> {
        let rows = self.session.rows(sql, values).await?;
        Ok(rows.first().map(read))
    }

    /// The one with most, and another.
    async fn sellers(&self, totals: &str, count: &str) -> Found<Vec<SellerId>> {
        let sql = format!(
            "WITH sums AS (
                 SELECT seller_id, sum({count}) AS n FROM {totals} WHERE grain = 'all' GROUP BY seller_id
             ), most AS (SELECT seller_id FROM sums ORDER BY n DESC LIMIT 1)
             (SELECT seller_id FROM most)
             UNION ALL
             (SELECT seller_id FROM sums WHERE n > 0 AND seller_id NOT IN (SELECT seller_id FROM most)
              ORDER BY random() LIMIT 1)"
        );
        let sellers: Vec<Uuid> = self.column(&sql, &[]).await?;
        Ok(sellers.into_iter().map(SellerId::from).collect())
    }

    async fn orders(&self, seller: SellerId, queries: &mut Vec<Query>) -> Found<()> {
        let id = seller.as_uuid();
        let ends = "(SELECT created_at, id FROM orders WHERE seller_id = $1
                     ORDER BY created_at DESC, id DESC LIMIT 1)
                    UNION ALL
                    (SELECT created_at, id FROM orders WHERE seller_id = $1
                     ORDER BY created_at, id LIMIT 1 OFFSET 200)";
        let ends = self.session.rows(ends, &[&id]).await?;
        let ends: Vec<(DateTime<Utc>, Uuid)> =
            ends.iter().map(|row| (row.get(0), row.get(1))).collect();
        let Some((newest, _)) = ends.first().copied() else { return Ok(()) };
        let (oldest, deep) = ends.last().copied().unwrap_or((newest, Uuid::nil()));
        // The most and the least frequent combination that there is.
        let combinations = "WITH sums AS (
                SELECT status, platform, sum(orders) AS n FROM order_totals
                WHERE seller_id = $1 AND grain = 'all' GROUP BY status, platform HAVING sum(orders) > 0
            )
            (SELECT status, platform FROM sums ORDER BY n DESC LIMIT 1)
            UNION
            (SELECT status, platform FROM sums ORDER BY n LIMIT 1)";
        let combinations = self.session.rows(combinations, &[&id]).await?;
        for row in &combinations {
            let status: Option<OrderStatus> = row.get::<_, String>(0).parse().ok();
            let platform: Option<Platform> = row.get::<_, String>(1).parse().ok();
            let middle = oldest + (newest - oldest) / 2;
            let range = [
                (None, None),
                (Some(middle), None),
                (None, Some(middle)),
                (Some(middle), Some(newest)),
            ];
            for status in [None, status] {
                for platform in [None, platform] {
                    for (from, to) in range {
                        let Some(created) = Bounds::new(from, to) else { continue };
                        let filter = OrderFilter { status, platform, created, search: None };
                        let parts = [
                            ("status", status.is_some()),
                            ("platform", platform.is_some()),
                            ("from", from.is_some()),
                            ("to", to.is_some()),
                        ];
                        let after = At::After(Position { created_at: oldest, id: deep });
                        for (place, at) in [("", page(1)), ("deep", after), ("number", page(40))] {
                            let statement = orders::page_statement(seller, &filter, at, size());
                            queries.push(Query::new(
                                named("orders.list", &parts, place),
                                ORDERS,
                                statement,
                            ));
                        }
                    }
                }
            }
        }
        self.order_searches(seller, queries).await?;
        self.order_details(seller, queries).await
    }

    async fn order_searches(&self, seller: SellerId, queries: &mut Vec<Query>) -> Found<()> {
        let id = seller.as_uuid();
        let numbers: Vec<String> = self
            .column("SELECT order_number FROM orders WHERE seller_id = $1 LIMIT 2", &[&id])
            .await?;
        let tokens: Vec<i64> = self
            .column("SELECT token FROM order_search WHERE seller_id = $1 LIMIT 2", &[&id])
            .await?;
        let filter = OrderFilter::default();
        let searched = numbers.iter().filter_map(|number| Search::new(number).ok());
        for search in searched {
            // A number by its beginning; no hash says anything about it.
            let statement =
                orders::found_statement(seller, &filter, &search, vec![], page(1), size());
            queries.push(Query::new("orders.search.number", ORDERS, statement));
            // A hash, of whatever it is; and a beginning that is nobody's.
            if let Ok(nothing) = Search::new("\u{10FFFD}\u{10FFFD}") {
                let tokens = tokens.clone();
                let statement =
                    orders::found_statement(seller, &filter, &nothing, tokens, page(1), size());
                queries.push(Query::new("orders.search.token", ORDERS, statement));
            }
        }
        Ok(())
    }

    async fn order_details(&self, seller: SellerId, queries: &mut Vec<Query>) -> Found<()> {
        let id = seller.as_uuid();
        for direction in ["DESC", "ASC"] {
            let sql = format!(
                "SELECT id FROM orders WHERE seller_id = $1
                 ORDER BY created_at {direction}, id {direction} LIMIT 50"
            );
            let ids: Vec<Uuid> = self.column(&sql, &[&id]).await?;
            let Some(one) = ids.first() else { continue };
            let one = (*one).into();
            queries.push(Query::new(
                "orders.find",
                ORDER,
                orders::order_statement(seller, one, orders::Lock::None),
            ));
            queries.push(Query::new(
                "orders.history",
                ORDER,
                orders::history_statement(seller, one),
            ));
            queries.push(Query::new(
                "orders.purchase_orders",
                ORDER,
                orders::purchase_orders_statement(seller, one),
            ));
            queries.push(Query::new("orders.lines", ORDERS, orders::lines_statement(seller, ids)));
        }
        let range = "SELECT min(bucket), max(bucket) FROM order_totals
                     WHERE seller_id = $1 AND grain = 'day'";
        let days = self.first(range, &[&id], |row| (row.get(0), row.get(1))).await?;
        if let Some((Some(first), Some(last))) = days {
            let statement = analytics::cells_statement(seller, first, last);
            queries.push(Query::new("analytics.orders", ANALYTICS, statement));
        }
        let statement = analytics::products_statement(seller);
        queries.push(Query::new("analytics.products", ANALYTICS, statement));
        Ok(())
    }

    async fn products(&self, seller: SellerId, queries: &mut Vec<Query>) -> Found<()> {
        let id = seller.as_uuid();
        let deep = "SELECT created_at, id FROM products WHERE seller_id = $1
                    ORDER BY created_at, id LIMIT 1 OFFSET 200";
        let deep = self
            .first(deep, &[&id], |row| Position { created_at: row.get(0), id: row.get(1) })
            .await?;
        let combinations = "WITH sums AS (
                SELECT status, brand, wholesaler, sum(products) AS n FROM product_totals
                WHERE seller_id = $1 AND grain = 'all' AND brand <> '' AND wholesaler <> ''
                GROUP BY status, brand, wholesaler HAVING sum(products) > 0
            )
            (SELECT status, brand, wholesaler FROM sums ORDER BY n DESC LIMIT 1)
            UNION
            (SELECT status, brand, wholesaler FROM sums ORDER BY n LIMIT 1)
            UNION
            (SELECT 'active', NULL, NULL WHERE NOT EXISTS (SELECT FROM sums))";
        for row in &self.session.rows(combinations, &[&id]).await? {
            let status: Option<ProductStatus> = row.get::<_, String>(0).parse().ok();
            let brand: Option<String> = row.get(1);
            let wholesaler: Option<Wholesaler> =
                row.get::<_, Option<String>>(2).and_then(|word| word.parse().ok());
            for status in [None, status] {
                for brand in options(brand.clone()) {
                    for wholesaler in options(wholesaler) {
                        let filter = ProductFilter {
                            status,
                            brand: brand.clone(),
                            wholesaler,
                            ..ProductFilter::default()
                        };
                        product_pages(seller, &filter, deep, queries);
                    }
                }
            }
        }
        self.offers(seller, deep, queries).await?;
        self.product_searches(seller, queries).await?;
        self.product_details(seller, queries).await
    }

    /// Lists by what no index knows.
    async fn offers(
        &self,
        seller: SellerId,
        deep: Option<Position>,
        queries: &mut Vec<Query>,
    ) -> Found<()> {
        let prices = "SELECT percentile_disc(0.4) WITHIN GROUP (ORDER BY price),
                             percentile_disc(0.6) WITHIN GROUP (ORDER BY price)
                      FROM (SELECT price FROM product_offers WHERE seller_id = $1 AND price IS NOT NULL
                            LIMIT 1000) AS few";
        let prices =
            self.first(prices, &[&seller.as_uuid()], |row| (row.get(0), row.get(1))).await?;
        let mut filters: Vec<ProductFilter> = [StockLevel::Low, StockLevel::Out]
            .map(|stock| ProductFilter { stock: Some(stock), ..ProductFilter::default() })
            .into();
        if let Some((Some(low), Some(high))) = prices
            && let Some(price) = PriceRange::new(Some(low), Some(high))
        {
            filters.push(ProductFilter { price, ..ProductFilter::default() });
        }
        for filter in &filters {
            product_pages(seller, filter, deep, queries);
        }
        Ok(())
    }

    async fn product_searches(&self, seller: SellerId, queries: &mut Vec<Query>) -> Found<()> {
        // Two and three characters of names, and a whole code.
        let words = "SELECT substr(name, 1, 2), substr(name, 2, 3), sku
                     FROM products WHERE seller_id = $1 LIMIT 1";
        let words: Option<[String; 3]> = self
            .first(words, &[&seller.as_uuid()], |row| [row.get(0), row.get(1), row.get(2)])
            .await?;
        for search in words.iter().flatten().filter_map(|word| Search::new(word).ok()) {
            let is_short = search.is_one_character();
            let filter = ProductFilter { search: Some(search), ..ProductFilter::default() };
            let newest = products::newest_statement(
                seller,
                &filter,
                page(1),
                size(),
                products::Depth::Newest,
            );
            let mut found = vec![Query::new("products.search.newest", PRODUCTS, newest)];
            if !is_short {
                let statement = products::found_statement(seller, &filter, page(1), size());
                found.push(Query::new("products.search.found", PRODUCTS, statement));
            }
            // As `products::page` sets it for a search.
            found.iter_mut().for_each(|query| query.settings = products::SEARCH_SETTINGS);
            queries.extend(found);
        }
        Ok(())
    }

    async fn product_details(&self, seller: SellerId, queries: &mut Vec<Query>) -> Found<()> {
        let id = seller.as_uuid();
        let newest = "SELECT id FROM products WHERE seller_id = $1
                      ORDER BY created_at DESC, id DESC LIMIT 50";
        let ids: Vec<Uuid> = self.column(newest, &[&id]).await?;
        let priced = "SELECT product_id FROM price_history WHERE seller_id = $1 LIMIT 2";
        let priced: Vec<Uuid> = self.column(priced, &[&id]).await?;
        for product in priced {
            let statement = products::prices_statement(seller, product.into());
            queries.push(Query::new("products.prices", PRODUCT, statement));
        }
        let Some(one) = ids.first().copied().map(ProductId::from) else { return Ok(()) };
        queries.push(Query::new(
            "products.find",
            PRODUCT,
            products::product_statement(seller, one, products::Lock::None),
        ));
        let variants = products::variants_statement(seller, ids.clone());
        queries.push(Query::new("products.variants", PRODUCTS, variants));
        let listings = products::listings_statement(seller, ids);
        queries.push(Query::new("products.listings", PRODUCTS, listings));
        Ok(())
    }

    /// What `migrations/0009_jobs` asks inside its functions, under the settings that stand there.
    async fn jobs(&self, queries: &mut Vec<Query>) -> Found<()> {
        const WORKER: &str = "worker";
        let newest = "SELECT j.seller_id, j.id, j.created_at FROM jobs AS j LIMIT 2";
        for row in self.session.rows(newest, &[]).await? {
            let (seller, job): (Uuid, Uuid) = (row.get(0), row.get(1));
            let after = At::After(Position { created_at: row.get(2), id: job });
            for (name, at) in [("jobs.list", page(1)), ("jobs.list.deep", after)] {
                let list = jobs::page_statement(seller.into(), at, size());
                queries.push(Query::new(name, "GET /jobs/", list));
            }
            let of_job = |text: &'static str| {
                Statement::<()>::new(text, vec![Bind::from(seller), Bind::from(job)])
            };
            let due = "SELECT number FROM job_items WHERE seller_id = $1 AND job_id = $2
                         AND due_at <= now() ORDER BY due_at, number LIMIT 20";
            queries.push(Query::of_queue("jobs.due", WORKER, of_job(due)));
            let held = "SELECT 1 FROM job_items WHERE seller_id = $1 AND job_id = $2
                          AND holder IS NOT NULL AND due_at > now()";
            queries.push(Query::of_queue("jobs.held", WORKER, of_job(held)));
            let failures = "SELECT number, name, reason FROM job_items_ended
                            WHERE seller_id = $1 AND job_id = $2 AND state IN ('failed', 'dead')
                            ORDER BY number LIMIT 100";
            queries.push(Query::of_queue("jobs.failures", "GET /jobs/{job_id}", of_job(failures)));
        }
        for (name, text) in [
            (
                "jobs.old",
                "SELECT id, seller_id FROM jobs WHERE finished_at < now() - interval '30 days'
                 ORDER BY finished_at LIMIT 100",
            ),
            (
                "jobs.to_stop",
                "SELECT id, seller_id FROM jobs
                 WHERE cancel_requested AND state IN ('queued', 'running') ORDER BY created_at LIMIT 100",
            ),
            (
                "jobs.to_sweep",
                "SELECT id, seller_id FROM jobs WHERE state = 'cancelled' AND NOT is_swept
                 ORDER BY finished_at LIMIT 100",
            ),
            (
                "jobs.lanes",
                "SELECT seller_id, kind FROM job_lanes
                 WHERE ready_at <= now() AND ready_at <> 'infinity' ORDER BY served_at LIMIT 1",
            ),
        ] {
            queries.push(Query::of_queue(name, WORKER, Statement::<()>::new(text, vec![])));
        }
        let runs: Vec<Uuid> = self.column("SELECT id FROM optimizer_runs LIMIT 1", &[]).await?;
        for run in runs {
            let rejections = Statement::<()>::new(
                "SELECT 1 FROM optimizer_rejections WHERE run_id = $1",
                vec![Bind::from(run)],
            );
            queries.push(Query::of_queue("optimizer.rejections_of_run", "foreign key", rejections));
        }
        Ok(())
    }

    /// What goes on beside the requests, and the checks of foreign keys.
    async fn chores(&self, queries: &mut Vec<Query>) -> Found<()> {
        let sequence = "SELECT greatest(sequence - 10, 0) FROM relay";
        if let Some(after) = self.first(sequence, &[], |row| row.get(0)).await? {
            queries.push(Query::new("relay.news", "relay", relay::news_statement(after)));
        }
        let old = housekeeping::old_answers_statement();
        queries.push(Query::new("housekeeping.old_answers", "housekeeping", old));
        let some: Vec<Uuid> = self.column("SELECT id FROM sellers LIMIT 2", &[]).await?;
        for seller in some {
            for (name, table) in [
                ("sellers.keys", "api_keys"),
                ("sellers.accounts", "platform_accounts"),
                ("sellers.wholesalers", "wholesaler_accounts"),
            ] {
                let rows = Statement::<()>::new(
                    format!("SELECT 1 FROM {table} WHERE seller_id = $1"),
                    vec![Bind::from(seller)],
                );
                queries.push(Query::new(name, "foreign key", rows));
            }
            let shop = orders::own_shop_statement(seller.into());
            queries.push(Query::new("sellers.own_shop", "POST /orders-optimized/", shop));
        }
        let digest: Vec<Vec<u8>> = self.column("SELECT digest FROM api_keys LIMIT 1", &[]).await?;
        for digest in digest {
            let statement = sellers::key_statement(digest);
            queries.push(Query::new("sellers.find_key", "every request", statement));
        }
        let claimed = "SELECT order_id, seller_id FROM claims WHERE order_id IS NOT NULL LIMIT 1";
        let claimed: Option<(Uuid, Uuid)> =
            self.first(claimed, &[], |row| (row.get(0), row.get(1))).await?;
        if let Some((order, seller)) = claimed {
            let claims = Statement::<()>::new(
                "SELECT 1 FROM claims WHERE order_id = $1 AND seller_id = $2",
                vec![Bind::from(order), Bind::from(seller)],
            );
            queries.push(Query::new("claims.of_order", "foreign key", claims));
        }
        Ok(())
    }
}

fn options<T: Clone>(value: Option<T>) -> Vec<Option<T>> {
    match value {
        Some(value) => vec![None, Some(value)],
        None => vec![None],
    }
}

fn product_pages(
    seller: SellerId,
    filter: &ProductFilter,
    deep: Option<Position>,
    queries: &mut Vec<Query>,
) {
    let parts = [
        ("status", filter.status.is_some()),
        ("brand", filter.brand.is_some()),
        ("wholesaler", filter.wholesaler.is_some()),
        ("price", filter.price != PriceRange::default()),
        ("stock", filter.stock.is_some()),
    ];
    let deep = deep.map(|position| ("deep", At::After(position)));
    let places = [Some(("", page(1))), deep, Some(("number", page(20)))];
    for (place, at) in places.into_iter().flatten() {
        let statement = products::page_statement(seller, filter, at, size());
        queries.push(Query::new(named("products.list", &parts, place), PRODUCTS, statement));
    }
}
