use jebi_db_optimizer::testing::{TestDatabase, run_as_service};
use jebi_db_optimizer::{migrate, pending};

/// The tables with a `seller_id`, but for the keys, which are looked up before a seller is known.
const TENANT_TABLES: &str = "SELECT c.oid FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'seller_id'
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'api_keys'
      AND c.relnamespace = 'public'::regnamespace";

async fn names(db: &TestDatabase, select: &str) -> String {
    db.text(&format!(
        "SELECT coalesce(string_agg(name, ', ' ORDER BY name), 'none') FROM ({select}) AS n"
    ))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_unique_key_of_a_tenant_table_contains_the_seller() {
    let db = TestDatabase::new().await;
    let without = format!(
        "SELECT i.indexrelid::regclass::text AS name FROM pg_index AS i
         WHERE i.indisunique AND i.indrelid IN ({TENANT_TABLES}) AND NOT EXISTS (
             SELECT FROM pg_attribute AS a
             WHERE a.attrelid = i.indrelid AND a.attname = 'seller_id' AND a.attnum = ANY(i.indkey))"
    );
    assert_eq!(names(&db, &without).await, "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_foreign_key_has_an_index_on_its_side() {
    let db = TestDatabase::new().await;
    let without = "SELECT f.conrelid::regclass || '.' || f.conname AS name
         FROM pg_constraint AS f
         WHERE f.contype = 'f' AND NOT EXISTS (
             SELECT FROM pg_index AS i
             WHERE i.indrelid = f.conrelid
               -- Its first column is one of the key's: few rows are left to look through.
               AND i.indkey[0] = ANY(f.conkey)
               AND (SELECT bool_and(k = ANY(i.indkey)) FROM unnest(f.conkey) AS k))";
    assert_eq!(names(&db, without).await, "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tenant_table_is_guarded() {
    let db = TestDatabase::new().await;
    // What is staged is written by COPY, which does not work under row security; what is merged from it does.
    let open = format!(
        "SELECT c.relname::text AS name FROM pg_class AS c WHERE c.oid IN ({TENANT_TABLES})
           AND c.relname <> 'collection_staging'
           AND NOT (c.relrowsecurity AND 4 = (SELECT count(*) FROM pg_policy WHERE polrelid = c.oid))"
    );
    assert_eq!(names(&db, &open).await, "none");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_owns_nothing_and_is_no_superuser() {
    let db = TestDatabase::new().await;
    let keys = db.seller("one").await;
    let transaction = db.pool.begin(keys.seller()).await.unwrap();
    let who = "INSERT INTO platform_accounts (id, seller_id, kind, name)
        SELECT gen_random_uuid(), jebi_current_seller(), 'naver', current_user::text
        FROM pg_roles WHERE rolname = current_user
          AND NOT (rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole)
          AND NOT EXISTS (SELECT FROM pg_class WHERE relowner = pg_roles.oid)";
    assert_eq!(run_as_service(&transaction, who).await, Ok(1));
    transaction.commit().await.unwrap();
    let name = db.text("SELECT name FROM platform_accounts WHERE kind = 'naver'").await;
    assert_eq!(name, "jebi_service");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_writes_its_own_sellers_rows_only() {
    let db = TestDatabase::new().await;
    let (one, other) = (db.seller("one").await.seller(), db.seller("other").await.seller());
    let account = |seller| {
        format!(
            "INSERT INTO platform_accounts (id, seller_id, kind, name)
             VALUES (gen_random_uuid(), '{seller}', 'naver', 'x')"
        )
    };
    let transaction = db.pool.begin(one).await.unwrap();
    assert_eq!(run_as_service(&transaction, &account(one)).await, Ok(1));
    let every = "UPDATE platform_accounts SET name = 'mine'";
    assert_eq!(run_as_service(&transaction, every).await, Ok(2), "the own shop and the new one");
    let stolen = format!("UPDATE platform_accounts SET seller_id = '{other}'");
    assert!(
        run_as_service(&transaction, &stolen).await.unwrap_err().contains("row-level security")
    );
    drop(transaction);

    let transaction = db.pool.begin(one).await.unwrap();
    let planted = run_as_service(&transaction, &account(other)).await.unwrap_err();
    assert!(planted.contains("row-level security"), "{planted}");
    drop(transaction);
    let theirs = format!("SELECT name FROM platform_accounts WHERE seller_id = '{other}'");
    assert_eq!(db.text(&theirs).await, "other");
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_again_changes_nothing_and_nothing_is_pending() {
    let db = TestDatabase::new().await;
    assert_eq!(pending(&db.pool).await.unwrap(), Vec::<String>::new());
    assert_eq!(migrate(db.admin().await).await.unwrap(), Vec::<String>::new());
    db.run("DELETE FROM __diesel_schema_migrations WHERE version = '0005'").await;
    assert_eq!(pending(&db.pool).await.unwrap(), vec!["0005".to_owned()]);
}
