//! Connections to Redis: shared, thrown away once they broke, and never to a Redis that was replaced unnoticed.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
use std::time::Duration;

use bb8_redis::{RedisConnectionManager, bb8};
use redis::RedisError;
use redis::aio::MultiplexedConnection;

use crate::key::Id;
use crate::sync::{Mutex, lock};

/// A connection that many use at once.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) redis: MultiplexedConnection,
    /// Which era it was opened in.
    opened: u64,
    era: Arc<AtomicU64>,
}

impl Shared {
    /// Begins another era: where one connection broke the others did, too, and a call of each would find out.
    pub(crate) fn give_up(&self) {
        self.era.fetch_max(self.opened + 1, AcqRel);
    }

    fn is_broken(&self) -> bool {
        self.opened < self.era.load(Acquire)
    }
}

/// `bb8-redis` holds every connection to be good and never connects again; this manager knows better.
#[derive(Debug, Clone)]
pub(crate) struct Manager {
    inner: RedisConnectionManager,
    identity: Arc<Identity>,
    connect_timeout: Duration,
    /// Raised when a connection broke.
    era: Arc<AtomicU64>,
}

/// What is emptied when Redis turns out to be another one than before.
#[derive(Debug)]
pub(crate) struct Identity {
    prefix: Vec<u8>,
    namespaces: Vec<Id>,
    /// The last one that this process was connected to.
    known: Mutex<Option<Reign>>,
}

/// Which life a Redis is in, as the one that is written to: it ends with the process, and with a replica taking over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reign(String);

impl Reign {
    /// From what Redis tells about itself; `None` for a replica, whose data are behind.
    fn read(info: &str) -> Option<Self> {
        let field = |name: &str| {
            let mut fields = info.lines().filter_map(|line| line.split_once(':'));
            fields.find_map(|(field, value)| (field == name).then_some(value.trim_end()))
        };
        let is_written_to = field("role") == Some("master");
        let run = [field("run_id"), field("master_replid")].map(Option::unwrap_or_default);
        is_written_to.then(|| Self(run.join(":")))
    }
}

impl Identity {
    pub(crate) fn new(prefix: Vec<u8>, namespaces: Vec<Id>) -> Self {
        Self { prefix, namespaces, known: Mutex::default() }
    }

    /// A Redis that was restarted from disk, or a replica that took over, may have lost invalidations: the
    /// first to connect to it ends the generations of every namespace.
    async fn confirm(&self, redis: &mut MultiplexedConnection) -> Result<Reign, RedisError> {
        let mut info = redis::pipe();
        info.cmd("INFO").arg("server").cmd("INFO").arg("replication");
        let info: Vec<String> = info.query_async(redis).await?;
        let Some(reign) = Reign::read(&info.concat()) else {
            return Err((redis::ErrorKind::Client, "a replica is not read from").into());
        };
        let key = |kind: &[u8], name: &[u8]| [&self.prefix, kind, name].concat();
        let name = key(b"r:", reign.0.as_bytes());
        let is_known: bool = redis::cmd("EXISTS").arg(&name).query_async(redis).await?;
        // One that has forgotten that it is known was emptied, and with it all that it could have lost.
        let was_emptied = lock(&self.known).as_ref() == Some(&reign);
        if !is_known {
            let mut all = redis::pipe();
            all.atomic();
            if !was_emptied {
                for namespace in &self.namespaces {
                    all.cmd("DEL").arg(key(b"g:", &namespace.0)).ignore();
                }
                // Its clock is another one, too.
                all.cmd("DEL").arg(key(b"beat", b"")).ignore();
                let reign = &reign.0;
                tracing::info!(redis.reign = reign, "A Redis that was not known: its values go");
            }
            all.cmd("SET").arg(&name).arg(1).ignore();
            all.query_async::<()>(redis).await?;
        }
        *lock(&self.known) = Some(reign.clone());
        Ok(reign)
    }
}

impl Manager {
    pub(crate) fn new(
        url: &str,
        identity: Identity,
        connect_timeout: Duration,
    ) -> Result<Self, RedisError> {
        Ok(Self {
            inner: RedisConnectionManager::new(url)?,
            identity: Arc::new(identity),
            connect_timeout,
            era: Arc::default(),
        })
    }

    /// A connection beside the pool, for calls that wait.
    pub(crate) async fn open(&self) -> Result<(MultiplexedConnection, Reign), RedisError> {
        let open = async {
            let mut redis = bb8::ManageConnection::connect(&self.inner).await?;
            let reign = self.identity.confirm(&mut redis).await?;
            Ok((redis, reign))
        };
        let late = |_| RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        tokio::time::timeout(self.connect_timeout, open).await.map_err(late)?
    }
}

impl bb8::ManageConnection for Manager {
    type Connection = Shared;
    type Error = RedisError;

    async fn connect(&self) -> Result<Shared, RedisError> {
        let opened = self.era.load(Acquire);
        let (redis, _) = self.open().await?;
        Ok(Shared { redis, opened, era: Arc::clone(&self.era) })
    }

    async fn is_valid(&self, shared: &mut Shared) -> Result<(), RedisError> {
        match shared.is_broken() {
            false => Ok(()),
            true => Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()),
        }
    }

    fn has_broken(&self, shared: &mut Shared) -> bool {
        shared.is_broken()
    }
}
