//! Orders to test with.

use chrono::{DateTime, Duration, Utc};
use jebi_db_optimizer::bulk::{Batch, LoadedOrder, Loader};
use jebi_db_optimizer::testing::{Numbers, TestDatabase};
use jebi_db_optimizer::{Author, random};
use jebi_domain::{
    AccountId, Amounts, Currency, Customer, Money, NewOrder, NewOrderLine, OrderId, OrderStatus,
    Platform, ProductId, Quantity, SellerKeys,
};

pub(crate) fn won(amount: i64) -> Money {
    Money::new(amount, Currency::Krw).unwrap()
}

pub(crate) fn time(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).unwrap().to_utc()
}

pub(crate) fn author() -> Author {
    let now = DateTime::from_timestamp_micros(Utc::now().timestamp_micros()).unwrap();
    Author { actor: "test".to_owned(), request_id: None, at: now }
}

/// An order of `lines` lines.
pub(crate) fn order(
    account: AccountId,
    number: &str,
    status: OrderStatus,
    platform: Platform,
    created_at: DateTime<Utc>,
    lines: u32,
) -> NewOrder {
    let line = |n: u32| NewOrderLine {
        product_id: ProductId::new(created_at, random()),
        sku: format!("SKU-{n}"),
        product_name: format!("무선이어폰 {n}"),
        quantity: Quantity::new(i64::from(n)).unwrap(),
        price: won(1_000),
    };
    let lines: Vec<NewOrderLine> = (1..=lines).map(line).collect();
    let each = lines.iter().map(|line| (line.quantity, line.price));
    let amounts = Amounts::of(Currency::Krw, each, won(0), won(0)).unwrap();
    NewOrder {
        id: OrderId::new(created_at, random()),
        platform,
        account,
        platform_order_id: number.to_owned(),
        order_number: number.to_owned(),
        status,
        lines,
        amounts,
        customer: Customer { name: Some(format!("구매자 {number}")), ..Customer::default() },
        memo: None,
        created_at,
    }
}

/// Loads orders in one batch.
pub(crate) async fn load(db: &TestDatabase, keys: &SellerKeys, orders: Vec<NewOrder>) {
    let mut loader = Loader::connect(&db.url()).await.unwrap();
    let account = loader.own_shop(keys.seller()).await.unwrap();
    let orders = orders
        .into_iter()
        .map(|order| LoadedOrder { order: NewOrder { account, ..order }, prices: vec![] })
        .collect();
    loader.store(keys, &Batch { orders, claims: vec![] }).await.unwrap();
}

/// `count` orders spread over 100 days, many of them at the same instant as another, of all statuses and
/// platforms, one to three lines each.
pub(crate) fn mixed_orders(count: u64, seed: u64) -> Vec<NewOrder> {
    let mut numbers = Numbers::new(seed);
    let account = AccountId::from(uuid::Uuid::nil());
    (0..count)
        .map(|n| {
            // Few distinct instants, on both sides of midnight in Seoul and of the ends of months.
            let hours = numbers.below(400) * 6;
            let created_at = time("2026-01-15T11:59:59.999999+09:00")
                + Duration::hours(i64::try_from(hours).unwrap())
                + Duration::microseconds(i64::try_from(numbers.below(2)).unwrap());
            let status = numbers.one_of(OrderStatus::ALL);
            let platform = numbers.one_of(Platform::ALL);
            let lines = u32::try_from(1 + numbers.below(3)).unwrap();
            order(account, &format!("{seed}-{n}"), status, platform, created_at, lines)
        })
        .collect()
}
