//! The real orders, whole, against sums made here from the same file by other means.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};

use chrono::{Duration, NaiveDateTime};
use jebi_db_optimizer::orders;
use jebi_db_optimizer::testing::TestDatabase;
use jebi_domain::{At, OrderFilter, PageNumber, PageSize};

use crate::process::{jebi, stderr};

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/online_retail.csv.zst")
}

fn start(db: &TestDatabase, file: &Path) -> Child {
    let mut import = jebi(&db.url());
    import.env("JEBI_LOG", "warn").args(["import", "--seller", "demo"]).arg(file);
    import.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn import(db: &TestDatabase, file: &Path) -> Output {
    start(db, file).wait_with_output().unwrap()
}

#[track_caller]
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// All that an import leaves behind, but for ids and for when it was done. Sums of hashes do not care in
/// which order rows come.
async fn state(db: &TestDatabase) -> Vec<i64> {
    let tables = [
        "SELECT o.platform_order_id, o.order_number, o.status, o.currency, o.items_count,
                o.total_amount, o.created_at, h.status, h.reason
         FROM orders AS o JOIN order_history AS h ON h.order_id = o.id",
        "SELECT o.order_number, i.line_no, i.sku, i.product_name, i.quantity, i.price, p.sku
         FROM order_items AS i JOIN orders AS o ON o.id = i.order_id
         JOIN products AS p ON p.id = i.product_id",
        "SELECT c.platform_claim_id, c.kind, c.total_amount, c.created_at, i.line_no, i.sku,
                i.quantity, i.price
         FROM claims AS c JOIN claim_items AS i ON i.claim_id = c.id",
        "SELECT p.sku, p.name, p.created_at, o.price, o.currency
         FROM products AS p JOIN product_offers AS o ON o.product_id = p.id",
        "SELECT p.sku, h.changed_at, h.price FROM price_history AS h
         JOIN products AS p ON p.id = h.product_id",
        "SELECT grain, bucket, platform, status, currency, orders, amount FROM order_totals",
        "SELECT grain, bucket, status, products FROM product_totals",
        "SELECT id FROM order_total_deltas",
    ];
    let mut state = Vec::new();
    for table in tables {
        let hash = "sum(hashtextextended(row::text, 0) % 1000000007)::bigint";
        state.push(db.number(&format!("SELECT count(*) FROM ({table}) AS row")).await);
        state.push(db.number(&format!("SELECT coalesce({hash}, 0) FROM ({table}) AS row")).await);
    }
    state
}

/// What the file says of one invoice: lines, pence, first time.
#[derive(Debug, PartialEq, Eq)]
struct Invoice {
    lines: i64,
    pence: i64,
    first: i64,
}

/// The sales of the file: invoices of digits with positive quantities; and their sum in tenths of a
/// penny.
fn sales() -> (HashMap<String, Invoice>, i64) {
    let file = std::fs::File::open(sample()).unwrap();
    let mut rows = csv::Reader::from_reader(zstd::Decoder::new(file).unwrap());
    let (mut sales, mut mills) = (HashMap::new(), 0);
    for row in rows.records().map(Result::unwrap) {
        let quantity: i64 = row[3].parse().unwrap();
        if quantity < 0 || !row[0].starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        let (pounds, fraction) = row[5].split_once('.').unwrap_or((&row[5], ""));
        let price: i64 = format!("{pounds}{fraction:0<3}").parse().unwrap();
        mills += quantity * price;
        let local = NaiveDateTime::parse_from_str(&row[4], "%F %T").unwrap();
        // British Summer Time 2011: 27 March to 30 October.
        let is_summer = ("2011-03-27".."2011-10-30").contains(&&row[4][..10]);
        let time = local - Duration::hours(i64::from(is_summer));
        let first = time.and_utc().timestamp();
        let sale = sales.entry(row[0].to_owned()).or_insert(Invoice { lines: 0, pence: 0, first });
        sale.lines += 1;
        sale.pence += quantity * ((price + 5) / 10);
        sale.first = sale.first.min(first);
    }
    (sales, mills)
}

async fn facts(db: &TestDatabase, facts: &[(&str, i64)]) {
    for (sql, expected) in facts {
        assert_eq!(db.number(&format!("SELECT {sql}")).await, *expected, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_file_becomes_what_it_says_and_twice_is_once() {
    let db = TestDatabase::new().await;
    let keys = db.seller("demo").await;
    let said = done(&import(&db, &sample()));
    assert!(said.contains("imported 20725 orders with 531282 lines and 5175 claims"), "{said}");
    let rounded: Vec<&str> = said.lines().filter(|line| line.starts_with("rounded ")).collect();
    assert_eq!(rounded.len(), 4, "{said}");
    assert!(rounded.iter().all(|line| line.contains("costs 0.001, stored as 0 pence")), "{said}");

    let (sales, mills) = sales();
    assert_eq!(mills, 10_655_622_484);
    let stored = "SELECT string_agg(platform_order_id || ' ' || items_count || ' ' || total_amount
                      || ' ' || extract(epoch FROM created_at)::bigint, ',') FROM orders";
    let stored: HashMap<String, Invoice> = db
        .text(stored)
        .await
        .split(',')
        .map(|order| {
            let fields: Vec<&str> = order.split(' ').collect();
            let number = |at: usize| fields[at].parse().unwrap();
            (fields[0].to_owned(), Invoice { lines: number(1), pence: number(2), first: number(3) })
        })
        .collect();
    assert!(stored == sales, "the orders are not the file's invoices");

    facts(
        &db,
        &[
            ("count(*) FROM orders WHERE platform = 'direct' AND status = 'delivered'", 20_725),
            ("count(*) FROM order_items", 531_282),
            ("sum(total_amount)::bigint FROM orders WHERE currency = 'GBP'", 1_065_562_248),
            ("sum(quantity * price)::bigint FROM order_items", 1_065_562_248),
            ("count(*) FROM orders WHERE total_amount = 0", 766),
            ("count(*) FROM claims WHERE kind = 'cancel'", 3_836),
            ("sum(total_amount)::bigint FROM claims WHERE kind = 'cancel'", -89_681_249),
            ("count(*) FROM claims WHERE kind = 'adjustment'", 3),
            ("sum(total_amount)::bigint FROM claims WHERE kind = 'adjustment'", -1_106_206),
            ("count(*) FROM claims WHERE kind = 'write_off'", 1_336),
            ("sum(total_amount)::bigint FROM claims WHERE kind = 'write_off'", 0),
            ("count(*) FROM claim_items", 9_288 + 3 + 1_336),
            ("count(*) FROM products", 4_070),
            ("count(*) FROM products WHERE sku = name", 112),
            ("count(*) FROM product_offers WHERE price > 0", 3_920),
            ("count(*) FROM product_offers WHERE price IS NULL", 150),
            ("count(*) FROM price_history", 187_695),
        ],
    )
    .await;
    let name = "SELECT name FROM products WHERE sku = '85123A'";
    assert_eq!(db.text(name).await, "WHITE HANGING HEART T-LIGHT HOLDER");
    // The codes are told apart by case.
    let cased = "count(*) FROM products WHERE sku IN ('15056BL', '15056bl')";
    facts(&db, &[(cased, 2)]).await;

    let (mut nameless, mut at) = (0, At::Page(PageNumber::first()));
    let size = PageSize::new(100).unwrap();
    loop {
        let page = orders::page(&db.pool, &keys, &OrderFilter::default(), at, size).await.unwrap();
        nameless += page.items.iter().filter(|order| order.customer.name.is_none()).count();
        match page.next {
            Some(next) => at = At::After(next),
            None => break,
        }
    }
    assert_eq!(nameless, 2_189);

    let once = state(&db).await;
    let said = done(&import(&db, &sample()));
    assert!(said.contains("imported 0 orders with 0 lines and 0 claims"), "{said}");
    assert!(said.contains("20725 orders and 5175 claims were there already"), "{said}");
    assert_eq!(state(&db).await, once);

    // Two at once, and one that is killed half-way and done again, end in the same state.
    let db = TestDatabase::new().await;
    db.seller("demo").await;
    let (first, second) = (start(&db, &sample()), start(&db, &sample()));
    done(&first.wait_with_output().unwrap());
    done(&second.wait_with_output().unwrap());
    assert_eq!(state(&db).await, once);

    let db = TestDatabase::new().await;
    db.seller("demo").await;
    let mut killed = start(&db, &sample());
    while db.number("SELECT count(*) FROM orders").await < 5_000 {
        assert!(killed.try_wait().unwrap().is_none(), "it was done before it could be killed");
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(db.number("SELECT count(*) FROM orders").await < 20_725);
    done(&import(&db, &sample()));
    assert_eq!(state(&db).await, once);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn an_import_takes_less_than_150_mb() {
    let db = TestDatabase::new().await;
    db.seller("demo").await;
    let mut child = start(&db, &sample());
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kb = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak_kb = peak_kb.max(peak.unwrap_or(0));
        tokio::task::yield_now().await;
    }
    assert!(peak_kb > 5_000 && peak_kb < 150_000, "{peak_kb} kB");
    assert_eq!(db.number("SELECT count(*) FROM orders").await, 20_725);
}

fn file(name: &str, content: &[u8]) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("jebi-import-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

const HEADER: &str =
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country";

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_row_is_named_and_the_rest_imported() {
    let db = TestDatabase::new().await;
    db.seller("demo").await;
    let rows = [
        HEADER,
        "1,A,apple,2,2011-01-01 10:00:00,1.50,1.0,EIRE",
        "1,B,pear,x,2011-01-01 10:00:00,1.50,1.0,EIRE",
        "2,A,\"a \"\"big\"\" apple, red\",1,2011-01-01 10:01:00,1.50,,EIRE",
        "3,A,apple",
        "2,B,pear,3,2011-01-01 10:02:00,2.00,,EIRE",
        "4,A,apple,-1,2011-01-01 10:03:00,0,,EIRE",
        "4,A,apple,1,2011-01-01 10:03:00,1.00,,EIRE",
        "5,A,apple,1,2011-01-01 10:04:00,-1.00,,EIRE",
        "6,\"A,apple,1,2011-01-01 10:05:00,1.00,,EIRE",
        "7,A,apple,1000000,2011-01-01 10:06:00,9000000,,EIRE",
        "7,A,apple,1000000,2011-01-01 10:06:00,9000000,,EIRE",
        "8,A,apple,1,2011-01-01 10:07:00,1.00,,EIRE",
    ];
    let path = file("broken.csv", rows.join("\n").as_bytes());
    let output = import(&db, &path);
    assert!(!output.status.success());
    let said = stderr(&output);
    for expected in [
        "line 3: Quantity is not a whole number",
        "line 5: does not have 8 columns",
        "line 7: a line of an order must have a positive quantity and no negative price",
        "line 9: a line of an order must have a positive quantity and no negative price",
        "line 10: has a quote that is not closed",
        "line 12: the sum of invoice 7 is too large",
        "error: 7 of 12 rows could not be imported",
    ] {
        assert!(said.contains(expected), "{expected} is missing in {said}");
    }
    let stored = "SELECT string_agg(order_number || ':' || items_count || ':' || total_amount, ' '
                      ORDER BY order_number) FROM orders";
    assert_eq!(db.text(stored).await, "1:1:300 2:2:750 4:1:100 8:1:100");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_none_of_orders_is_refused_in_one_sentence() {
    let db = TestDatabase::new().await;
    db.seller("demo").await;
    let packed = zstd::encode_all(&b"\0\x01\x02 no csv"[..], 1).unwrap();
    for (name, content) in [
        ("other.csv", &b"a,b,c\n1,2,3\n"[..]),
        ("empty.csv", b""),
        ("binary.csv", b"\0\xff\xfe\x01"),
        ("plain.csv.zst", HEADER.as_bytes()),
        ("binary.csv.zst", &packed),
    ] {
        let output = import(&db, &file(name, content));
        assert!(!output.status.success(), "{name}");
        let said = stderr(&output);
        assert_eq!(said.lines().count(), 1, "{name}: {said}");
        assert!(said.contains("is not a CSV file of orders"), "{name}: {said}");
    }
    let missing = import(&db, Path::new("/nowhere/at-all.csv"));
    assert!(stderr(&missing).starts_with("error: cannot read /nowhere/at-all.csv"));
    let stranger =
        jebi(&db.url()).args(["import", "--seller", "nobody"]).arg(sample()).output().unwrap();
    assert!(
        stderr(&stranger)
            .contains("there is no seller nobody; add them by `jebi seller add nobody`")
    );
    assert_eq!(db.number("SELECT count(*) FROM orders").await, 0);
}
