//! What is said of a database, each with the real cause of it.

use jebi_db_optimizer::Error;
use jebi_db_optimizer::testing::{TestDatabase, assert_statements, run_as_service};
use jebi_db_optimizer::watch::{
    Explanations, Indexes, Known, NoStatistics, Plans, Seen, Slow, Wanted, advise, look,
    look_as_owner, server,
};

const ALL: Wanted = Wanted { slow: true, indexes: true };

async fn seen(db: &TestDatabase) -> Seen {
    look(&db.pool, ALL).await.unwrap()
}

async fn indexes(db: &TestDatabase) -> Indexes {
    seen(db).await.indexes.unwrap()
}

/// Runs SQL as the service would, with what it counts told at once.
async fn as_service(db: &TestDatabase, sql: &str) {
    let seller = db.seller("one").await.seller();
    let transaction = db.pool.begin(seller).await.unwrap();
    run_as_service(&transaction, sql).await.unwrap();
    run_as_service(&transaction, "SELECT pg_stat_force_next_flush()").await.unwrap();
    transaction.commit().await.unwrap();
}

/// Until all of it is visible: whoever connects to the server at the same moment holds some of it back.
async fn vacuum_t(db: &TestDatabase) {
    let unseen = "SELECT (relpages - relallvisible)::bigint FROM pg_class WHERE relname = 't'";
    db.run("VACUUM ANALYZE t").await;
    while db.number(unseen).await > 0 {
        db.run("VACUUM ANALYZE t").await;
    }
}

/// What is advised, but for slow statements: on a busy machine any may be one, and a test of their own is about them.
async fn kinds(db: &TestDatabase) -> Vec<&'static str> {
    let advice = advise(&seen(db).await, &Known::default());
    assert!(advice.iter().all(|advice| !advice.evidence.is_empty() && !advice.action.is_empty()));
    let kinds = advice.into_iter().map(|advice| advice.kind);
    kinds.filter(|kind| *kind != "slow_statement").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrated_database_has_all_its_indexes_once_and_nothing_is_advised() {
    let db = TestDatabase::new().await;
    let indexes = indexes(&db).await;
    assert!(indexes.all.len() > 20);
    assert_eq!(indexes.invalid().count(), 0);
    assert_eq!(indexes.duplicates().collect::<Vec<_>>(), []);
    assert_eq!(indexes.missing, []);
    assert_eq!(kinds(&db).await, Vec::<&str>::new());
    let owner = look_as_owner(&db.admin().await).await.unwrap();
    assert_eq!(owner.indexes.unwrap().all.len(), indexes.all.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_wanted_is_looked_at_and_takes_its_statements() {
    let db = TestDatabase::new().await;
    for (slow, indexes, expected) in
        [(true, true, 5), (true, false, 3), (false, true, 3), (false, false, 1)]
    {
        let before = db.pool.statements();
        let seen = look(&db.pool, Wanted { slow, indexes }).await.unwrap();
        assert_eq!(db.pool.statements() - before, expected);
        assert_eq!((seen.slow.is_some(), seen.indexes.is_some()), (slow, indexes));
        assert!(seen.tables.iter().any(|table| table.name == "public.orders"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_whose_concurrent_build_broke_off_is_invalid() {
    let db = TestDatabase::new().await;
    db.run("CREATE TABLE twice (n int); INSERT INTO twice VALUES (1), (1)").await;
    let build = "CREATE UNIQUE INDEX CONCURRENTLY twice_once ON twice (n)";
    db.try_run(build).await.unwrap_err();
    let indexes = indexes(&db).await;
    let invalid: Vec<&str> = indexes.invalid().map(|index| index.name.as_str()).collect();
    assert_eq!(invalid, ["public.twice_once"]);
    let advice = advise(&seen(&db).await, &Known::default());
    assert_eq!(advice[0].kind, "invalid_index");
    let action = "DROP INDEX CONCURRENTLY public.twice_once; then build it again: \
                  CREATE UNIQUE INDEX twice_once ON public.twice USING btree (n)";
    assert_eq!(advice[0].action, action);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_key_needs_an_index_that_begins_with_its_columns_in_any_order() {
    let db = TestDatabase::new().await;
    db.run(
        r#"CREATE SCHEMA "Other Place";
           CREATE TABLE "Other Place"."Parent" ("A" int, b int, PRIMARY KEY ("A", b));
           CREATE TABLE "Other Place"."Child" (
               id int PRIMARY KEY, "A" int, b int, x int,
               CONSTRAINT "the Key" FOREIGN KEY ("A", b) REFERENCES "Other Place"."Parent");
           GRANT USAGE ON SCHEMA "Other Place" TO jebi_service"#,
    )
    .await;
    let missing = async || indexes(&db).await.missing;
    let found = missing().await.remove(0);
    assert_eq!(
        (found.name.as_str(), found.columns.join(", ").as_str()),
        (r#""the Key""#, r#""A", b"#)
    );
    assert_eq!(found.table, r#""Other Place"."Child""#);
    assert_eq!(found.refers_to, r#""Other Place"."Parent""#);
    assert_eq!(kinds(&db).await, ["missing_foreign_key_index"]);
    let on = |columns: &str| format!(r#"CREATE INDEX tried ON "Other Place"."Child" {columns}"#);
    for (columns, is_enough) in [
        (r#"("A", b)"#, true),
        (r#"(b, "A")"#, true),
        (r#"(b, "A", x)"#, true),
        (r#"(b, "A") WHERE "A" IS NOT NULL"#, true),
        (r#"(b, "A") WHERE x IS NOT NULL"#, false),
        (r#"(b) INCLUDE ("A")"#, false),
        (r#"(x, b, "A")"#, false),
        (r#"(b, x, "A")"#, false),
        (r#"(("A" + 0), b)"#, false),
        (r#"("A")"#, false),
        (r#"USING brin ("A", b)"#, false),
    ] {
        db.run(&on(columns)).await;
        assert_eq!(missing().await.is_empty(), is_enough, "{columns}");
        db.run(r#"DROP INDEX "Other Place".tried"#).await;
    }
    db.run(r#"CREATE UNIQUE INDEX ON "Other Place"."Child" ("A", id, b)"#).await;
    assert_eq!(missing().await, [], "few rows share the first column of a unique key");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_indexes_that_do_the_same_the_one_that_is_not_needed_is_the_duplicate() {
    let db = TestDatabase::new().await;
    db.run(
        "CREATE TABLE t (a int, b text);
         CREATE INDEX a_plain ON t (a); CREATE UNIQUE INDEX a_unique ON t (a);
         CREATE INDEX b_first ON t (lower(b), a DESC) WHERE a > 1;
         CREATE INDEX b_second ON t (lower(b), a DESC) WHERE a > 1;
         CREATE INDEX other_order ON t (a DESC); CREATE INDEX other_rows ON t (a) WHERE a > 1;
         CREATE INDEX other_kind ON t USING hash (a); CREATE INDEX more ON t (a, b);
         CREATE INDEX carries ON t (a) INCLUDE (b);
         CREATE INDEX by_pattern ON t (b text_pattern_ops); CREATE INDEX by_text ON t (b);
         CREATE INDEX by_bytes ON t (b COLLATE \"C\")",
    )
    .await;
    let indexes = indexes(&db).await;
    let mut found: Vec<(&str, &str)> =
        indexes.duplicates().map(|(index, other)| (index.name.as_str(), other)).collect();
    found.sort_unstable();
    let expected = [("public.a_plain", "public.a_unique"), ("public.b_second", "public.b_first")];
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_unused_until_a_statement_uses_it_and_a_unique_one_never_is() {
    let db = TestDatabase::new().await;
    db.run(
        "CREATE TABLE t (a int PRIMARY KEY, b int); GRANT SELECT ON t TO jebi_service;
         INSERT INTO t SELECT n, n FROM generate_series(1, 60000) AS n;
         CREATE INDEX t_b ON t (b)",
    )
    .await;
    vacuum_t(&db).await;
    let unused = async || {
        let indexes = indexes(&db).await;
        let of_t = indexes.unused().filter(|index| index.table == "public.t");
        of_t.map(|index| index.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(unused().await, ["public.t_b"]);
    assert_eq!(kinds(&db).await, ["unused_index"]);
    as_service(&db, "SELECT FROM t WHERE b = 7").await;
    assert_eq!(unused().await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn large_tables_that_are_scanned_or_not_kept_are_told() {
    let db = TestDatabase::new().await;
    db.run(
        "CREATE TABLE t (a int, b text); ALTER TABLE t SET (autovacuum_enabled = off);
         GRANT SELECT, UPDATE ON t TO jebi_service;
         INSERT INTO t SELECT n, 'x' FROM generate_series(1, 20000) AS n",
    )
    .await;
    // The service's connections tell what they counted when asked; this one's is closed by now.
    let rows = "SELECT coalesce(max(n_live_tup), 0) FROM pg_stat_user_tables WHERE relname = 't'";
    while db.number(rows).await != 20_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(kinds(&db).await, ["no_statistics"]);
    vacuum_t(&db).await;
    assert_eq!(kinds(&db).await, Vec::<&str>::new());
    as_service(&db, "UPDATE t SET a = a + 1 WHERE a % 2 = 0").await;
    // It notes what is visible; VACUUM would clear the dead rows away.
    db.run("ANALYZE t").await;
    let table = seen(&db).await.tables.into_iter().find(|table| table.name == "public.t").unwrap();
    assert!(table.visible_share() < 0.5, "{table:?}");
    assert!(table.dead_rows > 5_000 && table.is_large(), "{table:?}");
    let advised = kinds(&db).await;
    assert!(advised.contains(&"dead_rows") && advised.contains(&"visibility"), "{advised:?}");
    assert!(!advised.contains(&"sequential_scans"), "one scan is none");
    for _ in 0..10 {
        as_service(&db, "SELECT FROM t WHERE b = 'y'").await;
    }
    assert!(kinds(&db).await.contains(&"sequential_scans"));
}

async fn slow(db: &TestDatabase) -> Slow {
    seen(db).await.slow.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_statements_of_the_service_are_shown_without_their_values() {
    // Elsewhere: on a busy machine the statement of a look is slow itself, and shown by the next.
    assert_eq!(slow(&TestDatabase::new().await).await.statements, []);
    let db = TestDatabase::new().await;
    as_service(&db, "SELECT pg_sleep(0.101), 'sesame' /* sesame */").await;
    as_service(&db, "DO 'BEGIN PERFORM pg_sleep(0.11); /* sesame */ END'").await;
    as_service(&db, "SELECT 'sesame'").await;
    let seen = seen(&db).await;
    let advice = advise(&seen, &Known::default());
    let shown = seen.slow.unwrap().unwrap();
    let mut texts: Vec<&str> =
        shown.statements.iter().map(|statement| statement.text.as_str()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["DO …", "SELECT pg_sleep($1), $2"]);
    for statement in shown.statements {
        assert!(statement.calls == 1 && statement.mean_ms > 100.0, "{statement:?}");
        assert_eq!((statement.mean_ms, statement.max_ms), (statement.total_ms, statement.total_ms));
    }
    let kinds: Vec<&str> = advice.iter().map(|advice| advice.kind).collect();
    assert_eq!(kinds, ["slow_statement"; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_other_roles_are_hidden_from_the_service_and_seen_by_a_monitor() {
    let db = TestDatabase::new().await;
    db.run("SELECT pg_sleep(0.101) AS of_the_owner").await;
    let shown = slow(&db).await;
    assert_eq!(shown.statements, []);
    assert!(shown.hidden > 0);
    let owner = look_as_owner(&db.admin().await).await.unwrap().slow.unwrap().unwrap();
    assert_eq!(owner.statements[0].text, "SELECT pg_sleep($1) AS of_the_owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_statistics_there_is_a_reason_and_no_error() {
    let bare = TestDatabase::unmigrated("TEMPLATE template0").await;
    assert_eq!(seen(&bare).await.slow.unwrap(), Err(NoStatistics::NotInstalled));
    let plans = Plans::default();
    assert_eq!(plans.sample(&bare.pool).await.unwrap(), []);
    assert_eq!(plans.regressions(), Err(NoStatistics::NotInstalled));
    assert_eq!(server(&bare.admin().await).await.unwrap().1, Err(NoStatistics::NotInstalled));

    let db = TestDatabase::new().await;
    db.run("REVOKE ALL ON SCHEMA public FROM PUBLIC, jebi_service").await;
    assert_eq!(seen(&db).await.slow.unwrap(), Err(NoStatistics::NotAllowed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_lost_its_index_is_a_regression_with_its_text() {
    let db = TestDatabase::new().await;
    db.run(
        "CREATE TABLE t (a int, b text); GRANT SELECT ON t TO jebi_service;
         INSERT INTO t SELECT n, repeat('x', 50) FROM generate_series(1, 20000) AS n;
         CREATE INDEX t_a ON t (a); ANALYZE t",
    )
    .await;
    let seller = db.seller("one").await.seller();
    let plans = Plans::default();
    let window = async || {
        let transaction = db.pool.begin(seller).await.unwrap();
        for a in 0..20 {
            let select = format!("SELECT b AS sesame FROM t WHERE a = {a}");
            run_as_service(&transaction, &select).await.unwrap();
        }
        transaction.commit().await.unwrap();
        plans.sample(&db.pool).await.unwrap()
    };
    for _ in 0..25 {
        assert_eq!(window().await, []);
    }
    db.run("DROP INDEX t_a").await;
    let (found, text) = window().await.remove(0);
    assert_eq!(text, "SELECT b AS sesame FROM t WHERE a = $1");
    assert!(found.before < 5.0 && found.now > 100.0 && found.calls == 20, "{found:?}");
    assert_eq!(plans.regressions(), Ok(vec![(found, text)]));
    db.run("CREATE INDEX t_a ON t (a)").await;
    assert_eq!(window().await, []);
    assert_eq!(plans.regressions(), Ok(vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_how_it_is_set_up() {
    let db = TestDatabase::unmigrated("TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'").await;
    db.run(
        "DO 'BEGIN EXECUTE format(''ALTER DATABASE %I SET random_page_cost = 1.1'',
             current_database()); END'",
    )
    .await;
    let (server, _) = server(&db.admin().await).await.unwrap();
    assert!(server.version >= 150_000);
    assert_eq!((server.lc_ctype.as_str(), server.encoding.as_str()), ("C", "UTF8"));
    assert_eq!(server.random_page_cost.to_string(), "1.1");
    assert!(server.is_autovacuum_on && server.max_connections > server.open_connections);
    let gone = look(&db.pool, ALL).await;
    assert!(!matches!(gone, Err(Error::Query { .. })), "also without our tables");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_statement_has_its_plan_without_values_or_the_reason_why_not() {
    let db = TestDatabase::new().await;
    // Shown as slow whatever the machine: each of them sleeps.
    as_service(
        &db,
        "SELECT count(*), pg_sleep(0.11) FROM orders WHERE seller_id = gen_random_uuid() \
         AND order_number = '010-1234-5678'",
    )
    .await;
    as_service(&db, "DO 'BEGIN PERFORM pg_sleep(0.11); END'").await;
    let explanations = Explanations::default();
    let slow = seen(&db).await.slow.unwrap().unwrap().statements;
    assert_eq!(slow.len(), 2, "{slow:?}");
    explanations.follow(&db.pool, &slow).await.unwrap();
    let explained = |beginning: &str| {
        let one = slow.iter().find(|slow| slow.text.starts_with(beginning)).unwrap();
        explanations.of(one.query_id).unwrap()
    };
    let plan = explained("SELECT").unwrap();
    assert!(plan.contains(" on orders: ") && plan.contains("order_number = $"), "{plan}");
    assert!(!plan.contains("1234-5678"), "{plan}");
    let why = explained("DO").unwrap_err();
    assert!(why.starts_with("PostgreSQL does not plan it without its values: "), "{why}");
    // They are known now, and nothing is left behind on the connections.
    let again = explanations.follow(&db.pool, &slow);
    assert_statements(&db.pool, 0, again).await.unwrap();
    let prepared = "SELECT count(*) FROM pg_prepared_statements WHERE name = 'jebi_explained'";
    assert_eq!(db.number(prepared).await, 0);
}
