use std::collections::HashSet;

use jebi_db_optimizer::products::{self, Extras, StockRow};
use jebi_db_optimizer::testing::{Numbers, TestDatabase, assert_statements};
use jebi_db_optimizer::{explain, housekeeping};
use jebi_domain::{
    At, PageNumber, PageSize, PriceRange, ProductFilter, ProductId, ProductStatus, Search,
    SellerId, StockChange, StockLevel, TotalIs, Wholesaler,
};

use crate::fixture::author;

fn size(items: u64) -> PageSize {
    PageSize::new(items).unwrap()
}

fn number(page: u64, items: u64) -> At {
    At::Page(PageNumber::new(page, size(items)).unwrap())
}

const WORDS: [&str; 16] = [
    "무선",
    "이어폰",
    "블루투스",
    "헤드셋",
    "보조배터리",
    "가죽",
    "지갑",
    "여름",
    "원피스",
    "캠핑",
    "의자",
    "텀블러",
    "스텐",
    "USB-C",
    "100%",
    "a_b",
];

/// Products with compound names, over thirty days.
async fn catalogue(db: &TestDatabase, seller: SellerId, count: u64) {
    let mut numbers = Numbers::new(11);
    let mut rows = Vec::new();
    for n in 0..count {
        let words = 1 + numbers.below(4);
        let name: Vec<&str> = (0..words).map(|_| numbers.one_of(&WORDS)).collect();
        let name = name.join(if numbers.below(3) == 0 { " " } else { "" });
        let brand = numbers.one_of(&["'제비'", "'둥지'", "NULL"]);
        let wholesaler = numbers.one_of(&["'ownerclan'", "'zentrade'", "NULL"]);
        let status = numbers.one_of(&["active", "active", "active", "draft", "paused"]);
        let minutes = numbers.below(30 * 24 * 60);
        rows.push(format!(
            "(gen_random_uuid(), '{seller}', 'SKU-{n}', '{name}', {brand}, {wholesaler}, '{status}',
              '2026-03-01 00:00+09'::timestamptz + {minutes} * interval '1 minute')"
        ));
    }
    db.run(&format!(
        "INSERT INTO products (id, seller_id, sku, name, brand, wholesaler, status, created_at)
         VALUES {};
         INSERT INTO product_offers (product_id, seller_id, currency, price, stock)
         SELECT id, seller_id, 'KRW', 1000 * (1 + abs(hashtext(sku)) % 50),
                NULLIF(abs(hashtext(sku)) % 40, 39)
         FROM products WHERE seller_id = '{seller}'",
        rows.join(", ")
    ))
    .await;
}

/// The same list by plain SQL, newest first.
async fn truth(db: &TestDatabase, seller: SellerId, filter: &ProductFilter) -> Vec<ProductId> {
    let mut conditions = String::new();
    let mut only = |condition: String| conditions += &format!(" AND {condition}");
    if let Some(status) = filter.status {
        only(format!("status = '{status}'"));
    }
    if let Some(brand) = &filter.brand {
        only(format!("brand = '{brand}'"));
    }
    if let Some(wholesaler) = filter.wholesaler {
        only(format!("wholesaler = '{wholesaler}'"));
    }
    if let Some(min) = filter.price.min() {
        only(format!("price >= {min}"));
    }
    if let Some(max) = filter.price.max() {
        only(format!("price <= {max}"));
    }
    match filter.stock {
        Some(StockLevel::Low) => only("stock BETWEEN 1 AND 10".to_owned()),
        Some(StockLevel::Out) => only("stock <= 0".to_owned()),
        None => {}
    }
    if let Some(search) = &filter.search {
        let typed = search.as_str().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let like = |column| format!("{column} ILIKE '%{typed}%'");
        only(format!("({} OR {} OR {})", like("name"), like("sku"), like("brand")));
    }
    let ids = db
        .text(&format!(
            "SELECT coalesce(string_agg(id::text, ' ' ORDER BY created_at DESC, id DESC), '')
             FROM products JOIN product_offers USING (seller_id)
             WHERE product_id = id AND seller_id = '{seller}'{conditions}"
        ))
        .await;
    ids.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

async fn walk(db: &TestDatabase, seller: SellerId, filter: &ProductFilter) -> Vec<ProductId> {
    let mut seen = Vec::new();
    let mut at = number(1, 30);
    loop {
        let page = products::page(&db.pool, seller, filter, at, size(30), Extras::default()).await;
        let page = page.unwrap();
        seen.extend(page.items.iter().map(|product| product.id));
        match page.next {
            Some(next) => at = At::After(next),
            None => return seen,
        }
    }
}

fn filters() -> Vec<ProductFilter> {
    let none = ProductFilter::default;
    let brand = Some("제비".to_owned());
    let search = |typed| Some(Search::new(typed).unwrap());
    vec![
        none(),
        ProductFilter { status: Some(ProductStatus::Draft), ..none() },
        ProductFilter { brand: brand.clone(), ..none() },
        ProductFilter { wholesaler: Some(Wholesaler::Zentrade), ..none() },
        ProductFilter { brand: brand.clone(), status: Some(ProductStatus::Active), ..none() },
        ProductFilter { brand: Some("없음".to_owned()), ..none() },
        ProductFilter { price: PriceRange::new(Some(5_000), Some(9_000)).unwrap(), ..none() },
        ProductFilter { stock: Some(StockLevel::Low), ..none() },
        ProductFilter { stock: Some(StockLevel::Out), brand, ..none() },
        ProductFilter { search: search("이어폰"), ..none() },
        ProductFilter {
            search: search("무선"),
            status: Some(ProductStatus::Active),
            stock: Some(StockLevel::Low),
            ..none()
        },
        ProductFilter { search: search("없는말"), ..none() },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_of_products_is_what_plain_sql_finds() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    catalogue(&db, seller, 600).await;
    housekeeping::fold_totals(&db.pool).await.unwrap();
    db.run("UPDATE products SET status = 'draft' WHERE sku IN ('SKU-1', 'SKU-2', 'SKU-3')").await;
    db.run("ANALYZE").await;
    let twin = db.twin_of(seller).await.seller();
    db.run(&format!("UPDATE products SET name = 'TWIN' WHERE seller_id = '{twin}'")).await;

    for filter in filters() {
        let expected = truth(&db, seller, &filter).await;
        assert_eq!(walk(&db, seller, &filter).await, expected, "{filter:?}");
        let pages = size(30).pages(expected.len() as u64);
        for page in 1..=pages + 1 {
            let shown = products::page(
                &db.pool,
                seller,
                &filter,
                number(page, 30),
                size(30),
                Extras::default(),
            );
            let shown = shown.await.unwrap();
            let ids: Vec<ProductId> = shown.items.iter().map(|product| product.id).collect();
            let slice = expected.chunks(30).nth(usize::try_from(page - 1).unwrap());
            assert_eq!(ids, slice.unwrap_or_default(), "page {page}: {filter:?}");
            if filter.asks_for_offers() && filter.search.is_none() {
                assert_eq!(shown.total_is, TotalIs::Estimated);
            } else {
                let total = (shown.total, shown.total_is);
                assert_eq!(total, (expected.len() as u64, TotalIs::Exact), "{filter:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_all_that_like_finds() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    catalogue(&db, seller, 400).await;
    let texts = db.text("SELECT string_agg(name || E'\\t' || sku, E'\\t') FROM products").await;
    let texts: Vec<Vec<char>> = texts.split('\t').map(|text| text.chars().collect()).collect();
    let mut numbers = Numbers::fresh();
    let mut searched = HashSet::new();
    while searched.len() < 500 {
        let text = &texts[usize::try_from(numbers.below(texts.len() as u64)).unwrap()];
        let length = usize::try_from(2 + numbers.below(4)).unwrap();
        let Some(last) = text.len().checked_sub(length) else { continue };
        let from = usize::try_from(numbers.below(last as u64 + 1)).unwrap();
        let typed: String = text[from..from + length].iter().collect();
        // What is trimmed is another search.
        if typed.trim() != typed || !searched.insert(typed.clone()) {
            continue;
        }
        for typed in [typed.clone(), decomposed(&typed)] {
            let search = Some(Search::new(&typed).unwrap());
            let filter = ProductFilter { search, ..ProductFilter::default() };
            let expected = truth(&db, seller, &filter).await;
            assert!(!expected.is_empty(), "{typed}");
            assert_eq!(walk(&db, seller, &filter).await, expected, "{typed}");
        }
    }
}

/// Each Hangul syllable as its two or three jamo, as some systems type it (Unicode §3.12).
fn decomposed(text: &str) -> String {
    let mut decomposed = String::new();
    for character in text.chars() {
        match u32::from(character).checked_sub(0xac00).filter(|index| *index < 11_172) {
            Some(index) => {
                let tail = (index % 28 > 0).then_some(0x11a7 + index % 28);
                let jamo = [Some(0x1100 + index / 588), Some(0x1161 + index % 588 / 28), tail];
                decomposed
                    .extend(jamo.into_iter().flatten().map(|code| char::from_u32(code).unwrap()));
            }
            None => decomposed.push(character),
        }
    }
    decomposed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_products_takes_a_fixed_number_of_statements() {
    let db = TestDatabase::new().await;
    let seller = db.seller("one").await.seller();
    catalogue(&db, seller, 200).await;
    let all = Extras { variants: true, listings: true };
    for (filter, statements) in [
        (ProductFilter::default(), 1),
        (ProductFilter { stock: Some(StockLevel::Low), ..ProductFilter::default() }, 2),
        (
            ProductFilter {
                search: Some(Search::new("무선").unwrap()),
                ..ProductFilter::default()
            },
            2,
        ),
    ] {
        for items in [1, 20, 100] {
            for (extras, more) in [(Extras::default(), 0), (all, 2)] {
                let (at, size) = (number(1, items), size(items));
                let page = products::page(&db.pool, seller, &filter, at, size, extras);
                let page = assert_statements(&db.pool, statements + more, page).await.unwrap();
                assert!(!page.items.is_empty());
            }
        }
    }
    let id = truth(&db, seller, &ProductFilter::default()).await[0];
    let whole = assert_statements(&db.pool, 4, products::find(&db.pool, seller, id)).await;
    assert_eq!(whole.unwrap().unwrap().product.id, id);
    let transaction = db.pool.begin(seller).await.unwrap();
    for (product, statements) in [(id, 4), (uuid::Uuid::nil().into(), 1)] {
        let rows = [StockRow { product, change: StockChange::To(7) }];
        let by = author();
        let changed = products::change_stocks(&transaction, seller, &rows, false, &by);
        assert_statements(&db.pool, statements, changed).await.unwrap();
    }
    drop(transaction);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_search_of_two_characters_and_more_reads_a_large_catalogue() {
    let db = TestDatabase::new().await;
    let seller = db.seller("large").await.seller();
    db.run(&format!(
        "INSERT INTO products (id, seller_id, sku, name, created_at)
         SELECT gen_random_uuid(), '{seller}', 'S' || n,
                CASE WHEN n % 5 = 0 THEN '무선' ELSE '유선' END
                    || CASE WHEN n = 40000 THEN '희귀품' ELSE '이어폰' END || n,
                '2026-01-01'::timestamptz + n * interval '1 minute'
         FROM generate_series(1, 60000) AS n;
         INSERT INTO product_offers (product_id, seller_id, currency)
         SELECT id, seller_id, 'KRW' FROM products;"
    ))
    .await;
    db.run("VACUUM ANALYZE").await;
    // Frequent: from the newest products alone.
    let frequent =
        ProductFilter { search: Some(Search::new("무선").unwrap()), ..Default::default() };
    let newest = products::newest_statement(
        seller,
        &frequent,
        number(1, 20),
        size(20),
        products::Depth::Newest,
    );
    let plan = explain(&db.pool, &newest).await.unwrap();
    assert!(plan.buffers() <= 700, "{} buffers\n{plan}", plan.buffers());

    // Rare: through the index of pairs.
    let rare = ProductFilter { search: Some(Search::new("희귀").unwrap()), ..Default::default() };
    let found = products::found_statement(seller, &rare, number(1, 20), size(20));
    let plan = explain(&db.pool, &found).await.unwrap();
    assert!(plan.indexes().contains(&"products_by_token".to_owned()), "{plan}");
    assert!(plan.buffers() <= 100, "{} buffers\n{plan}", plan.buffers());
    let page = products::page(&db.pool, seller, &rare, number(1, 20), size(20), Extras::default());
    let page = page.await.unwrap();
    assert_eq!((page.items.len(), page.total, page.total_is), (1, 1, TotalIs::Exact));
    let page =
        products::page(&db.pool, seller, &frequent, number(1, 20), size(20), Extras::default());
    let page = page.await.unwrap();
    assert_eq!((page.items.len(), page.total, page.total_is), (20, 1_001, TotalIs::Capped));
    assert!(page.next.is_some());
}
