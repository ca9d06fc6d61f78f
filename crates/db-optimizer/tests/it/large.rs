//! One seller with a million orders and a million products, skewed like real ones, made by SQL.

use jebi_db_optimizer::housekeeping;
use jebi_db_optimizer::testing::TestDatabase;
use jebi_domain::SellerId;

/// So many orders, and so many products.
pub(crate) const ROWS: u64 = 1_000_000;

/// The first day of the orders, which go on for [`DAYS`].
pub(crate) const FIRST_DAY: &str = "2024-11-01T00:00:00+09:00";

pub(crate) const DAYS: u64 = 730;

/// A day, counted from the first, on which one order in thirty is placed.
pub(crate) const PEAK: u64 = 400;

/// Orders of all statuses and platforms, their rows not in the order of time.
pub(crate) async fn orders(db: &TestDatabase, seller: SellerId) {
    let insert = format!(
        "INSERT INTO orders (id, seller_id, platform, platform_account_id, platform_order_id,
             order_number, status, currency, items_count, items_amount, total_amount, customer,
             created_at)
         SELECT gen_random_uuid(), '{seller}',
                CASE WHEN hash / 1000 % 1000 < 450 THEN 'coupang' WHEN hash / 1000 % 1000 < 800 THEN 'naver'
                     WHEN hash / 1000 % 1000 < 920 THEN '11st' ELSE 'direct' END,
                account.id, n, n,
                CASE WHEN hash % 1000 < 895 THEN 'delivered' WHEN hash % 1000 < 899 THEN 'pending'
                     WHEN hash % 1000 < 905 THEN 'confirmed' WHEN hash % 1000 < 917 THEN 'paid'
                     WHEN hash % 1000 < 927 THEN 'processing' WHEN hash % 1000 < 947 THEN 'shipped'
                     WHEN hash % 1000 < 975 THEN 'cancelled' WHEN hash % 1000 < 987 THEN 'returned'
                     WHEN hash % 1000 < 998 THEN 'refunded' ELSE 'failed' END,
                'KRW', 1, 1000, 1000, '',
                '{FIRST_DAY}'::timestamptz + CASE
                    WHEN n % 30 = 0 THEN {PEAK} * interval '1 day' + n * interval '1 day' / {ROWS}
                    ELSE (n * 7919 % {ROWS}) * interval '1 day' * {DAYS} / {ROWS} END
         FROM (SELECT n, abs(hashint8(n)::bigint) AS hash FROM generate_series(1::bigint, {ROWS}) AS n)
                  AS made,
              (SELECT id FROM platform_accounts WHERE seller_id = '{seller}') AS account"
    );
    fill(db, &[("orders", &insert)]).await;
}

/// Products, of which one in five is called 무선, on all days of three years.
pub(crate) async fn products(db: &TestDatabase, seller: SellerId) {
    let products = format!(
        "INSERT INTO products (id, seller_id, sku, name, brand, wholesaler, status, created_at)
         SELECT gen_random_uuid(), '{seller}', 'S' || n,
                (ARRAY['무선', '가죽', '여름', '캠핑', '방수'])[1 + hash % 5]
                    || (ARRAY['이어폰', '지갑', '텀블러', '의자'])[1 + hash / 5 % 4] || ' ' || n,
                CASE WHEN hash / 20 % 10 < 7 THEN '상표 ' || hash / 200 % 40 END,
                (ARRAY['ownerclan', 'zentrade', 'domeggook', NULL])[1 + hash / 8000 % 4],
                CASE WHEN hash / 32000 % 1000 < 900 THEN 'active' WHEN hash / 32000 % 1000 < 950 THEN 'paused'
                     WHEN hash / 32000 % 1000 < 980 THEN 'draft' ELSE 'discontinued' END,
                '2023-11-01 00:00+09'::timestamptz
                    + (n * 7919 % {ROWS}) * interval '1 day' * 3 * 365 / {ROWS}
         FROM (SELECT n, abs(hashint8(n)::bigint) AS hash FROM generate_series(1::bigint, {ROWS}) AS n)
             AS made"
    );
    let offers = "INSERT INTO product_offers (product_id, seller_id, currency, price, stock)
         SELECT id, seller_id, 'KRW', 1000 + 100 * (hash % 600),
                CASE WHEN hash / 600 % 1000 < 30 THEN 0 WHEN hash / 600 % 1000 < 100 THEN 1 + hash % 10
                     ELSE 11 + hash % 500 END
         FROM (SELECT id, seller_id, abs(hashtext(sku)::bigint) AS hash FROM products) AS made";
    fill(db, &[("products", &products), ("product_offers", offers)]).await;
}

/// Fills tables while their indexes and foreign keys are away, and leaves them as a bulk load does: totals
/// folded, rows known to be visible to all. Foreign keys stay away.
async fn fill(db: &TestDatabase, inserts: &[(&str, &str)]) {
    for (table, insert) in inserts {
        let parts = |of: &str| {
            format!(
                "SELECT coalesce(string_agg({of}, '; '), '') FROM pg_index
                 WHERE indrelid = '{table}'::regclass AND NOT indisunique"
            )
        };
        let again = db.text(&parts("pg_get_indexdef(indexrelid)")).await;
        db.run(&db.text(&parts("'DROP INDEX ' || indexrelid::regclass")).await).await;
        let keys = format!(
            "SELECT coalesce(string_agg('ALTER TABLE {table} DROP CONSTRAINT ' || quote_ident(conname), '; '),
                 '') FROM pg_constraint WHERE conrelid = '{table}'::regclass AND contype = 'f'"
        );
        db.run(&db.text(&keys).await).await;
        db.run(insert).await;
        db.run(&again).await;
    }
    housekeeping::fold_totals(&db.pool).await.unwrap();
    db.run("VACUUM ANALYZE").await;
    // A connection that is just being made, to whatever database, keeps VACUUM from seeing rows as visible
    // to all.
    let unseen = "SELECT count(*) FROM pg_class
                  WHERE relname IN ('orders', 'order_totals', 'order_counts', 'products',
                                    'product_offers', 'product_totals') AND relallvisible < relpages";
    while db.number(unseen).await > 0 {
        db.run("VACUUM").await;
    }
}
