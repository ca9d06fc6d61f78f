//! Pairs of work that repeats statements and the same done right, against a real database.

use jebi_db_optimizer::orders;
use jebi_db_optimizer::repeats::{self, Finding, Found, Reason, expected};
use jebi_db_optimizer::testing::{TestDatabase, assert_no_repeats};
use jebi_domain::{At, OrderFilter, OrderId, PageNumber, PageSize, SellerKeys};

use crate::fixture::{load, mixed_orders};

struct Shop {
    db: TestDatabase,
    keys: SellerKeys,
    ids: Vec<OrderId>,
}

impl Shop {
    async fn with_orders(count: u64) -> Self {
        let db = TestDatabase::new().await;
        let keys = db.seller("one").await;
        let all = mixed_orders(count, 1);
        let ids = all.iter().map(|order| order.id).collect();
        load(&db, &keys, all).await;
        Self { db, keys, ids }
    }

    async fn one_by_one(&self, count: usize) {
        for id in &self.ids[..count] {
            orders::find(&self.db.pool, &self.keys, *id).await.unwrap();
        }
    }

    async fn at_once(&self, count: usize) {
        let ids = self.ids[..count].to_vec();
        assert_eq!(orders::some(&self.db.pool, &self.keys, ids).await.unwrap().len(), count);
    }

    /// The page after `at`; where the next one begins.
    async fn page(&self, at: At) -> Option<At> {
        let (filter, size) = (OrderFilter::default(), PageSize::new(7).unwrap());
        let page = orders::page(&self.db.pool, &self.keys, &filter, at, size).await.unwrap();
        page.next.map(At::After)
    }
}

async fn found_in(work: impl Future<Output = ()>) -> Vec<Finding> {
    let found = Found::default();
    repeats::watch(&found, work, |()| "work".to_owned()).await;
    found.findings()
}

const FIRST: At = At::Page(PageNumber::first());

#[tokio::test(flavor = "multi_thread")]
async fn rows_read_one_by_one_are_found_and_rows_read_at_once_are_not() {
    let shop = Shop::with_orders(40).await;
    for count in [3, 10, 40] {
        let findings = found_in(shop.one_by_one(count)).await;
        // The order, its lines, its purchase orders and its history.
        assert_eq!(findings.len(), 4, "{findings:?}");
        for finding in findings {
            assert_eq!((finding.count as usize, finding.work.as_str()), (count, "work"));
            assert!(finding.statement.starts_with("SELECT "), "{}", finding.statement);
        }
        assert_eq!(found_in(shop.at_once(count)).await, []);
    }
    assert_no_repeats(shop.at_once(40)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[should_panic(expected = "statements are repeated")]
async fn a_test_fails_where_a_statement_runs_twice() {
    let shop = Shop::with_orders(2).await;
    assert_no_repeats(shop.one_by_one(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_chunks_and_pages_are_declared_and_rows_one_by_one_inside_them_found() {
    let shop = Shop::with_orders(40).await;
    let chunks = async {
        for chunk in shop.ids.chunks(8) {
            let some = orders::some(&shop.db.pool, &shop.keys, chunk.to_vec());
            expected(Reason::Chunks, some).await.unwrap();
        }
    };
    assert_eq!(found_in(chunks).await, []);
    let retries = async {
        for _ in 0..5 {
            expected(Reason::Retry, shop.at_once(4)).await;
        }
    };
    assert_eq!(found_in(retries).await, []);
    let pages = async {
        let mut at = Some(FIRST);
        while let Some(place) = at {
            at = expected(Reason::Pages, shop.page(place)).await;
        }
    };
    assert_eq!(found_in(pages).await, []);
    let undeclared = async {
        let mut at = Some(FIRST);
        while let Some(place) = at {
            at = shop.page(place).await;
        }
    };
    let counts: Vec<u32> = found_in(undeclared).await.iter().map(|found| found.count).collect();
    // The first page has another text than the five after it; its lines have the same.
    assert_eq!(counts, [6, 5]);
    let bad_chunks = async {
        for _ in 0..3 {
            expected(Reason::Chunks, shop.one_by_one(9)).await;
        }
    };
    let findings = found_in(bad_chunks).await;
    assert_eq!(findings.iter().map(|found| found.count).collect::<Vec<_>>(), [9; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_endpoints_at_once_are_told_apart_whichever_task_runs_their_statements() {
    let shop = Shop::with_orders(20).await;
    let found = Found::default();
    let bad = repeats::watch(&found, shop.one_by_one(20), |()| "bad".to_owned());
    let good = repeats::watch(&found, shop.at_once(20), |()| "good".to_owned());
    let spawned = async {
        let (pool, keys, ids) =
            (shop.db.pool.clone(), shop.db.seller("one").await, shop.ids.clone());
        let part = async move {
            for id in ids {
                orders::find(&pool, &keys, id).await.unwrap();
            }
        };
        tokio::spawn(repeats::within(repeats::current(), part)).await.unwrap();
    };
    let spawned = repeats::watch(&found, spawned, |()| "spawned".to_owned());
    tokio::join!(bad, good, spawned);
    let mut works: Vec<(String, u32)> =
        found.findings().into_iter().map(|finding| (finding.work, finding.count)).collect();
    works.sort();
    let four = |work: &str| std::iter::repeat_n((work.to_owned(), 20), 4).collect::<Vec<_>>();
    assert_eq!(works, [four("bad"), four("spawned")].concat());
}
