//! `jebi doctor`: what is healthy is not bad, and each real cause is told by its own check.

use std::collections::BTreeMap;
use std::process::Output;

use jebi_db_optimizer::testing::TestDatabase;
use jebi_domain::Scope;
use serde_json::Value;

use crate::app::{ORDERS, TestApp};
use crate::process::{jebi, stderr};
use crate::redis::Redis;

struct Doctor<'a> {
    database_url: String,
    set: Vec<(&'a str, String)>,
}

/// Each check's verdict, what was found, and what to do.
type Checks = BTreeMap<String, (String, String, String)>;

impl Doctor<'_> {
    fn of(db: &TestDatabase) -> Self {
        Self { database_url: db.url(), set: vec![] }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = jebi(&self.database_url);
        command.arg("doctor").args(arguments).env("JEBI_LOG", "off");
        // Nobody listens there.
        command.env("JEBI_LISTEN", "127.0.0.1:1");
        command.envs(self.set.iter().map(|(name, value)| (name, value))).output().unwrap()
    }

    fn checks(&self) -> (bool, Checks) {
        let output = self.run(&["--json"]);
        let said: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", stderr(&output)));
        let mut checks = Checks::new();
        for check in said["checks"].as_array().unwrap() {
            let text = |field: &str| check[field].as_str().unwrap_or_default().to_owned();
            let told = (text("verdict"), text("found"), text("next"));
            assert!(!told.1.is_empty() && (told.0 == "ok") == told.2.is_empty(), "{check}");
            assert!(checks.insert(text("name"), told).is_none(), "{check}");
        }
        (output.status.success(), checks)
    }
}

/// Runs SQL that names this database as `HERE`.
async fn alter(db: &TestDatabase, sql: &str) {
    let name = db.text("SELECT current_database()::text").await;
    db.run(&sql.replace("HERE", &name)).await;
}

fn verdicts<'a>(checks: &'a Checks, verdict: &str) -> Vec<&'a str> {
    let of = checks.iter().filter(|(_, told)| told.0 == verdict);
    of.map(|(name, _)| name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_healthy_service_nothing_is_bad_and_all_is_known() {
    let redis = Redis::start().await;
    let app = TestApp::with(&[("REDIS_URL", &redis.url())]).await;
    let key = app.key_of("demo", &[Scope::PerformanceRead]).await;
    alter(&app.db, "ALTER DATABASE HERE SET random_page_cost = 1.1").await;
    // A superuser's setting: of the service itself it is the only thing that is left to warn of.
    for _ in 0..1_000 {
        app.get(ORDERS).await.expect(200);
    }
    let mut doctor = Doctor::of(&app.db);
    doctor.set = vec![
        ("REDIS_URL", redis.url()),
        ("JEBI_URL", format!("http://{}/", app.address)),
        ("JEBI_API_KEY", key),
    ];
    let (is_good, checks) = doctor.checks();
    assert_eq!(verdicts(&checks, "bad"), Vec::<&str>::new(), "{checks:#?}");
    assert_eq!(verdicts(&checks, "unknown"), Vec::<&str>::new(), "{checks:#?}");
    let mut warned = verdicts(&checks, "warn");
    // On a busy machine any statement may take 100 ms once.
    warned.retain(|name| *name != "slow statements");
    assert_eq!(warned, ["track_io_timing"], "{checks:#?}");
    assert!(is_good && checks.len() >= 24, "{checks:#?}");
    let output = doctor.run(&[]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(table.contains("\n0 bad, 1 warn, 0 unknown, "), "{table}");

    // A key that is no operator's, or none, leaves open what only the service knows.
    let only_the_service = ["hit rate", "n+1", "plans", "pool waits"];
    for key in [app.key.as_str(), "jebi_nonsense", ""] {
        doctor.set[2].1 = key.to_owned();
        let (is_good, checks) = doctor.checks();
        assert!(is_good);
        assert_eq!(verdicts(&checks, "unknown"), only_the_service);
        assert!(checks["n+1"].2.contains("--key"), "{checks:?}");
    }
    doctor.set.truncate(1);
    let (_, checks) = doctor.checks();
    assert!(checks["response time"].2.contains("jebi serve"), "{checks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_database_is_told_by_its_check() {
    let db = TestDatabase::new().await;
    let doctor = Doctor::of(&db);
    let (is_good, checks) = doctor.checks();
    assert!(is_good && checks["random_page_cost"].0 == "warn", "{checks:?}");

    alter(&db, "ALTER DATABASE HERE SET random_page_cost = 1.1").await;
    db.run("CREATE TABLE twice (n int); INSERT INTO twice VALUES (1), (1)").await;
    let build = "CREATE UNIQUE INDEX CONCURRENTLY twice_once ON twice (n)";
    assert!(db.try_run(build).await.is_err());
    let (is_good, checks) = doctor.checks();
    assert!(!is_good);
    assert_eq!(verdicts(&checks, "bad"), ["indexes"]);
    assert!(checks["indexes"].2.contains("DROP INDEX CONCURRENTLY public.twice_once"));
    assert_eq!(checks["random_page_cost"].0, "ok");
    db.run("DROP TABLE twice").await;

    db.run(
        "CREATE TABLE child (seller_id uuid REFERENCES sellers);
         CREATE TABLE a (n int); CREATE INDEX a_1 ON a (n); CREATE INDEX a_2 ON a (n);
         CREATE TABLE large (n int, m int);
         INSERT INTO large SELECT n, n FROM generate_series(1, 100000) AS n;
         CREATE INDEX large_n ON large (n)",
    )
    .await;
    let (is_good, checks) = doctor.checks();
    assert!(is_good, "warnings only: {checks:?}");
    for name in ["foreign keys", "indexes", "unused indexes"] {
        assert_eq!(checks[name].0, "warn", "{checks:?}");
    }
    db.run("INSERT INTO child SELECT NULL FROM generate_series(1, 10000); ANALYZE child").await;
    let (_, checks) = doctor.checks();
    assert_eq!(verdicts(&checks, "bad"), ["foreign keys"]);
    db.run("DROP TABLE child, a, large").await;

    db.run("SELECT pg_sleep(0.101)").await;
    assert_eq!(doctor.checks().1["slow statements"].0, "warn");

    db.run(
        "INSERT INTO sellers (id, name, key_salt)
         VALUES (gen_random_uuid(), 'one', decode(repeat('00', 32), 'hex'));
         INSERT INTO outbox (id, seller_id, event, aggregate_id, version, payload)
         SELECT gen_random_uuid(), id, 'orders:exploded', id, 1, '{}' FROM sellers",
    )
    .await;
    let (is_good, checks) = doctor.checks();
    assert!(!is_good && checks["invalidation rules"].1.contains("orders:exploded"), "{checks:?}");
    db.run("DELETE FROM __diesel_schema_migrations WHERE version = '0005'").await;
    assert_eq!(doctor.checks().1["migrations"].0, "bad");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_whose_letters_are_ascii_and_that_has_nothing_is_told() {
    let db = TestDatabase::unmigrated("TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'").await;
    let (is_good, checks) = Doctor::of(&db).checks();
    assert!(!is_good);
    assert_eq!(verdicts(&checks, "bad"), ["lc_ctype", "migrations"]);
    assert_eq!(checks["extensions"].0, "warn");
    assert_eq!(checks["slow statements"].0, "unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_settings_and_redis_is_told_by_its_check() {
    let (db, redis) = (TestDatabase::new().await, Redis::start().await);
    let mut doctor = Doctor::of(&db);
    doctor.set = vec![
        ("REDIS_URL", redis.url()),
        ("DATABASE_MAX_OVERFLOW", "100000".to_owned()),
        ("CACHE_COMPRESSION_ENABLED", "false".to_owned()),
        ("JEBI_CACHE_MAX_STALENESS_MS", "60000".to_owned()),
    ];
    redis.command("CONFIG SET maxmemory 100mb").await;
    redis.command("CONFIG SET maxmemory-policy noeviction").await;
    let (_, checks) = doctor.checks();
    assert_eq!(verdicts(&checks, "bad"), ["pool size"]);
    for name in ["redis memory", "compression", "cache lifetime"] {
        assert_eq!(checks[name].0, "warn", "{checks:?}");
    }
    redis.command("CONFIG SET maxmemory-policy allkeys-lru").await;
    doctor.set = vec![("REDIS_URL", redis.url()), ("DATABASE_POOL_SIZE", "400".to_owned())];
    let (_, checks) = doctor.checks();
    assert_eq!(checks["redis memory"].0, "ok");
    assert_eq!(checks["pool size"].0, "warn", "{checks:?}");
    drop(redis);
    assert_eq!(doctor.checks().1["redis"].0, "bad");

    doctor.set = vec![("CACHE_COMPRESSION_LEVEL", "11".to_owned())];
    let (is_good, checks) = doctor.checks();
    assert!(!is_good && checks["settings"].1.contains("CACHE_COMPRESSION_LEVEL"), "{checks:?}");
    assert_eq!(checks["postgresql"].0, "ok");
    let nowhere =
        Doctor { database_url: "postgres://x:sesame@127.0.0.1:1/x".to_owned(), set: vec![] };
    let output = nowhere.run(&[]);
    let said = String::from_utf8(output.stdout.clone()).unwrap() + &stderr(&output);
    assert!(!output.status.success() && !said.contains("sesame"), "{said}");
}
