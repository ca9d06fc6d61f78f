//! A Redis of a test's own, to be stopped and killed.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use redis::aio::MultiplexedConnection;

pub(crate) struct Server {
    pub(crate) url: String,
    process: Child,
    port: u16,
    directory: PathBuf,
}

impl Server {
    /// Starts on a port that was free a moment ago. `arguments` as `redis-server` takes them.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let directory = std::env::temp_dir().join(crate::support::prefix());
        std::fs::create_dir(&directory).unwrap();
        let process = spawn(port, &directory, arguments);
        let url = format!("redis://127.0.0.1:{port}/0");
        let server = Self { url, process, port, directory };
        server.connect().await;
        server
    }

    /// Ends it as a crash does, and starts it again with what it had saved, which is nothing.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.process = spawn(self.port, &self.directory, &[]);
        self.connect().await;
    }

    pub(crate) fn kill(&mut self) {
        // It may be stopped, or gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// SIGSTOP: connections stay, and nothing is answered.
    pub(crate) fn stop(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        // The shell's own `kill`: not every machine has the program.
        let kill = format!("kill {signal} {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// A connection for the test itself, once it answers.
    pub(crate) async fn connect(&self) -> MultiplexedConnection {
        connect(&self.url).await
    }

    /// Makes it a replica, and waits until it has all that the other one has.
    pub(crate) async fn follow(&self, url: &str) {
        let mut redis = self.connect().await;
        let mut replicate = redis::cmd("REPLICAOF");
        let port = url.trim_end_matches("/0").rsplit(':').next().unwrap();
        replicate.arg("127.0.0.1").arg(port);
        replicate.query_async::<()>(&mut redis).await.unwrap();
        loop {
            let info: String =
                redis::cmd("INFO").arg("replication").query_async(&mut redis).await.unwrap();
            if info.contains("master_link_status:up") {
                return;
            }
        }
    }

    /// Makes a replica the one that is written to.
    pub(crate) async fn take_over(&self) {
        let mut redis = self.connect().await;
        let mut lead = redis::cmd("REPLICAOF");
        lead.arg("NO").arg("ONE").query_async::<()>(&mut redis).await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A connection to the Redis at `url`, once it answers.
pub(crate) async fn connect(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).unwrap();
    loop {
        if let Ok(mut redis) = client.get_multiplexed_async_connection().await
            && redis::cmd("PING").query_async::<String>(&mut redis).await.is_ok()
        {
            return redis;
        }
        tokio::task::yield_now().await;
    }
}

fn spawn(port: u16, directory: &PathBuf, arguments: &[&str]) -> Child {
    let program = |name: &str| {
        let mut server = Command::new(name);
        server.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        server.args(["--appendonly", "no", "--repl-diskless-sync-delay", "0", "--dir"]);
        server.arg(directory).args(arguments).stdout(Stdio::null()).spawn()
    };
    program("redis-server").or_else(|_| program("valkey-server")).expect("a Redis to start")
}
