use std::future::poll_fn;
use std::ops::{Deref, DerefMut};
use std::str::FromStr as _;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use diesel::connection::{Instrumentation, InstrumentationEvent};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _};
use jebi_domain::SellerId;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_postgres::NoTls;

use crate::Error;
use crate::error::chain;
use crate::relay::Happened;

/// Begins a transaction whose statements all see one snapshot.
pub(crate) const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// How many connections are kept, and how long one is waited for.
#[derive(Debug, Clone)]
pub struct Config {
    /// Connections kept open when nothing goes on.
    pub size: u32,
    /// More of them under a burst, closed once they have been idle for `idle_timeout`.
    pub overflow: u32,
    /// How long a caller waits for a connection.
    pub timeout: Duration,
    /// After this long without work a connection beyond `size` is closed.
    pub idle_timeout: Duration,
    /// PostgreSQL stops a statement that runs longer.
    pub statement_timeout: Duration,
    /// PostgreSQL gives up a lock that is not free by then.
    pub lock_timeout: Duration,
}

impl Default for Config {
    /// The defaults of `DATABASE_POOL_SIZE`, `DATABASE_MAX_OVERFLOW` and `DATABASE_POOL_TIMEOUT`.
    fn default() -> Self {
        Self {
            size: 20,
            overflow: 30,
            timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            statement_timeout: Duration::from_secs(15),
            lock_timeout: Duration::from_secs(5),
        }
    }
}

/// Connections to PostgreSQL, working as `jebi_service`, the role that row security binds.
#[derive(Clone)]
pub struct Pool {
    connections: bb8::Pool<Manager>,
    /// bb8 serves waiting callers in no order, so that some starve; the semaphore is fair.
    permits: Arc<Semaphore>,
    most: u32,
    timeout: Duration,
    statements: Arc<AtomicU64>,
    waits: Arc<Waits>,
}

/// How the pool is used at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// Connections that are open.
    pub open: u32,
    /// Those of them that nobody uses.
    pub idle: u32,
    /// As many may be open.
    pub most: u32,
}

/// How callers have waited for a connection since the pool was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolWaits {
    /// Callers for whom no connection was free.
    pub callers: u64,
    /// What they waited, all together.
    pub total: Duration,
    /// What one of them waited, at most.
    pub longest: Duration,
    /// Those of them who got none.
    pub refused: u64,
}

/// [`PoolWaits`] in the making.
#[derive(Debug, Default)]
struct Waits {
    callers: AtomicU64,
    total_us: AtomicU64,
    longest_us: AtomicU64,
    refused: AtomicU64,
}

impl Waits {
    fn note(&self, waited: Duration, is_refused: bool) {
        let us = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        self.callers.fetch_add(1, Relaxed);
        self.total_us.fetch_add(us, Relaxed);
        self.longest_us.fetch_max(us, Relaxed);
        self.refused.fetch_add(is_refused.into(), Relaxed);
    }

    fn so_far(&self) -> PoolWaits {
        let time = |us: &AtomicU64| Duration::from_micros(us.load(Relaxed));
        PoolWaits {
            callers: self.callers.load(Relaxed),
            total: time(&self.total_us),
            longest: time(&self.longest_us),
            refused: self.refused.load(Relaxed),
        }
    }
}

impl Pool {
    /// A pool for the database at `url`, opening its connections in the background. Inside a runtime.
    ///
    /// # Errors
    /// [`Error::NoConnection`] where the URL cannot be read.
    pub fn new(url: &str, config: &Config) -> Result<Self, Error> {
        let statements = Arc::new(AtomicU64::new(0));
        let mut target = tokio_postgres::Config::from_str(url).map_err(no_connection)?;
        target.application_name("jebi");
        let most = config.size + config.overflow;
        let manager = Manager {
            set_up: format!(
                "SET ROLE jebi_service; SET TIME ZONE 'UTC'; SET statement_timeout = {}; \
                 SET lock_timeout = {}; SET idle_in_transaction_session_timeout = '60s'",
                config.statement_timeout.as_millis(),
                config.lock_timeout.as_millis(),
            ),
            target,
            statements: Arc::clone(&statements),
        };
        let connections = bb8::Pool::builder()
            .max_size(most)
            .min_idle(config.size)
            .idle_timeout(config.idle_timeout)
            .reaper_rate(config.idle_timeout / 2)
            .max_lifetime(None)
            .connection_timeout(config.timeout)
            // No round trip: `is_valid` looks at a flag that the connection's own task sets.
            .test_on_check_out(true)
            .error_sink(Box::new(LogErrors))
            .build_unchecked(manager);
        Ok(Self {
            connections,
            permits: Arc::new(Semaphore::new(most as usize)),
            most,
            timeout: config.timeout,
            statements,
            waits: Arc::default(),
        })
    }

    /// A connection for reading. Waits in a fair queue, at most for the pool's timeout.
    pub(crate) async fn get(&self) -> Result<Lent<'_>, Error> {
        let lend = async {
            let permit = self.permits.acquire().await.map_err(no_connection)?;
            let connection = self.connections.get().await.map_err(no_connection)?;
            Ok(Lent { connection, _permit: permit })
        };
        let mut lend = std::pin::pin!(lend);
        // Where one is free there is nothing to measure.
        let at_once = poll_fn(|context| Poll::Ready(lend.as_mut().poll(context))).await;
        if let Poll::Ready(lent) = at_once {
            return lent;
        }
        let began = Instant::now();
        let lent = tokio::time::timeout(self.timeout, lend).await;
        let lent = lent.map_err(no_connection).and_then(|lent| lent);
        self.waits.note(began.elapsed(), lent.is_err());
        lent
    }

    /// Begins a transaction that may write rows of `seller` and of nobody else. One round trip.
    /// Dropped without [`Transaction::commit`], it is rolled back and its connection closed.
    ///
    /// # Errors
    /// [`Error::NoConnection`], [`Error::Query`].
    pub async fn begin(&self, seller: SellerId) -> Result<Transaction<'_>, Error> {
        let begin = format!("BEGIN; SELECT set_config('jebi.seller_id', '{seller}', true)");
        self.transaction(&begin).await
    }

    /// Begins a transaction whose statements all see one snapshot. One round trip.
    pub(crate) async fn snapshot(&self) -> Result<Transaction<'_>, Error> {
        self.snapshot_with("").await
    }

    /// A snapshot under settings of its own, such as `SET LOCAL enable_seqscan = off`. One round trip.
    pub(crate) async fn snapshot_with(&self, settings: &str) -> Result<Transaction<'_>, Error> {
        self.transaction(&format!("{SNAPSHOT}; {settings}")).await
    }

    async fn transaction(&self, begin: &str) -> Result<Transaction<'_>, Error> {
        let mut lent = self.get().await?;
        lent.connection.in_transaction = true;
        lent.control(begin).await.map_err(Error::of("begin a transaction"))?;
        Ok(Transaction { lent, happened: Mutex::default() })
    }

    /// How many statements the pool's connections have sent, without `BEGIN`, `COMMIT` and
    /// `ROLLBACK`.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.statements.load(Relaxed)
    }

    /// Whether every connection that may be open is at work: a burst, not a database that is gone.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.permits.available_permits() == 0 && self.state().open > 0
    }

    /// Open and idle connections.
    #[must_use]
    pub fn state(&self) -> PoolState {
        let state = self.connections.state();
        PoolState { open: state.connections, idle: state.idle_connections, most: self.most }
    }

    /// How callers have waited.
    #[must_use]
    pub fn waits(&self) -> PoolWaits {
        self.waits.so_far()
    }
}

fn no_connection(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::NoConnection(Box::new(error))
}

/// A connection that is out of the pool, and its place in the queue.
pub(crate) struct Lent<'a> {
    connection: bb8::PooledConnection<'a, Manager>,
    _permit: SemaphorePermit<'a>,
}

impl Lent<'_> {
    /// Sends what is no statement of ours to count: the begin and end of a transaction.
    async fn control(&mut self, sql: &str) -> diesel::QueryResult<()> {
        self.connection.statements.fetch_sub(1, Relaxed);
        self.connection.inner.batch_execute(sql).await
    }
}

impl Deref for Lent<'_> {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        &self.connection.inner
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        &mut self.connection.inner
    }
}

/// A transaction under way. It is a connection to run statements on.
pub struct Transaction<'a> {
    lent: Lent<'a>,
    happened: Mutex<Vec<Happened>>,
}

impl Transaction<'_> {
    /// Remembers an event that was written in this transaction.
    pub(crate) fn note(&self, happened: Happened) {
        self.happened.lock().unwrap_or_else(PoisonError::into_inner).push(happened);
    }

    /// The events that were written in this transaction: to be reported once it is committed.
    #[must_use]
    pub fn happened(&self) -> Vec<Happened> {
        self.happened.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes what was done last. One round trip.
    ///
    /// # Errors
    /// [`Error::Query`]: nothing was done, or, where the connection broke, it is not known.
    pub async fn commit(self) -> Result<(), Error> {
        self.end("COMMIT", "commit").await
    }

    /// Takes back what was done. One round trip.
    ///
    /// # Errors
    /// [`Error::Query`] where the connection broke; then, too, nothing was done.
    pub async fn rollback(self) -> Result<(), Error> {
        self.end("ROLLBACK", "roll back").await
    }

    /// Makes what was done last where it went well, and takes it back where it did not. One round trip.
    ///
    /// # Errors
    /// That of `done`, or that of the end.
    pub async fn settle<T, E: From<Error>>(self, done: Result<T, E>) -> Result<T, E> {
        match done {
            Ok(value) => {
                self.commit().await?;
                Ok(value)
            }
            Err(error) => {
                self.rollback().await?;
                Err(error)
            }
        }
    }

    async fn end(mut self, sql: &str, action: &'static str) -> Result<(), Error> {
        self.lent.control(sql).await.map_err(Error::of(action))?;
        self.lent.connection.in_transaction = false;
        Ok(())
    }
}

impl Deref for Transaction<'_> {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        &self.lent
    }
}

impl DerefMut for Transaction<'_> {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        &mut self.lent
    }
}

/// One connection and what is known of it without asking PostgreSQL.
struct Connection {
    inner: AsyncPgConnection,
    closed: Arc<AtomicBool>,
    in_flight: Arc<AtomicUsize>,
    in_transaction: bool,
    statements: Arc<AtomicU64>,
}

/// Opens connections for bb8 and tells the good from the bad.
struct Manager {
    target: tokio_postgres::Config,
    set_up: String,
    statements: Arc<AtomicU64>,
}

impl bb8::ManageConnection for Manager {
    type Connection = Connection;
    type Error = diesel::ConnectionError;

    async fn connect(&self) -> Result<Connection, Self::Error> {
        let bad =
            |error: tokio_postgres::Error| diesel::ConnectionError::BadConnection(chain(&error));
        let (client, driver) = self.target.connect(NoTls).await.map_err(bad)?;
        let closed = Arc::new(AtomicBool::new(false));
        tokio::spawn({
            let closed = Arc::clone(&closed);
            async move {
                if let Err(error) = driver.await {
                    tracing::debug!(error = &error as &dyn std::error::Error, "connection lost");
                }
                closed.store(true, Relaxed);
            }
        });
        client.batch_execute(&self.set_up).await.map_err(bad)?;

        let mut inner = AsyncPgConnection::try_from(client).await?;
        let in_flight = Arc::new(AtomicUsize::new(0));
        inner.set_instrumentation(Count {
            in_flight: Arc::clone(&in_flight),
            statements: Arc::clone(&self.statements),
        });
        let statements = Arc::clone(&self.statements);
        Ok(Connection { inner, closed, in_flight, in_transaction: false, statements })
    }

    async fn is_valid(&self, connection: &mut Connection) -> Result<(), Self::Error> {
        if connection.closed.load(Relaxed) {
            return Err(diesel::ConnectionError::BadConnection("closed while idle".to_owned()));
        }
        Ok(())
    }

    /// A connection comes back unfit when it is closed, when its transaction was neither committed nor
    /// rolled back, and when a statement still runs on it because its caller went away: the next
    /// borrower would wait for that statement. Such a statement is cancelled.
    fn has_broken(&self, connection: &mut Connection) -> bool {
        let abandoned = connection.in_flight.load(Relaxed) > 0;
        if abandoned {
            let cancel = connection.inner.cancel_token();
            tokio::spawn(async move {
                if let Err(error) = cancel.cancel_query(NoTls).await {
                    let error = &error as &dyn std::error::Error;
                    tracing::debug!(error, "could not cancel an abandoned statement");
                }
            });
        }
        abandoned || connection.in_transaction || connection.closed.load(Relaxed)
    }
}

/// Counts statements as they begin and end.
struct Count {
    in_flight: Arc<AtomicUsize>,
    statements: Arc<AtomicU64>,
}

impl Instrumentation for Count {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartQuery { .. } => {
                self.in_flight.fetch_add(1, Relaxed);
                self.statements.fetch_add(1, Relaxed);
            }
            InstrumentationEvent::FinishQuery { .. } => {
                self.in_flight.fetch_sub(1, Relaxed);
            }
            _ => {}
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct LogErrors;

impl bb8::ErrorSink<diesel::ConnectionError> for LogErrors {
    fn sink(&self, error: diesel::ConnectionError) {
        tracing::warn!("could not open a connection to PostgreSQL: {error}");
    }

    fn boxed_clone(&self) -> Box<dyn bb8::ErrorSink<diesel::ConnectionError>> {
        Box::new(*self)
    }
}
