//! Connections to Redis: shared, thrown away once they broke, and never to a Redis that was replaced unnoticed.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Acquire};
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
        self.is_broken.store(true, std::sync::atomic::Ordering::Release);
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

impl Identity {
    /// A Redis that was restarted from disk, or a replica that took over, may have lost invalidations: the
    /// first to connect to it ends the generations of every namespace.
    async fn confirm(&self, redis: &mut MultiplexedConnection) -> Result<(), RedisError> {
        let server: String = redis::cmd("INFO").arg("server").query_async(redis).await?;
        let run = server.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap_or_default();
        let key = |kind: &[u8], name: &[u8]| [&self.prefix, kind, name].concat();
        let known: bool =
            redis::cmd("EXISTS").arg(key(b"r:", run.as_bytes())).query_async(redis).await?;
        if known {
            return Ok(());
        }
        let mut all = redis::pipe();
        all.atomic();
        for namespace in &self.namespaces {
            all.cmd("DEL").arg(key(b"g:", &namespace.0)).ignore();
        }
        all.cmd("SET").arg(key(b"r:", run.as_bytes())).arg(1).ignore();
        all.query_async::<()>(redis).await?;
        tracing::info!(redis.run_id = run, "A Redis that was not known: its values are not used");
        Ok(())
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
    pub(crate) async fn open(&self) -> Result<MultiplexedConnection, RedisError> {
        let open = async {
            let mut redis = bb8::ManageConnection::connect(&self.inner).await?;
            self.identity.confirm(&mut redis).await?;
            Ok(redis)
        };
        let late = |_| RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        tokio::time::timeout(self.connect_timeout, open).await.map_err(late)?
    }
}

impl bb8::ManageConnection for Manager {
    type Connection = Shared;
    type Error = RedisError;

    async fn connect(&self) -> Result<Shared, RedisError> {
        Ok(Shared { redis: self.open().await?, is_broken: Arc::default() })
    }

    async fn is_valid(&self, shared: &mut Shared) -> Result<(), RedisError> {
        match shared.is_broken.swap(false, AcqRel) {
            false => Ok(()),
            true => Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()),
        }
    }

    fn has_broken(&self, shared: &mut Shared) -> bool {
        shared.is_broken.load(Acquire)
    }
}
