//! What it costs to bring what was collected into the catalogue, against COPY of the same final rows:
//! `DATABASE_URL=… cargo bench -p jebi-db-optimizer --bench merge --profile release-fast`.
//!
//! By turns: a page of 1,000 items after the other is compared, staged and merged, and then the same rows are copied by bare
//! COPY into tables with the same columns and indexes, without triggers and foreign keys: those that the merge has written, and
//! all rows that the changed products have, which is what a reload would write. The promise is half of COPY's speed for products
//! that changed. The same for products that are new, and for pages of which nothing changed.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]
#![expect(clippy::disallowed_methods, reason = "a bench is told by its environment")]

use std::time::{Duration, Instant};

use bytes::BytesMut;
use chrono::{DateTime, TimeDelta, Utc};
use futures::{SinkExt as _, TryStreamExt as _};
use jebi_db_optimizer::collection::{Detail, Source, Stage, Staged, Variant, known, merge};
use jebi_db_optimizer::testing::TestDatabase;
use jebi_db_optimizer::{Config, random};
use jebi_domain::{AccountId, ProductId, ProductStatus, SellerId, Wholesaler};
use serde_json::json;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

const PAGE: usize = 1_000;
const TURNS: i64 = 9;

/// What a turn changes of every product.
#[derive(Clone, Copy, PartialEq)]
enum What {
    /// It is there.
    Everything,
    /// Cost and stock of one in seven: about what changes in a day.
    OneInSeven,
    /// Cost and stock.
    Offer,
    /// Cost and stock, those of its options, and all that is known of it besides.
    All,
    /// Nothing.
    Nothing,
}

struct Bench {
    db: TestDatabase,
    client: Client,
    stage: Stage,
    seller: SellerId,
    account: AccountId,
    products: Vec<(String, ProductId)>,
}

fn main() {
    let items = std::env::var("JEBI_BENCH_ITEMS").ok().and_then(|items| items.parse().ok());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let mut bench = Bench::new(items.unwrap_or(10_000)).await;
        println!("{} products, {TURNS} turns; times are medians", bench.products.len());
        println!("{:<44} {:>9} {:>9}  COPY / merge [quartiles]", "", "merge", "COPY");
        let written = ["product_offers", "wholesale_items", "cost_history", "outbox"];
        let with_details = [&written[..], &["wholesale_details", "product_variants"]].concat();
        let all = [&with_details[..], &["products", "price_history"]].concat();
        bench.report("new", What::Everything, &all, 1).await;
        bench.report("cost and stock of one in seven", What::OneInSeven, &written, TURNS).await;
        bench.report("cost and stock of all", What::Offer, &written, TURNS).await;
        bench.report("… against all that they have", What::Offer, &all, TURNS).await;
        bench.report("options and details too", What::All, &with_details, TURNS).await;
        bench.report("unchanged", What::Nothing, &[], TURNS).await;
    });
}

impl Bench {
    async fn new(items: usize) -> Self {
        let config = Config { size: 2, ..Config::default() };
        let db = TestDatabase::with_config(&config).await;
        let (client, driver) =
            tokio_postgres::connect(&db.url(), NoTls).await.expect("the server is there");
        tokio::spawn(driver);
        let seller = db.seller("one").await.seller();
        let now = Utc::now();
        let product = |number: usize| (format!("W{number:06X}"), ProductId::new(now, random()));
        let (stage, account) = (Stage::new(db.url()), AccountId::from(Uuid::from_bytes(random())));
        Self { client, stage, seller, account, products: (0..items).map(product).collect(), db }
    }

    /// Turns of both, and how they compare.
    async fn report(&mut self, name: &str, what: What, tables: &[&str], turns: i64) {
        let (mut merges, mut copies, mut ratios) = (vec![], vec![], vec![]);
        for turn in 1..=turns {
            // As PostgreSQL would after so many changes.
            self.client.batch_execute("VACUUM ANALYZE").await.expect("a vacuum");
            // In whole microseconds, as PostgreSQL keeps them.
            let at = DateTime::from_timestamp_micros(Utc::now().timestamp_micros());
            let at = at.expect("now is a moment");
            let merged = self.merge(what, turn, at).await;
            let copied = self.copy(tables, what, turn, at).await;
            merges.push(merged);
            copies.push(copied);
            ratios.push(copied.as_secs_f64() / merged.as_secs_f64());
        }
        merges.sort();
        copies.sort();
        ratios.sort_by(f64::total_cmp);
        let ms = |times: &[Duration]| times[times.len() / 2].as_secs_f64() * 1e3;
        let at = |share: usize| ratios[(ratios.len() - 1) * share / 4];
        let figures = match what {
            What::Nothing => String::new(),
            _ => format!("{:.2} [{:.2}, {:.2}]", at(2), at(1), at(3)),
        };
        println!("{name:<44} {:>6.0} ms {:>6.0} ms  {figures}", ms(&merges), ms(&copies));
    }

    /// Compares, stages and merges page by page, as a collector does.
    async fn merge(&self, what: What, turn: i64, at: DateTime<Utc>) -> Duration {
        let wholesaler = Wholesaler::Ownerclan;
        let source = Source { wholesaler, account: self.account, status: ProductStatus::Draft };
        let pages: Vec<Vec<Staged>> = self
            .changed(what, turn)
            .chunks(PAGE)
            .map(|page| page.iter().map(|item| staged(item, what, turn, at)).collect())
            .collect();
        let began = Instant::now();
        for page in pages {
            let keys = page.iter().map(|row| row.key.clone()).collect();
            let known = known(&self.db.pool, self.seller, wholesaler, keys).await.expect("keys");
            assert!((known.len() == page.len()) != (what == What::Everything), "all, or none");
            if what == What::Nothing {
                continue;
            }
            let rows = page.len();
            // As the collector does: each is compared with what is known of it.
            let compared = |mut row: Staged| {
                row.compared_with = known.get(&row.key).map(|known| known.read_at);
                row
            };
            let page = page.into_iter().map(compared).collect();
            let batch = self.stage.put(self.seller, at, page).await.expect("a COPY");
            let transaction = self.db.pool.begin(self.seller).await.expect("a transaction");
            let merged = merge(&transaction, batch, &source, at).await.expect("a merge");
            let merged = merged.expect("nobody else writes");
            transaction.commit().await.expect("a commit");
            assert_eq!(merged.created + merged.changed, rows as u64);
        }
        began.elapsed()
    }

    /// Those that a turn changes.
    fn changed(&self, what: What, turn: i64) -> Vec<(String, ProductId)> {
        let turn = usize::try_from(turn).expect("turns are few");
        let is_changed = |at: &usize| what != What::OneInSeven || at % 7 == turn % 7;
        let changed = self.products.iter().enumerate().filter(|(at, _)| is_changed(at));
        changed.map(|(_, product)| product.clone()).collect()
    }

    /// The rows that a turn has left.
    async fn copy(&self, tables: &[&str], what: What, turn: i64, at: DateTime<Utc>) -> Duration {
        let mut took = Duration::ZERO;
        for table in tables {
            let again = format!("{table}_again");
            let create = format!(
                "DROP TABLE IF EXISTS {again}; CREATE TABLE {again} (LIKE {table} INCLUDING ALL)"
            );
            self.client.batch_execute(&create).await.expect("a table");
            let which = match (*table, what) {
                ("cost_history", _) => format!("changed_at = '{at}'"),
                ("outbox", _) => format!("occurred_at = '{at}'"),
                ("product_offers", What::OneInSeven) => format!("updated_at = '{at}'"),
                ("wholesale_items", What::OneInSeven) => {
                    let read_at = at + TimeDelta::microseconds(turn);
                    format!("read_at = '{read_at}'")
                }
                _ => "true".to_owned(),
            };
            let select =
                format!("COPY (SELECT * FROM {table} WHERE {which}) TO STDOUT (FORMAT binary)");
            let rows = self.client.copy_out(&select).await.expect("rows");
            let rows = rows.try_fold(BytesMut::new(), |mut all, row| async move {
                all.extend_from_slice(&row);
                Ok(all)
            });
            let mut rows = rows.await.expect("rows").freeze();
            // Columns that are computed are not sent.
            if *table == "products" {
                let columns = "id, seller_id, sku, name, created_at, brand, wholesaler, status";
                let select =
                    format!("COPY (SELECT {columns} FROM {table}) TO STDOUT (FORMAT binary)");
                let some = self.client.copy_out(&select).await.expect("rows");
                let some = some.try_fold(BytesMut::new(), |mut all, row| async move {
                    all.extend_from_slice(&row);
                    Ok(all)
                });
                rows = some.await.expect("rows").freeze();
            }
            let columns = match *table {
                "products" => " (id, seller_id, sku, name, created_at, brand, wholesaler, status)",
                _ => "",
            };
            let began = Instant::now();
            let copy = format!("COPY {again}{columns} FROM STDIN (FORMAT binary)");
            let sink = self.client.copy_in(&copy).await.expect("a COPY");
            let mut sink = std::pin::pin!(sink);
            while !rows.is_empty() {
                let chunk = rows.split_to(rows.len().min(64 << 10));
                sink.send(chunk).await.expect("rows go in");
            }
            let copied = sink.finish().await.expect("rows are in");
            took += began.elapsed();
            assert!(copied >= self.changed(what, turn).len() as u64, "{table}: {copied}");
            self.client.batch_execute(&format!("DROP TABLE {again}")).await.expect("no table");
        }
        took
    }
}

fn staged(
    (key, product): &(String, ProductId),
    what: What,
    turn: i64,
    at: DateTime<Utc>,
) -> Staged {
    let number = i64::from_str_radix(&key[1..], 16).expect("it is hexadecimal");
    let is_new = what == What::Everything;
    let with_details = matches!(what, What::Everything | What::All);
    let detail = || Detail {
        name: format!("무선 블루투스 이어폰 {number} 방수 스포츠 {}", number * 7 % 1_000),
        category: Some(("00012345".to_owned(), "생활/주방 > 컵 > 텀블러".to_owned())),
        images: json!([format!("https://img.example.com/{number}/{turn}.jpg")]),
        description: Some("<p>상품 설명입니다.</p>".repeat(10)),
        tiers: json!([]),
        raw: json!({ "origin": "대한민국", "shippingFee": 3_000, "turn": turn }),
    };
    let variant = |of: i64| Variant {
        sku: format!("{of:02}"),
        name: format!("색상 {of}"),
        extra_amount: of * 100,
        extra_cost_amount: Some(of * 70 + turn),
        wholesale_stock: Some(turn + of),
    };
    Staged {
        product: *product,
        compared_with: None,
        changes_offer: true,
        key: key.clone(),
        sku: format!("ownerclan-{key}"),
        cost_amount: Some(1_000 + number % 90_000 + turn + if with_details { 100 } else { 0 }),
        wholesale_stock: Some(number % 1_000 + turn),
        availability: "on_sale",
        price: is_new.then_some(1_500 + number % 90_000),
        offer_hash: turn * 1_000_000 + number,
        detail_hash: turn,
        // Each turn is read after the one before.
        read_at: at + TimeDelta::microseconds(turn),
        variants: if with_details { (0..2).map(variant).collect() } else { vec![] },
        had_variants: with_details && !is_new,
        detail: with_details.then(detail),
    }
}
