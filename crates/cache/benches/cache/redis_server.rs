//! Redis for the run.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The Redis at `REDIS_URL`, else a private one that ends with the run.
pub(crate) struct Server {
    pub(crate) url: String,
    child: Option<Child>,
}

impl Server {
    /// `None`, and a line that says so, where there is none and none can be started.
    pub(crate) fn find() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "a bench reads what its caller says")]
        let given = std::env::var("REDIS_URL").ok();
        if let Some(url) = given {
            return Some(Self { url, child: None });
        }
        let server = Self::start();
        if server.is_none() {
            println!("no REDIS_URL and no redis-server: what needs Redis is left out");
        }
        server
    }

    fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let server = Self { url: format!("redis://127.0.0.1:{port}/0"), child: Some(child) };
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It has ended already where this fails.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A prefix that no other run has.
pub(crate) fn prefix() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    format!("bench-{}-{}", std::process::id(), now.expect("it is after 1970").as_nanos())
}

/// Waits until the cache has heard from Redis, so that what lies there is used.
pub(crate) async fn connected(cache: &jebi_cache::Cache) {
    for _ in 0..1_000 {
        if cache.stats().l2.is_some_and(|l2| l2.is_trusted) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("Redis was not heard of within ten seconds");
}

/// Removes what the run has left: all keys with the prefix.
pub(crate) async fn clean(redis: &mut redis::aio::MultiplexedConnection, prefix: &str) {
    let mut cursor = 0_u64;
    loop {
        let pattern = format!("{{{prefix}}}*");
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(10_000);
        let (next, keys): (u64, Vec<Vec<u8>>) =
            scan.query_async(redis).await.expect("Redis answers");
        if !keys.is_empty() {
            let unlink: Result<(), _> = redis::cmd("UNLINK").arg(keys).query_async(redis).await;
            unlink.expect("Redis answers");
        }
        cursor = next;
        if cursor == 0 {
            return;
        }
    }
}
