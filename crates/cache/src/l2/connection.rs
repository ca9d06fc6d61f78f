//! Connections to Redis: shared, thrown away once they broke, and never to a Redis that was replaced unnoticed.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

use bb8_redis::{RedisConnectionManager, bb8};
use redis::RedisError;
use redis::aio::MultiplexedConnection;

use crate::key::Id;

/// A connection that many use at once, and whether it is known to be broken.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) redis: MultiplexedConnection,
    is_broken: Arc<AtomicBool>,
}

impl Shared {
    /// Marks the connection, so that the next caller gets another one.
    pub(crate) fn give_up(&self) {
        self.is_broken.store(true, Release);
    }
}

/// `bb8-redis` holds every connection to be good and never connects again; this manager knows better.
#[derive(Debug, Clone)]
pub(crate) struct Manager {
    inner: RedisConnectionManager,
    identity: Identity,
    connect_timeout: Duration,
}

/// What is emptied when Redis turns out to be another one than before.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) prefix: Vec<u8>,
    pub(crate) namespaces: Vec<Id>,
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
        if redis::cmd("EXISTS").arg(&name).query_async(redis).await? {
            return Ok(reign);
        }
        let mut all = redis::pipe();
        all.atomic();
        for namespace in &self.namespaces {
            all.cmd("DEL").arg(key(b"g:", &namespace.0)).ignore();
        }
        // Its clock is another one, too.
        all.cmd("DEL").arg(key(b"beat", b"")).ignore();
        all.cmd("SET").arg(&name).arg(1).ignore();
        all.query_async::<()>(redis).await?;
        tracing::info!(
            redis.reign = reign.0,
            "A Redis that was not known: its values are not used"
        );
        Ok(reign)
    }
}

impl Manager {
    pub(crate) fn new(
        url: &str,
        identity: Identity,
        connect_timeout: Duration,
    ) -> Result<Self, RedisError> {
        Ok(Self { inner: RedisConnectionManager::new(url)?, identity, connect_timeout })
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
        let (redis, _) = self.open().await?;
        Ok(Shared { redis, is_broken: Arc::default() })
    }

    async fn is_valid(&self, shared: &mut Shared) -> Result<(), RedisError> {
        match shared.is_broken.load(Acquire) {
            false => Ok(()),
            true => Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()),
        }
    }

    fn has_broken(&self, shared: &mut Shared) -> bool {
        shared.is_broken.load(Acquire)
    }
}
