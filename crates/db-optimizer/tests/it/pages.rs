use chrono::{DateTime, Utc};
use jebi_db_optimizer::testing::{TestDatabase, assert_statements};
use jebi_db_optimizer::{housekeeping, orders};
use jebi_domain::{
    At, Bounds, NewOrder, OrderFilter, OrderId, OrderStatus, PageNumber, PageSize, Platform,
    SellerKeys,
};

use crate::fixture::{load, mixed_orders, time};

fn size(items: u64) -> PageSize {
    PageSize::new(items).unwrap()
}

fn number(page: u64, items: u64) -> At {
    At::Page(PageNumber::new(page, size(items)).unwrap())
}

fn matching(orders: &[NewOrder], filter: &OrderFilter) -> Vec<OrderId> {
    let inside = |at: DateTime<Utc>| {
        filter.created.from().is_none_or(|from| at >= from)
            && filter.created.to().is_none_or(|to| at < to)
    };
    let mut matching: Vec<&NewOrder> = orders
        .iter()
        .filter(|order| {
            filter.status.is_none_or(|status| order.status == status)
                && filter.platform.is_none_or(|platform| order.platform == platform)
                && inside(order.created_at)
        })
        .collect();
    matching.sort_by_key(|order| std::cmp::Reverse((order.created_at, order.id)));
    matching.into_iter().map(|order| order.id).collect()
}

fn filters() -> Vec<OrderFilter> {
    let day = |from: &str, to: &str| Bounds::new(Some(time(from)), Some(time(to))).unwrap();
    let status = Some(OrderStatus::Shipped);
    let platform = Some(Platform::Coupang);
    let mut filters = Vec::new();
    for created in [
        Bounds::default(),
        Bounds::new(Some(time("2026-02-03T12:00:00+09:00")), None).unwrap(),
        Bounds::new(None, Some(time("2026-03-01T00:00:00+09:00"))).unwrap(),
        day("2026-01-31T23:59:59.999999+09:00", "2026-02-01T00:00:00+09:00"),
        day("2026-01-20T06:00:00+09:00", "2026-03-18T18:00:00+09:00"),
        day("2026-02-10T00:00:00+09:00", "2026-02-10T00:00:00+09:00"),
        day("2020-01-01T00:00:00Z", "2020-02-01T00:00:00Z"),
    ] {
        filters.push(OrderFilter { created, ..OrderFilter::default() });
        filters.push(OrderFilter { status, created, ..OrderFilter::default() });
        filters.push(OrderFilter { platform, created, ..OrderFilter::default() });
        filters.push(OrderFilter { status, platform, created, search: None });
    }
    filters
}

async fn walk(db: &TestDatabase, keys: &SellerKeys, filter: &OrderFilter) -> Vec<OrderId> {
    let mut seen = Vec::new();
    let mut at = number(1, 7);
    loop {
        let page = orders::page(&db.pool, keys, filter, at, size(7)).await.unwrap();
        seen.extend(page.items.iter().map(|order| order.id));
        match page.next {
            Some(next) => at = At::After(next),
            None => return seen,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_by_number_and_by_cursor_show_every_order_once_and_count_them_exactly() {
    let db = TestDatabase::new().await;
    let keys = db.seller("one").await;
    let mut all = mixed_orders(300, 1);
    load(&db, &keys, all.clone()).await;
    // Folded totals and differences that are not folded yet, both.
    housekeeping::fold_totals(&db.pool).await.unwrap();
    let later = mixed_orders(100, 2);
    load(&db, &keys, later.clone()).await;
    all.extend(later);
    let twin = db.twin_of(keys.seller()).await;

    for filter in filters() {
        let expected = matching(&all, &filter);
        assert_eq!(walk(&db, &keys, &filter).await, expected, "by cursor: {filter:?}");
        for items in [1, 20, 100] {
            let pages = size(items).pages(expected.len() as u64);
            // With pages of one, some of them: the first, the last, and every 17th.
            let wanted = (1..=pages + 1).filter(|n| items > 1 || *n >= pages || n % 17 == 1);
            for page in wanted {
                let shown =
                    orders::page(&db.pool, &keys, &filter, number(page, items), size(items));
                let shown = shown.await.unwrap();
                let ids: Vec<OrderId> = shown.items.iter().map(|order| order.id).collect();
                let mut slice = expected.chunks(usize::try_from(items).unwrap());
                let slice = slice.nth(usize::try_from(page - 1).unwrap()).unwrap_or_default();
                assert_eq!(ids, slice, "page {page} of {items}: {filter:?}");
                assert_eq!(shown.total, expected.len() as u64, "{filter:?}");
                assert_eq!(
                    shown.next.is_some(),
                    page < pages,
                    "page {page} of {items}: {filter:?}"
                );
            }
        }
    }

    // The twin has the same ids and shows none of them as ours.
    let every = OrderFilter::default();
    let ours = orders::page(&db.pool, &keys, &every, number(1, 100), size(100)).await.unwrap();
    assert!(ours.items.iter().all(|order| !order.order_number.starts_with("TWIN")));
    assert!(
        ours.items.iter().flat_map(|order| &order.lines).all(|line| line.product_name != "TWIN")
    );
    // And the twin's customers, sealed for another seller, do not open for the twin.
    let theirs = orders::page(&db.pool, &twin, &every, number(1, 1), size(1)).await;
    assert_eq!(theirs.unwrap_err().to_string(), "could not list orders: a row has a bad customer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_takes_two_statements_whatever_its_length() {
    let db = TestDatabase::new().await;
    let keys = db.seller("one").await;
    let orders = mixed_orders(120, 3);
    load(&db, &keys, orders.clone()).await;
    for items in [1, 10, 100] {
        let filter = OrderFilter::default();
        let first = orders::page(&db.pool, &keys, &filter, number(1, items), size(items));
        let first = assert_statements(&db.pool, 2, first).await.unwrap();
        assert_eq!(first.items.len() as u64, items);
        let lines: usize = first.items.iter().map(|order| order.lines.len()).sum();
        let stored = |id| orders.iter().find(|order| order.id == id).unwrap().lines.len();
        assert_eq!(lines, first.items.iter().map(|order| stored(order.id)).sum::<usize>());
        let next = At::After(first.next.unwrap());
        let next = orders::page(&db.pool, &keys, &filter, next, size(items));
        assert_statements(&db.pool, 2, next).await.unwrap();
        let second = orders::page(&db.pool, &keys, &filter, number(2, items), size(items));
        assert_statements(&db.pool, 2, second).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_far_beyond_the_last_is_empty_and_knows_the_total() {
    let db = TestDatabase::new().await;
    let keys = db.seller("one").await;
    load(&db, &keys, mixed_orders(5, 4)).await;
    let far = number(PageNumber::MAX_SKIP / 100, 100);
    let page =
        orders::page(&db.pool, &keys, &OrderFilter::default(), far, size(100)).await.unwrap();
    assert_eq!((page.items.len(), page.total, page.next), (0, 5, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whole_takes_four_statements_and_is_its_sellers_only() {
    let db = TestDatabase::new().await;
    let keys = db.seller("one").await;
    let order = mixed_orders(1, 5).remove(0);
    load(&db, &keys, vec![order.clone()]).await;
    db.twin_of(keys.seller()).await;
    let whole = assert_statements(&db.pool, 4, orders::find(&db.pool, &keys, order.id));
    let whole = whole.await.unwrap().unwrap();
    assert_eq!(whole.order_number, order.order_number);
    assert_eq!(whole.lines.len(), order.lines.len());
    assert_eq!(whole.history.len(), 1);
    assert_eq!(whole.total_amount, order.amounts.total().amount());

    let stranger = db.seller("stranger").await;
    assert_eq!(orders::find(&db.pool, &stranger, order.id).await.unwrap(), None);
}
