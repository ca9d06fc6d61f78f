use jebi_db_optimizer::testing::TestDatabase;

use crate::process::{jebi, stderr};

fn seed(db: &TestDatabase, arguments: &[&str]) -> String {
    let mut command = jebi(&db.url());
    command.env("JEBI_LOG", "warn").args(["seed", "--seller", "demo"]).args(arguments);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// What a seed made, but for the ids of variants and listings and the sealed customers.
async fn made(db: &TestDatabase) -> Vec<i64> {
    let mut sums = Vec::new();
    for rows in [
        "SELECT o.id, o.order_number, o.platform, o.status, o.total_amount, o.created_at, i.line_no,
                i.product_id, i.sku, i.product_name, i.quantity, i.price
         FROM orders AS o JOIN order_items AS i ON i.order_id = o.id",
        "SELECT p.id, p.sku, p.name, p.brand, p.wholesaler, p.status, o.price, o.stock
         FROM products AS p JOIN product_offers AS o ON o.product_id = p.id",
        "SELECT v.product_id, v.sku, v.name, v.stock FROM product_variants AS v",
        "SELECT l.product_id, l.platform_product_id FROM platform_listings AS l",
    ] {
        let sum = "sum(hashtextextended(row::text, 0) % 1000000007)::bigint";
        sums.push(db.number(&format!("SELECT {sum} FROM ({rows}) AS row")).await);
    }
    sums
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_makes_the_same_world_twice_and_adds_nothing_the_second_time() {
    let db = TestDatabase::new().await;
    db.seller("demo").await;
    let said = seed(&db, &["--products", "400", "--orders", "6000"]);
    assert!(said.starts_with("seeded 400 products and 6000 orders with "), "{said}");
    let first = made(&db).await;
    let said = seed(&db, &["--products", "400", "--orders", "6000"]);
    assert!(said.starts_with("seeded 0 products and 0 orders with 0 lines"), "{said}");
    assert_eq!(made(&db).await, first);

    let again = TestDatabase::new().await;
    again.seller("demo").await;
    seed(&again, &["--products", "400", "--orders", "6000"]);
    assert_eq!(made(&again).await, first);

    // Skewed as real orders are, on all platforms, and every line's product is there.
    let share = async |condition: &str| {
        db.number(&format!("SELECT count(*) FROM orders WHERE {condition}")).await
    };
    assert!((5_200..5_540).contains(&share("status = 'delivered'").await));
    assert!((5..60).contains(&share("status = 'pending'").await));
    for platform in ["coupang", "naver", "11st", "direct"] {
        assert!(share(&format!("platform = '{platform}'")).await > 300, "{platform}");
    }
    let strangers = "SELECT count(*) FROM order_items AS i WHERE NOT EXISTS (
        SELECT FROM products AS p WHERE p.id = i.product_id AND p.sku = i.sku AND p.name = i.product_name)";
    assert_eq!(db.number(strangers).await, 0);
    assert!(db.number("SELECT count(*) FROM order_search").await > 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_sellers_share_a_seed_and_the_first_has_most() {
    let arguments = ["--products", "300", "--orders", "1100", "--sellers", "3"];
    let db = TestDatabase::new().await;
    db.seller("demo").await;
    let said = seed(&db, &arguments);
    assert!(said.starts_with("seeded 300 products and 1100 orders with "), "{said}");
    let shares = "SELECT string_agg(s.name || ' ' || n, ', ' ORDER BY s.name)
                  FROM (SELECT seller_id, count(*) AS n FROM orders GROUP BY 1) AS o
                  JOIN sellers AS s ON s.id = seller_id";
    assert_eq!(db.text(shares).await, "demo 600, demo-2 300, demo-3 200");
    let strangers = "SELECT count(*) FROM order_items AS i WHERE NOT EXISTS (
        SELECT FROM products AS p WHERE p.id = i.product_id AND p.seller_id = i.seller_id)";
    assert_eq!(db.number(strangers).await, 0);
    let first = made(&db).await;
    let said = seed(&db, &arguments);
    assert!(said.starts_with("seeded 0 products and 0 orders with 0 lines"), "{said}");
    assert_eq!(made(&db).await, first);
}
