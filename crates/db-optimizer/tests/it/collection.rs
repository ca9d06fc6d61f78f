//! What is collected, on its way into the catalogue.

use chrono::{DateTime, TimeDelta, Utc};
use jebi_db_optimizer::collection::{
    Batch, Detail, Merged, Source, Stage, Staged, Variant, known, merge, tidy,
};
use jebi_db_optimizer::testing::{TestDatabase, assert_statements, run_as_service};
use jebi_db_optimizer::{Error, random};
use jebi_domain::{AccountId, ProductId, ProductStatus, SellerId, Wholesaler};
use serde_json::json;
use uuid::Uuid;

struct Shop {
    db: TestDatabase,
    stage: Stage,
    seller: SellerId,
    source: Source,
}

impl Shop {
    async fn new() -> Self {
        let db = TestDatabase::new().await;
        let (stage, seller) = (Stage::new(db.url()), db.seller("one").await.seller());
        let account = AccountId::from(Uuid::from_bytes(random()));
        let wholesaler = Wholesaler::Ownerclan;
        let source = Source { wholesaler, account, status: ProductStatus::Draft };
        Self { db, stage, seller, source }
    }

    async fn put(&self, rows: &[Staged]) -> Batch {
        self.stage.put(self.seller, Utc::now(), rows.to_vec()).await.unwrap()
    }

    async fn merge(&self, batch: Batch) -> Result<Option<Merged>, Error> {
        let transaction = self.db.pool.begin(self.seller).await.unwrap();
        let merged = merge(&transaction, batch, &self.source, Utc::now()).await;
        transaction.settle(merged).await
    }

    async fn store(&self, rows: &[Staged]) -> Merged {
        self.merge(self.put(rows).await).await.unwrap().unwrap()
    }

    /// Cost, stock and version of the only product, and what its variants have.
    async fn offer(&self) -> String {
        self.db
            .text(
                "SELECT concat_ws(' ', o.cost_amount, coalesce(o.wholesale_stock, -1), o.version,
                     (SELECT string_agg(concat(v.sku, '=', v.wholesale_stock), ',' ORDER BY v.sku)
                      FROM product_variants AS v WHERE v.product_id = o.product_id))
                 FROM product_offers AS o",
            )
            .await
    }
}

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_392_000, 0).unwrap() + TimeDelta::minutes(minute)
}

fn detail(name: &str) -> Option<Detail> {
    Some(Detail {
        name: name.to_owned(),
        category: None,
        images: json!([]),
        description: None,
        tiers: json!([]),
        raw: json!({}),
    })
}

fn variant(sku: &str, stock: i64) -> Variant {
    let (sku, name) = (sku.to_owned(), format!("색상 {sku}"));
    let wholesale_stock = Some(stock);
    Variant { sku, name, extra_amount: 100, extra_cost_amount: Some(70), wholesale_stock }
}

fn new(key: &str, variants: Vec<Variant>) -> Staged {
    Staged {
        product: ProductId::new(Utc::now(), random()),
        compared_with: None,
        changes_offer: true,
        key: key.to_owned(),
        sku: format!("ownerclan-{key}"),
        cost_amount: Some(1_000),
        wholesale_stock: Some(5),
        availability: "on_sale",
        price: Some(1_300),
        offer_hash: 1,
        detail_hash: 1,
        read_at: at(0),
        variants,
        had_variants: false,
        detail: detail("무선 이어폰"),
    }
}

/// The same, compared with the reading of another minute.
fn changed_since(of: &Staged, before: i64, minute: i64, cost: Option<i64>, stock: i64) -> Staged {
    Staged { compared_with: Some(at(before)), ..changed(of, minute, cost, stock, vec![]) }
}

/// The same, read later and with another offer.
fn changed(
    of: &Staged,
    minute: i64,
    cost: Option<i64>,
    stock: i64,
    variants: Vec<Variant>,
) -> Staged {
    let (cost_amount, wholesale_stock) = (cost, Some(stock));
    let read_at = at(minute);
    Staged {
        compared_with: Some(of.read_at),
        cost_amount,
        wholesale_stock,
        price: None,
        offer_hash: 100 + minute,
        read_at,
        had_variants: of.had_variants || !of.variants.is_empty(),
        variants,
        detail: None,
        ..of.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_is_new_once_and_changes_in_cost_and_stock_alone() {
    let shop = Shop::new().await;
    let item = new("W1", vec![variant("빨강", 2), variant("파랑", 3)]);
    let merged = shop.store(std::slice::from_ref(&item)).await;
    assert_eq!(merged, Merged { created: 1, changed: 0, listings: 0 });
    assert_eq!(shop.offer().await, "1000 5 1 빨강=2,파랑=3");
    shop.db.run("UPDATE product_offers SET price = 9900, stock = 4").await;

    // Who has compared with a reading that is not the last one any more has to look again; what is not told stays.
    let later = changed(&item, 9, None, 1, vec![variant("파랑", 1), variant("노랑", 8)]);
    let stale = changed(&item, 4, Some(2_000), 7, vec![]);
    assert_eq!(shop.store(&[later]).await.changed, 1);
    assert_eq!(shop.offer().await, "1000 1 2 노랑=8,빨강=0,파랑=1");
    assert_eq!(shop.merge(shop.put(&[stale]).await).await.unwrap(), None);

    let known = known(&shop.db.pool, shop.seller, Wholesaler::Ownerclan, vec!["W1".to_owned()]);
    let known = known.await.unwrap()["W1"];
    assert_eq!((known.product, known.offer_hash, known.read_at), (item.product, 109, at(9)));
    let own = "SELECT concat_ws(' ', price, stock) FROM product_offers";
    assert_eq!(shop.db.text(own).await, "9900 4");
    let events = "SELECT string_agg(event || ' ' || version, ', ' ORDER BY version) FROM outbox";
    assert_eq!(shop.db.text(events).await, "products:created 1, products:updated 2");
    let histories =
        "SELECT (SELECT count(*) FROM cost_history) * 10 + (SELECT count(*) FROM price_history)";
    assert_eq!(shop.db.number(histories).await, 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_not_there_any_more_is_no_batch_of_which_nothing_changed() {
    let shop = Shop::new().await;
    let item = new("W1", vec![]);
    let batch = shop.put(std::slice::from_ref(&item)).await;
    // As after a crash of PostgreSQL.
    shop.db.run("TRUNCATE collection_staging").await;
    assert_eq!(shop.merge(batch).await.unwrap(), None);
    shop.store(std::slice::from_ref(&item)).await;
    let batch = shop.put(&[changed(&item, 1, Some(7), 7, vec![])]).await;
    shop.db.run("TRUNCATE collection_staging").await;
    assert_eq!(shop.merge(batch).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_store_the_same_item_one_is_told_to_look_again() {
    let shop = Shop::new().await;
    let (one, other) = (new("W1", vec![]), new("W1", vec![]));
    let (first, second) = (shop.put(&[one]).await, shop.put(&[other]).await);
    assert_eq!(shop.merge(first).await.unwrap().unwrap().created, 1);
    let refused = shop.merge(second).await;
    assert!(matches!(refused, Err(Error::Exists { .. })), "{refused:?}");
    assert_eq!(shop.db.number("SELECT count(*) FROM products").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn listings_of_what_changed_are_to_be_pushed_once() {
    let shop = Shop::new().await;
    let (item, other) = (new("W1", vec![]), new("W2", vec![]));
    shop.store(&[item.clone(), other]).await;
    shop.db
        .run(
            "INSERT INTO platform_listings (id, seller_id, product_id, platform_account_id,
                 platform_product_id, status)
             SELECT gen_random_uuid(), i.seller_id, i.product_id, a.id, i.key || n,
                 CASE n WHEN 3 THEN 'ended' ELSE 'selling' END
             FROM wholesale_items AS i JOIN platform_accounts AS a USING (seller_id),
                 generate_series(1, 3) AS n",
        )
        .await;
    let merged = shop.store(&[changed(&item, 1, Some(1_100), 5, vec![])]).await;
    assert_eq!((merged.changed, merged.listings), (1, 2));
    shop.store(&[changed_since(&item, 1, 2, Some(1_200), 5)]).await;
    let found = "SELECT string_agg(l.platform_product_id, ', ' ORDER BY l.platform_product_id)
                 FROM listings_to_push JOIN platform_listings AS l ON l.id = listing_id";
    assert_eq!(shop.db.text(found).await, "W11, W12");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_takes_as_many_statements_as_it_says_and_touches_no_other_seller() {
    let shop = Shop::new().await;
    let items: Vec<Staged> =
        (0..300).map(|n| new(&format!("W{n}"), vec![variant("빨강", n)])).collect();
    let batch = shop.put(&items).await;
    let merged = assert_statements(&shop.db.pool, 10, shop.merge(batch)).await;
    assert_eq!(merged.unwrap().unwrap().created, 300);
    let twin = shop.db.twin_of(shop.seller).await.seller();
    let of_twin = format!(
        "SELECT md5(string_agg(o::text, ',' ORDER BY o.product_id)) FROM product_offers AS o
         WHERE seller_id = '{twin}'"
    );
    let before = shop.db.text(&of_twin).await;
    let later: Vec<Staged> =
        items.iter().map(|item| changed(item, 5, Some(7), 7, vec![variant("빨강", 7)])).collect();
    let batch = shop.put(&later).await;
    let merged = assert_statements(&shop.db.pool, 5, shop.merge(batch)).await;
    assert_eq!(merged.unwrap().unwrap().changed, 300);
    let plain = changed_since(&items[0], 5, 6, Some(8), 8);
    let plain = Staged { had_variants: false, ..plain };
    let batch = shop.put(&[plain]).await;
    let merged = assert_statements(&shop.db.pool, 3, shop.merge(batch)).await;
    assert_eq!(merged.unwrap().unwrap().changed, 1);
    assert_eq!(shop.db.text(&of_twin).await, before);

    // In a transaction of another seller row security refuses it.
    let batch = shop.put(&later).await;
    let transaction = shop.db.pool.begin(twin).await.unwrap();
    let refused = merge(&transaction, batch, &shop.source, Utc::now()).await;
    assert!(refused.is_err(), "{refused:?}");
    transaction.rollback().await.unwrap();
    assert_eq!(shop.db.text(&of_twin).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_behind_is_thrown_away_and_what_is_used_is_not() {
    let shop = Shop::new().await;
    shop.put(&[new("W1", vec![])]).await;
    shop.put(&[new("W2", vec![])]).await;
    // Two hours ago.
    let old = "UPDATE collection_staging SET batch = (lpad(to_hex(
                   (extract(epoch FROM now() - interval '2 hours') * 1000)::bigint), 12, '0')
                   || substr(replace(batch::text, '-', ''), 13))::uuid
               WHERE key = 'W1'";
    shop.db.run(old).await;
    let transaction = shop.db.pool.begin(shop.seller).await.unwrap();
    let pages = "INSERT INTO collection_seen (job_id, number, page, seller_id, keys)
                 VALUES (gen_random_uuid(), 1, 1, jebi_current_seller(), '{}')";
    assert_eq!(run_as_service(&transaction, pages).await, Ok(1));
    transaction.commit().await.unwrap();
    tidy(&shop.db.pool).await.unwrap();
    assert_eq!(shop.db.text("SELECT string_agg(key, ',') FROM collection_staging").await, "W2");
    assert_eq!(shop.db.number("SELECT count(*) FROM collection_seen").await, 0);
}
