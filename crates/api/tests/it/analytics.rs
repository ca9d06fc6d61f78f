use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use futures::future::join_all;
use jebi_db_optimizer::testing::{Numbers, TestDatabase, run_as_service};
use jebi_db_optimizer::{Config, housekeeping};
use jebi_domain::{Scopes, SellerKeys};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::app::{PRODUCTS, TestApp, add_key, add_product, order_body, post};
use crate::http::Request;
use crate::process::Served;

const ANALYTICS: &str = "/api/v1/orders-optimized/analytics/performance";

/// The whole answer, added up from the orders and products themselves; `to` is the last day.
async fn expected(db: &TestDatabase, seller: &str, days: u64, to: &str) -> Value {
    let sums = "'orders', count(*), 'amount', sum(total_amount)";
    let sql = format!(
        "WITH seller AS (SELECT id FROM sellers WHERE name = '{seller}'),
         within AS (
             SELECT *, (created_at AT TIME ZONE 'Asia/Seoul')::date AS day FROM orders
             WHERE seller_id = (SELECT id FROM seller)
               AND (created_at AT TIME ZONE 'Asia/Seoul')::date
                   BETWEEN '{to}'::date - {days} + 1 AND '{to}'::date
         ),
         earned AS (
             SELECT * FROM within WHERE status NOT IN ('cancelled', 'refunded', 'returned', 'failed')
         ),
         daily AS (
             SELECT currency, json_agg(json_build_object('date', date, 'orders', orders,
                        'amount', amount) ORDER BY date) AS days
             FROM (
                 SELECT c.currency, date::date, count(id) AS orders,
                        coalesce(sum(total_amount), 0) AS amount
                 FROM (SELECT DISTINCT currency FROM earned) AS c CROSS JOIN
                      generate_series('{to}'::date - {days} + 1, '{to}'::date, interval '1 day') AS date
                      LEFT JOIN earned AS e ON e.currency = c.currency AND e.day = date::date
                 GROUP BY c.currency, date
             ) AS of_day GROUP BY currency
         )
         SELECT json_build_object(
             'days', {days}, 'from', '{to}'::date - {days} + 1, 'to', '{to}'::date,
             'order_stats', (SELECT json_build_object('total', coalesce(sum(n), 0), 'by_status',
                 coalesce(json_object_agg(status, n), '{{}}'))
                 FROM (SELECT status, count(*) AS n FROM within GROUP BY status) AS s),
             'revenue_stats', (SELECT coalesce(json_agg(r ORDER BY r ->> 'currency' COLLATE \"C\"), '[]')
                 FROM (SELECT json_build_object('currency', currency, {sums}, 'daily',
                           (SELECT days FROM daily WHERE daily.currency = earned.currency)) AS r
                       FROM earned GROUP BY currency) AS r),
             'platform_stats', (SELECT coalesce(json_agg(r ORDER BY platform, currency), '[]')
                 FROM (SELECT platform, currency, json_build_object('platform', platform,
                           'currency', currency, {sums}) AS r
                       FROM earned GROUP BY platform, currency) AS r),
             'product_stats', (SELECT json_build_object('total', coalesce(sum(n), 0), 'by_status',
                 coalesce(json_object_agg(status, n), '{{}}'))
                 FROM (SELECT status, count(*) AS n FROM products
                       WHERE seller_id = (SELECT id FROM seller) GROUP BY status) AS s)
         )::text"
    );
    serde_json::from_str(&db.text(&sql).await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn analytics_are_the_sums_of_plain_sql() {
    let app = TestApp::new().await;
    for _ in 0..3 {
        app.order().await;
    }
    let mut pounds = order_body();
    pounds["currency"] = json!("GBP");
    let path = app.post("gbp", &pounds).await.expect(201).header("location").unwrap().to_owned();
    app.patch(&path, &json!({ "status": "cancelled" })).await.expect(200);
    app.post("gbp-2", &pounds).await.expect(201);
    // Orders of other days, on both sides of the first and of midnight in Seoul.
    app.db
        .run(
            "INSERT INTO orders (id, seller_id, platform, platform_account_id, platform_order_id,
                 order_number, status, currency, items_count, items_amount, total_amount, customer,
                 created_at)
             SELECT gen_random_uuid(), seller_id, (ARRAY['coupang', 'naver', '11st'])[1 + n % 3],
                    id, 'n' || n, 'n' || n,
                    (ARRAY['paid', 'delivered', 'returned', 'refunded'])[1 + n % 4],
                    (ARRAY['KRW', 'GBP'])[1 + n % 2], 1, n, n, '', now() - n * interval '11 hours'
             FROM platform_accounts, generate_series(1, 60) AS n WHERE kind = 'direct'",
        )
        .await;
    for days in [1, 2, 7, 30, 365] {
        let body = app.get(&format!("{ANALYTICS}?days={days}")).await.expect(200).json();
        let to = body["to"].as_str().unwrap();
        assert_eq!(body, expected(&app.db, "demo", days, to).await, "{days} days");
        assert_eq!(body["product_stats"], json!({ "total": 1, "by_status": { "active": 1 } }));
    }
    for (days, status) in [("0", 422), ("366", 422), ("-1", 422), ("week", 400)] {
        let response = app.get(&format!("{ANALYTICS}?days={days}")).await;
        assert_eq!(response.status, status, "{days}");
        assert_eq!(response.fields(), ["days"]);
    }
    let other = app.key_of("other", jebi_domain::Scope::ALL).await;
    let theirs = app.send(Request::new("GET", ANALYTICS).key(&other)).await.json();
    assert_eq!(
        (&theirs["order_stats"]["total"], &theirs["revenue_stats"]),
        (&json!(0), &json!([]))
    );
}

/// A seller with a key and a product.
struct Shop {
    name: String,
    keys: SellerKeys,
    api_key: String,
    product: String,
}

impl Shop {
    async fn open(db: &TestDatabase, n: usize) -> Self {
        let name = format!("shop {n}");
        let api_key = add_key(db, &name, Scopes::all_of_a_seller()).await.0;
        add_product(db, &name, "TEA-1").await;
        let keys = db.seller(&name).await;
        let id = format!("SELECT id::text FROM products WHERE seller_id = '{}'", keys.seller());
        let product = format!("{PRODUCTS}{}", db.text(&id).await);
        Self { name, keys, api_key, product }
    }
}

/// Writes that were acknowledged, of those that are wanted.
struct Count {
    done: AtomicU64,
    wanted: u64,
    /// Told at half of them.
    half: Notify,
}

impl Count {
    fn of(wanted: u64) -> Self {
        Self { done: AtomicU64::new(0), wanted, half: Notify::new() }
    }

    fn add(&self) {
        if self.done.fetch_add(1, SeqCst) + 1 == self.wanted / 2 {
            self.half.notify_one();
        }
    }

    fn is_enough(&self) -> bool {
        self.done.load(SeqCst) >= self.wanted
    }
}

/// Orders and changes through a service, wherever that listens at the time; says how many writes were not
/// answered.
async fn call(
    shops: &[Shop],
    count: &Count,
    mut at: watch::Receiver<String>,
    mut numbers: Numbers,
) -> u64 {
    let mut unanswered = 0;
    while !count.is_enough() {
        let shop = &shops[usize::try_from(numbers.below(shops.len() as u64)).unwrap()];
        let address = at.borrow_and_update().clone();
        let mut body = order_body();
        body["currency"] = json!(numbers.one_of(&["KRW", "GBP"]));
        body["items"][0]["price"] = json!(numbers.below(100_000));
        let key = format!("{}-{}", numbers.below(u64::from(u32::MAX)), numbers.below(1 << 31));
        let created = post(&shop.api_key, &key, &body).try_send(&address).await;
        let mut answers = vec![created.clone()];
        if let Some(order) = created.as_ref().and_then(|created| created.header("location")) {
            let status = numbers.one_of(&["confirmed", "cancelled"]);
            let change = Request::new("PATCH", order).json(&json!({ "status": status }));
            answers.push(change.key(&shop.api_key).try_send(&address).await);
        }
        let status = numbers.one_of(&["active", "paused", "draft"]);
        let change = Request::new("PATCH", &shop.product).json(&json!({ "status": status }));
        answers.push(change.key(&shop.api_key).try_send(&address).await);
        for answer in &answers {
            if answer.as_ref().is_some_and(|answer| answer.status < 300) {
                count.add();
            }
        }
        if answers.contains(&None) {
            unanswered += 1;
            assert_eq!(unanswered, 1, "one service is killed, the next one answers");
            at.wait_for(|now| *now != address).await.unwrap();
        }
    }
    unanswered
}

/// Orders of any day and changes of them, straight into the tables. Few of them may be torn down.
async fn write(db: &TestDatabase, shops: &[Shop], count: &Count, mut numbers: Numbers) {
    let mut torn = 0;
    while !count.is_enough() {
        let seller =
            shops[usize::try_from(numbers.below(shops.len() as u64)).unwrap()].keys.seller();
        let status = numbers.one_of(&[
            "pending",
            "paid",
            "shipped",
            "delivered",
            "cancelled",
            "refunded",
            "returned",
            "failed",
        ]);
        let sql = match numbers.below(3) {
            0 => format!(
                "UPDATE orders SET status = '{status}', items_amount = items_amount + 7,
                     total_amount = total_amount + 7, version = version + 1
                 WHERE seller_id = '{seller}' AND id = (
                     SELECT id FROM orders WHERE seller_id = '{seller}' ORDER BY id DESC
                     OFFSET {} LIMIT 1)",
                numbers.below(20)
            ),
            _ => format!(
                "INSERT INTO orders (id, seller_id, platform, platform_account_id, platform_order_id,
                     order_number, status, currency, items_count, items_amount, total_amount, customer,
                     created_at)
                 SELECT id, '{seller}', '{}', account, id, id, '{status}', '{}', 1, {amount}, {amount}, '',
                        now() - {} * interval '1 second'
                 FROM (SELECT gen_random_uuid() AS id, id AS account FROM platform_accounts
                       WHERE seller_id = '{seller}') AS new",
                numbers.one_of(&["coupang", "naver", "11st", "direct"]),
                numbers.one_of(&["KRW", "GBP", "USD"]),
                numbers.below(400 * 86_400),
                amount = numbers.below(1_000_000),
            ),
        };
        let gives_up = numbers.below(20) == 0;
        let done: Result<(), String> = async {
            let transaction = db.pool.begin(seller).await.map_err(|error| error.to_string())?;
            run_as_service(&transaction, &sql).await?;
            let ended =
                if gives_up { transaction.rollback().await } else { transaction.commit().await };
            ended.map_err(|error| error.to_string())
        }
        .await;
        match done {
            Ok(()) if gives_up => {}
            Ok(()) => count.add(),
            Err(error) => {
                torn += 1;
                assert!(torn < 100, "{error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn analytics_are_exact_after_ten_thousand_writes_and_a_crash_in_the_middle() {
    const SHOPS: usize = 50;
    let db = TestDatabase::with_config(&Config { size: 6, ..Config::default() }).await;
    let mut shops = Vec::new();
    for n in 0..SHOPS {
        shops.push(Shop::open(&db, n).await);
    }
    let mut numbers = Numbers::fresh();
    let mut more = || Numbers::new(numbers.below(1 << 31));
    let (called, written) = (Count::of(3_000), Count::of(7_000));
    let mut doomed = Served::start(&db.url());
    let (moved, at) = watch::channel(doomed.address.clone());
    let done = AtomicBool::new(false);

    let callers = join_all((0..4).map(|_| call(&shops, &called, at.clone(), more())));
    let writers = join_all((0..4).map(|_| write(&db, &shops, &written, more())));
    let writing = async {
        let ended = futures::join!(callers, writers);
        done.store(true, SeqCst);
        ended
    };
    let folding = async {
        // A fold that is torn down is done by the next one.
        while !done.load(SeqCst) {
            let _torn = housekeeping::fold_totals(&db.pool).await;
        }
    };
    let crashing = async {
        called.half.notified().await;
        doomed.kill();
        let next = Served::start(&db.url());
        moved.send_replace(next.address.clone());
        next
    };
    let tearing = async {
        written.half.notified().await;
        // Whatever is in the middle of something, until something was.
        let tear = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE datname = current_database() AND pid <> pg_backend_pid()
                      AND usename = current_user AND backend_type = 'client backend'
                      AND state = 'idle in transaction'";
        while db.number(tear).await == 0 {}
    };
    let ((unanswered, _), (), next, ()) = futures::join!(writing, folding, crashing, tearing);
    assert!(unanswered.iter().sum::<u64>() > 0, "the kill met writes in flight");

    assert!(db.number("SELECT count(*) FROM orders").await > 4_000);
    for _ in 0..SHOPS {
        let shop = &shops[usize::try_from(numbers.below(SHOPS as u64)).unwrap()];
        let days = 1 + numbers.below(365);
        let get = Request::new("GET", &format!("{ANALYTICS}?days={days}")).key(&shop.api_key);
        let body = get.send(&next.address).await.expect(200).json();
        let to = body["to"].as_str().unwrap();
        assert_eq!(body, expected(&db, &shop.name, days, to).await, "{} {days}", shop.name);
    }
}
