//! A database with rows in every table that the catalogue has indexes of.

use jebi_db_optimizer::housekeeping;
use jebi_db_optimizer::testing::TestDatabase;
use jebi_domain::{SellerId, SellerKeys};

/// `orders` orders with two lines each, and as many products up to 100,000, of one seller; a few of another's.
pub(super) async fn fill(db: &TestDatabase, orders: u32) -> SellerKeys {
    let keys = db.seller("filled").await;
    rows(db, keys.seller(), orders).await;
    rows(db, db.seller("other").await.seller(), orders / 50).await;
    housekeeping::fold_totals(&db.pool).await.unwrap();
    db.run("VACUUM ANALYZE").await;
    keys
}

async fn rows(db: &TestDatabase, seller: SellerId, rows: u32) {
    let upto = |most: u32| {
        format!(
            "(SELECT n, abs(hashint8(n)::bigint) AS hash FROM generate_series(1::bigint, {most}) AS n) AS made"
        )
    };
    let goods = rows.min(100_000);
    let (numbers, numbers_of_goods) = (upto(rows), upto(goods));
    let account = format!("(SELECT id FROM platform_accounts WHERE seller_id = '{seller}')");
    db.run(&format!(
        "INSERT INTO orders (id, seller_id, platform, platform_account_id, platform_order_id,
             order_number, status, currency, items_count, items_amount, total_amount, customer, created_at)
         SELECT gen_random_uuid(), '{seller}',
                (ARRAY['coupang', 'naver', '11st', 'direct'])[1 + (hash % 100 > 45)::int + (hash % 100 > 80)::int
                    + (hash % 100 > 92)::int],
                {account}, n, 'C' || hash % 1000000 || '-' || n,
                (ARRAY['delivered', 'paid', 'pending', 'cancelled', 'returned'])[1
                    + (hash / 100 % 1000 > 895)::int + (hash / 100 % 1000 > 960)::int
                    + (hash / 100 % 1000 > 980)::int + (hash / 100 % 1000 > 995)::int],
                'KRW', 2, 2000, 2000, '\\x00', '2025-01-01'::timestamptz + (n * 7919 % {rows}) * interval '1 day' * 700 / {rows}
         FROM {numbers};
         INSERT INTO order_items (order_id, line_no, seller_id, product_id, sku, product_name, quantity, price)
         SELECT id, line_no, seller_id, gen_random_uuid(), 'S' || line_no, repeat('보이차 ', 6), 1, 1000
         FROM orders CROSS JOIN generate_series(1, 2) AS line_no WHERE seller_id = '{seller}'
         ORDER BY hashtext(platform_order_id);
         INSERT INTO order_history (order_id, version, seller_id, status, actor, reason)
         SELECT id, 1, seller_id, status, 'import', 'test' FROM orders WHERE seller_id = '{seller}';
         INSERT INTO order_search (seller_id, token, created_at, order_id)
         SELECT seller_id, hashtextextended(order_number, 0), created_at, id FROM orders
         WHERE seller_id = '{seller}';
         INSERT INTO purchase_orders (id, seller_id, order_id, wholesaler, status)
         SELECT gen_random_uuid(), seller_id, id, 'ownerclan', 'placed' FROM orders WHERE seller_id = '{seller}';
         INSERT INTO claims (id, seller_id, platform_account_id, platform_claim_id, order_id, kind, currency,
             total_amount, customer, created_at)
         SELECT gen_random_uuid(), seller_id, platform_account_id, platform_order_id,
                CASE WHEN hashtext(platform_order_id) % 3 = 0 THEN id END, 'cancel', 'KRW', 0, '\\x00', created_at
         FROM orders WHERE seller_id = '{seller}';
         INSERT INTO products (id, seller_id, sku, name, brand, wholesaler, status, created_at)
         SELECT gen_random_uuid(), '{seller}', 'S' || n,
                (ARRAY['무선', '가죽', '여름', '캠핑', '방수'])[1 + hash % 5]
                    || (ARRAY['이어폰', '지갑', '텀블러', '의자'])[1 + hash / 5 % 4] || ' ' || n,
                CASE WHEN hash / 20 % 10 < 7 THEN '상표 ' || hash / 200 % 40 END,
                (ARRAY['ownerclan', 'zentrade', 'domeggook', NULL])[1 + hash / 8000 % 4],
                CASE WHEN hash / 32000 % 100 < 90 THEN 'active' WHEN hash / 32000 % 100 < 97 THEN 'paused'
                     ELSE 'draft' END,
                '2025-01-01'::timestamptz + (n * 7919 % {goods}) * interval '1 day' * 700 / {goods}
         FROM {numbers_of_goods};
         INSERT INTO product_offers (product_id, seller_id, currency, price, stock)
         SELECT id, seller_id, 'KRW', 1000 + 100 * (abs(hashtext(sku)) % 600), abs(hashtext(sku)) % 500
         FROM products WHERE seller_id = '{seller}';
         INSERT INTO price_history (product_id, seller_id, changed_at, id, currency, price)
         SELECT product_id, seller_id, '2026-01-01'::timestamptz + at * interval '1 hour', gen_random_uuid(), 'KRW', price
         FROM product_offers CROSS JOIN generate_series(1, 6) AS at WHERE seller_id = '{seller}'
         ORDER BY at, product_id;
         INSERT INTO product_variants (id, seller_id, product_id, sku, name)
         SELECT gen_random_uuid(), seller_id, id, 'V', '빨강' FROM products WHERE seller_id = '{seller}';
         INSERT INTO platform_listings (id, seller_id, product_id, platform_account_id, platform_product_id, status)
         SELECT gen_random_uuid(), seller_id, id, {account}, sku, 'selling' FROM products
         WHERE seller_id = '{seller}';
         INSERT INTO idempotency_keys (seller_id, route, key, fingerprint, created_at)
         SELECT '{seller}', 'POST', n, '\\x00', now() - n * interval '1 minute' FROM {numbers} WHERE n < 30 * 60;
         INSERT INTO events (seller_id, position, occurred_at, event_id, event, aggregate_id, version, payload, sequence)
         SELECT '{seller}', n, now(), gen_random_uuid(), 'orders:updated', gen_random_uuid(), 1, '{{}}', n
         FROM {numbers};
         INSERT INTO jobs (id, seller_id, kind, state, parameters, total, max_attempts, actor, created_at, changed_at,
             finished_at, cancel_requested)
         SELECT gen_random_uuid(), '{seller}', 'kind ' || n, CASE WHEN n % 3 = 0 THEN 'running' WHEN n % 50 = 1
                    THEN 'cancelled' ELSE 'done' END, '{{}}', 20, 3, 'test', now(), now(),
                CASE WHEN n % 3 > 0 THEN now() - n * interval '1 hour' END, n % 30 = 0
         FROM {numbers} WHERE n < 2000;
         INSERT INTO job_items (job_id, number, seller_id, name, payload, due_at, holder)
         SELECT id, number, seller_id, 'item', '{{}}', now() - number * interval '1 second',
                CASE WHEN number = 1 THEN gen_random_uuid() END
         FROM jobs CROSS JOIN generate_series(1, 20) AS number WHERE seller_id = '{seller}' AND state = 'running';
         INSERT INTO job_items_ended (job_id, number, seller_id, ended_at, name, state, attempt)
         SELECT id, number, seller_id, now(), 'item', CASE WHEN number = 1 THEN 'failed' ELSE 'done' END, 1
         FROM jobs CROSS JOIN generate_series(1, 20) AS number WHERE seller_id = '{seller}' AND state = 'done';
         INSERT INTO job_lanes (seller_id, kind, ready_at)
         SELECT seller_id, kind, CASE WHEN state = 'running' THEN now() ELSE 'infinity' END FROM jobs
         WHERE seller_id = '{seller}';
         INSERT INTO optimizer_runs (id, level, actor) VALUES (gen_random_uuid(), 'moderate', 'test');
         UPDATE relay SET sequence = greatest(sequence, {rows});"
    ))
    .await;
    // A seller among many, with a key among many.
    db.run(&format!(
        "INSERT INTO sellers (id, name, key_salt)
         SELECT gen_random_uuid(), '{seller}' || n, sha256('x') FROM generate_series(1, {goods} / 20) AS n;
         INSERT INTO platform_accounts (id, seller_id, kind, name)
         SELECT gen_random_uuid(), id, 'direct', 'x' FROM sellers WHERE name LIKE '{seller}%';
         INSERT INTO wholesaler_accounts (id, seller_id, kind, name)
         SELECT gen_random_uuid(), id, 'zentrade', 'x' FROM sellers WHERE name LIKE '{seller}%';
         INSERT INTO api_keys (id, seller_id, digest, scopes)
         SELECT gen_random_uuid(), id, sha256(id::text::bytea), '{{}}' FROM sellers WHERE name LIKE '{seller}%';"
    ))
    .await;
}
