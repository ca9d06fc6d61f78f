use jebi_db_optimizer::idempotency::{self, Answer, Claim, Request};
use jebi_db_optimizer::orders::{self, Change, Order};
use jebi_db_optimizer::testing::{TestDatabase, assert_statements};
use jebi_db_optimizer::{Error, housekeeping};
use jebi_domain::{OrderStatus, Platform, SellerKeys};

use crate::fixture::{author, order, time};

async fn create(db: &TestDatabase, keys: &SellerKeys, number: &str) -> Result<Order, Error> {
    let transaction = db.pool.begin(keys.seller()).await?;
    let account = orders::own_shop(&transaction, keys.seller()).await?;
    let at = time("2026-11-23T00:30:00+09:00");
    let new = order(account, number, OrderStatus::Pending, Platform::Direct, at, 3);
    let by = author();
    let created = orders::create(&transaction, keys, new, &by);
    let created = assert_statements(&db.pool, 6, created).await?;
    transaction.commit().await?;
    Ok(created)
}

async fn change(
    db: &TestDatabase,
    keys: &SellerKeys,
    order: &Order,
    change: Change,
    statements: u64,
) -> Order {
    let transaction = db.pool.begin(keys.seller()).await.unwrap();
    let locked = assert_statements(&db.pool, 4, orders::lock(&transaction, keys, order.id));
    let locked = locked.await.unwrap().unwrap();
    let differences = locked.differences(&change).unwrap();
    let by = author();
    let changed = orders::update(&transaction, keys, locked, change, &differences, &by);
    let changed = assert_statements(&db.pool, statements, changed).await.unwrap();
    transaction.commit().await.unwrap();
    changed
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_write_answers_is_what_a_read_finds() {
    let db = TestDatabase::new().await;
    let keys = db.seller("one").await;
    let created = create(&db, &keys, "A-1").await.unwrap();
    assert_eq!(orders::find(&db.pool, &keys, created.id).await.unwrap(), Some(created.clone()));

    let next = Change {
        status: Some(OrderStatus::Confirmed),
        tracking_number: Some(Some("123".to_owned())),
        memo: Some(Some("문 앞".to_owned())),
    };
    let changed = change(&db, &keys, &created, next, 4).await;
    assert_eq!((changed.version, changed.history.len()), (2, 2));
    assert_eq!(changed.history[1].reason, "status pending → confirmed, tracking number, memo");
    assert_eq!(orders::find(&db.pool, &keys, created.id).await.unwrap(), Some(changed.clone()));

    let same = Change { status: Some(OrderStatus::Confirmed), ..Change::default() };
    assert_eq!(change(&db, &keys, &changed, same, 0).await, changed);
    let emptied = Change { memo: Some(None), ..Change::default() };
    assert_eq!(change(&db, &keys, &changed, emptied, 4).await.memo, None);
    let events = "SELECT string_agg(event || ' ' || version, ', ' ORDER BY version) FROM outbox";
    assert_eq!(db.text(events).await, "orders:created 1, orders:updated 2, orders:updated 3");
    assert_eq!(db.number("SELECT count(*) FROM audit_log").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_number_is_taken_once_for_each_seller() {
    let db = TestDatabase::new().await;
    let (one, other) = (db.seller("one").await, db.seller("other").await);
    create(&db, &one, "A-1").await.unwrap();
    create(&db, &other, "A-1").await.unwrap();
    let again = create(&db, &one, "A-1").await.unwrap_err();
    assert!(matches!(again, Error::Exists { .. }), "{again}");
    assert_eq!(db.number("SELECT count(*) FROM outbox").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_claimed_once_answered_alike_and_forgotten_after_a_day() {
    let db = TestDatabase::new().await;
    let (one, other) = (db.seller("one").await, db.seller("other").await);
    let request = |body| Request { route: "POST /x", key: "k", body };
    let answer = Answer { location: "/x/1".to_owned(), body: b"secret of the buyer".to_vec() };
    let claim = async |keys: &SellerKeys, body| {
        let transaction = db.pool.begin(keys.seller()).await.unwrap();
        let claim = idempotency::claim(&transaction, keys, request(body)).await.unwrap();
        if claim == Claim::Mine {
            idempotency::keep(&transaction, keys, request(body), &answer).await.unwrap();
        }
        transaction.commit().await.unwrap();
        claim
    };
    assert_eq!(claim(&one, b"a").await, Claim::Mine);
    assert_eq!(claim(&one, b"a").await, Claim::Answered(answer.clone()));
    assert_eq!(claim(&one, b"b").await, Claim::Mismatch);
    assert_eq!(claim(&other, b"b").await, Claim::Mine);
    let plain =
        "SELECT count(*) FROM idempotency_keys WHERE position('secret'::bytea in answer) > 0";
    assert_eq!(db.number(plain).await, 0);

    housekeeping::forget_answers(&db.pool).await.unwrap();
    assert_eq!(db.number("SELECT count(*) FROM idempotency_keys").await, 2);
    db.run("UPDATE idempotency_keys SET created_at = now() - interval '24 hours 1 second'").await;
    assert_eq!(claim(&one, b"b").await, Claim::Mine, "a day later it is another request");
    housekeeping::forget_answers(&db.pool).await.unwrap();
    assert_eq!(db.number("SELECT count(*) FROM idempotency_keys").await, 1);
}
