use futures::future::join_all;
use jebi_db_optimizer::bulk::{Batch, LoadedOrder, Loader, PriceChange, Stored};
use jebi_db_optimizer::testing::TestDatabase;
use jebi_domain::{ProductId, SellerKeys};

use crate::fixture::{mixed_orders, won};

fn batch(seed: u64) -> Batch {
    let product = ProductId::from(uuid::Uuid::from_u128(1));
    let loaded = |order: jebi_domain::NewOrder| {
        let prices = vec![PriceChange { product, price: won(900), at: order.created_at }];
        LoadedOrder { order, prices }
    };
    Batch { orders: mixed_orders(50, seed).into_iter().map(loaded).collect(), claims: vec![] }
}

async fn store(db: &TestDatabase, keys: &SellerKeys, seed: u64) -> Stored {
    let mut loader = Loader::connect(&db.url()).await.unwrap();
    let account = loader.own_shop(keys.seller()).await.unwrap();
    let mut batch = batch(seed);
    for loaded in &mut batch.orders {
        loaded.order.account = account;
    }
    loader.store(keys, &batch).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn loaders_at_once_store_each_order_once() {
    let db = TestDatabase::new().await;
    let keys = db.seller("one").await;
    db.run(&format!(
        "INSERT INTO products VALUES ('{}', '{}', 'SKU', 'name', now())",
        uuid::Uuid::from_u128(1),
        keys.seller()
    ))
    .await;
    let stored = join_all((0..8).map(|n| store(&db, &keys, n % 2))).await;
    assert_eq!(stored.iter().map(|stored| stored.orders).sum::<u64>(), 100);
    for (table, rows) in [("orders", 100), ("order_history", 100), ("price_history", 100)] {
        assert_eq!(db.number(&format!("SELECT count(*) FROM {table}")).await, rows, "{table}");
    }
    let lines = "SELECT count(*) - (SELECT sum(items_count) FROM orders)::bigint FROM order_items";
    assert_eq!(db.number(lines).await, 0);
}
