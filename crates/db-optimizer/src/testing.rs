//! For tests: a database each, made from a migrated template, with sellers in it; and counted
//! statements.

use std::future::Future;

use chrono::Utc;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_async::SimpleAsyncConnection as _;
use jebi_domain::{At, MasterKey, OrderFilter, PageNumber, PageSize, SellerId, SellerKeys};
use uuid::Uuid;

use crate::orders::{SummaryRow, page_statement};
use crate::repeats::{Found, watch_allowing};
use crate::{Admin, Bind, Config, Pool, Statement, Transaction, migrate, random, sellers};

/// A database of one test's own, dropped with this value.
pub struct TestDatabase {
    server: String,
    name: String,
    /// As the service reaches it.
    pub pool: Pool,
    /// The key that its sellers' keys hang on.
    pub master_key: MasterKey,
}

/// The master key of [`TestDatabase`], as `JEBI_MASTER_KEY` spells it.
pub const MASTER_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

impl TestDatabase {
    /// A fresh database. Needs a runtime with several threads, for the template's migrations.
    ///
    /// # Panics
    /// Where there is no server: `cargo xtask test` sets one up and says where it is in `DATABASE_URL`.
    pub async fn new() -> Self {
        Self::with_config(&Config { size: 2, ..Config::default() }).await
    }

    /// A fresh database, reached through a pool of this size.
    ///
    /// # Panics
    /// As [`TestDatabase::new`].
    pub async fn with_config(config: &Config) -> Self {
        Self::made(config, async |server| format!("TEMPLATE {}", template(server).await)).await
    }

    async fn made(config: &Config, options: impl AsyncFnOnce(&str) -> String) -> Self {
        #[expect(clippy::disallowed_methods, reason = "tests have no settings but this one")]
        let server = std::env::var("DATABASE_URL").expect("run the tests by `cargo xtask test`");
        let options = options(&server).await;
        let name = format!("jebi_test_{}", Uuid::from_bytes(random()).simple());
        run(&server, &format!("CREATE DATABASE {name} {options}")).await;
        let pool = Pool::new(&url(&server, &name), config).expect("the server's URL is good");
        let master_key = MasterKey::from_hex(MASTER_KEY).expect("64 hexadecimal digits");
        Self { server, name, pool, master_key }
    }

    /// An empty database without this program's tables, made with these options of `CREATE DATABASE`.
    ///
    /// # Panics
    /// As [`TestDatabase::new`], and where the options are wrong.
    pub async fn unmigrated(options: &str) -> Self {
        let config = Config { size: 1, ..Config::default() };
        Self::made(&config, async |_| options.to_owned()).await
    }

    /// The URL of the database.
    #[must_use]
    pub fn url(&self) -> String {
        url(&self.server, &self.name)
    }

    /// A connection as the database's owner.
    ///
    /// # Panics
    /// Where the server is gone.
    pub async fn admin(&self) -> Admin {
        Admin::connect(&self.url()).await.expect("the server is there")
    }

    /// The keys of a seller, who is added where there is none of this name.
    ///
    /// # Panics
    /// Where the database does not do as it is told.
    pub async fn seller(&self, name: &str) -> SellerKeys {
        let seller = sellers::add(&self.admin().await, name, Utc::now()).await.expect("a seller");
        self.master_key.seller_keys(seller.id, &seller.key_salt)
    }

    /// Runs SQL as the database's owner.
    ///
    /// # Panics
    /// Where the SQL fails.
    pub async fn run(&self, sql: &str) {
        run(&self.url(), sql).await;
    }

    /// Runs SQL that may fail as the database's owner.
    ///
    /// # Errors
    /// What PostgreSQL says.
    ///
    /// # Panics
    /// Where the server is gone.
    pub async fn try_run(&self, sql: &str) -> Result<(), String> {
        let mut admin = self.admin().await;
        admin.batch_execute(sql).await.map_err(|error| error.to_string())
    }

    /// One number, as the database's owner sees it.
    ///
    /// # Panics
    /// Where the SQL fails or answers with something else.
    pub async fn number(&self, sql: &str) -> i64 {
        let statement = Statement::<BigInt>::new(sql.to_owned(), vec![]);
        statement.one(&*self.admin().await).await.expect("a number")
    }

    /// One text, as the database's owner sees it.
    ///
    /// # Panics
    /// Where the SQL fails or answers with something else.
    pub async fn text(&self, sql: &str) -> String {
        let statement = Statement::<Text>::new(sql.to_owned(), vec![]);
        statement.one(&*self.admin().await).await.expect("a text")
    }

    /// Gives `seller` a twin: every row again with the same ids under another seller, so that a
    /// statement that forgets its seller finds both. What the twin's orders show is different.
    ///
    /// # Panics
    /// Where a row cannot be cloned.
    pub async fn twin_of(&self, seller: SellerId) -> SellerKeys {
        let twin = self.seller("twin").await;
        // By oid: a table that refers to another was made after it.
        let clones = "SELECT string_agg(format(
                'INSERT INTO %s (%s) SELECT %s FROM %s WHERE seller_id = {seller};',
                name, columns, replace(columns, 'seller_id', '{twin}::uuid'), name), ' ' ORDER BY oid)
            FROM (
                SELECT c.oid, c.relname AS name, string_agg(quote_ident(a.attname), ', ') AS columns
                FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
                WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
                  AND NOT c.relispartition AND c.relname <> 'api_keys' AND c.relname NOT LIKE '%_total%'
                  AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
                GROUP BY c.oid
                HAVING bool_or(a.attname = 'seller_id')
            ) AS tables";
        let mut clone = "DELETE FROM platform_accounts WHERE seller_id = {twin};".to_owned();
        clone += &self.text(clones).await;
        clone += "UPDATE orders SET order_number = 'TWIN ' || order_number, memo = 'TWIN'
                  WHERE seller_id = {twin};
                  UPDATE order_items SET product_name = 'TWIN' WHERE seller_id = {twin};";
        let clone = clone.replace("{twin}", &format!("'{}'", twin.seller()));
        self.run(&clone.replace("{seller}", &format!("'{seller}'"))).await;
        twin
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // A drop cannot wait, and the test's runtime is about to end: a thread with one of its own.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run(&server, &format!("DROP DATABASE {name} WITH (FORCE)")));
            std::io::Result::Ok(())
        });
        drop(dropping.join());
    }
}

/// Numbers that look random and are the same for the same seed (an LCG; constants of Knuth's MMIX). A test that
/// fails says the seed.
pub struct Numbers {
    seed: u64,
    state: u64,
}

impl Numbers {
    /// The numbers of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// Other numbers in every run, but for those of `JEBI_TEST_SEED` where that is set.
    ///
    /// # Panics
    /// Where `JEBI_TEST_SEED` is no number.
    #[must_use]
    pub fn fresh() -> Self {
        #[expect(clippy::disallowed_methods, reason = "how a failure is repeated")]
        let seed = std::env::var("JEBI_TEST_SEED").ok();
        Self::new(seed.map_or_else(
            || u64::from_le_bytes(random()),
            |seed| seed.parse().expect("JEBI_TEST_SEED is a number"),
        ))
    }

    /// A number below `bound`, which is not 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % bound
    }

    /// One of some values, of which there is one at least.
    ///
    /// # Panics
    /// Where there is none.
    pub fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        let at = self.below(values.len() as u64);
        values[usize::try_from(at).expect("an index is a usize")]
    }
}

impl Drop for Numbers {
    #[expect(clippy::print_stderr, reason = "shown with the failure of a test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("made from the seed {}; JEBI_TEST_SEED repeats a fresh one", self.seed);
        }
    }
}

/// Runs `work` and checks that it took `expected` statements on `pool`.
///
/// # Panics
/// Where it took more or fewer.
pub async fn assert_statements<T>(pool: &Pool, expected: u64, work: impl Future<Output = T>) -> T {
    let before = pool.statements();
    let done = work.await;
    assert_eq!(pool.statements() - before, expected, "statements");
    done
}

/// Runs `work` and checks that it runs no statement twice: what reads one row at a time does.
///
/// # Panics
/// Where it does, with the statements.
pub async fn assert_no_repeats<T>(work: impl Future<Output = T>) -> T {
    let found = Found::default();
    let done = watch_allowing(1, &found, work, |_| "the work of a test".to_owned()).await;
    let findings = found.findings();
    assert!(findings.is_empty(), "statements are repeated: {findings:#?}");
    done
}

/// The total that a list shows and the number of its orders, counted one by one, in one snapshot.
///
/// # Panics
/// Where a statement fails.
pub async fn total_and_count(pool: &Pool, seller: SellerId, filter: &OrderFilter) -> (i64, i64) {
    let snapshot = pool.snapshot().await.expect("a snapshot");
    let size = PageSize::new(1).expect("1 is a size");
    let page = page_statement(seller, filter, At::Page(PageNumber::first()), size);
    let rows: Vec<(i64, bool, Option<SummaryRow>)> = page.all(&snapshot).await.expect("a page");
    let count = Statement::<BigInt>::new(
        "SELECT count(*) FROM orders WHERE seller_id = $1
           AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR platform = $3)",
        vec![
            Bind::from(seller),
            Bind::from(filter.status.map(|status| status.to_string())),
            Bind::from(filter.platform.map(|platform| platform.to_string())),
        ],
    );
    let count = count.one(&snapshot).await.expect("a count");
    snapshot.commit().await.expect("the snapshot ends");
    (rows[0].0, count)
}

/// Runs SQL as the service would inside a transaction, and says how many rows it wrote.
///
/// # Errors
/// What PostgreSQL says.
pub async fn run_as_service(transaction: &Transaction<'_>, sql: &str) -> Result<usize, String> {
    let statement = Statement::<()>::new(sql.to_owned(), vec![]);
    statement.run(transaction).await.map_err(|error| error.to_string())
}

/// The name of the template with this program's migrations, which is made where it is missing.
async fn template(server: &str) -> String {
    let name = concat!("jebi_template_", env!("JEBI_MIGRATIONS_DIGEST"));
    let connection = Admin::connect(server).await.expect("the server of DATABASE_URL is there");
    // Tests run in several processes at once, and one makes the template. The lock ends with the
    // connection.
    let lock = "SELECT true FROM pg_advisory_lock(7)";
    let exists = format!("SELECT EXISTS (SELECT FROM pg_database WHERE datname = '{name}')");
    assert!(truth(&connection, lock).await);
    if !truth(&connection, &exists).await {
        let unfinished = format!("{name}_unfinished");
        run(server, &format!("DROP DATABASE IF EXISTS {unfinished}")).await;
        run(server, &format!("CREATE DATABASE {unfinished}")).await;
        let admin = Admin::connect(&url(server, &unfinished)).await.expect("the new database");
        migrate(admin).await.expect("the migrations apply");
        run(server, &format!("ALTER DATABASE {unfinished} RENAME TO {name}")).await;
    }
    name.to_owned()
}

async fn truth(connection: &Admin, sql: &str) -> bool {
    let statement = Statement::<Bool>::new(sql.to_owned(), vec![]);
    statement.one(connection).await.expect("the server answers")
}

async fn run(url: &str, sql: &str) {
    let mut admin = Admin::connect(url).await.expect("the server is there");
    admin.batch_execute(sql).await.expect("the SQL is right");
}

/// The URL of another database on the same server.
fn url(server: &str, database: &str) -> String {
    let (server, options) = server.split_once('?').unwrap_or((server, ""));
    let (server, _) = server.rsplit_once('/').expect("DATABASE_URL names a database");
    let options = if options.is_empty() { String::new() } else { format!("?{options}") };
    format!("{server}/{database}{options}")
}
