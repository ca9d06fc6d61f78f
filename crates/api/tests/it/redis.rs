//! A Redis of one test's own, which may be paused, emptied and killed; and a link to it that may be cut.

use std::net::TcpListener as StdListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub(crate) struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        let port = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut redis = Self { child: spawn(port), port };
        redis.answers().await;
        redis
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Sends one command and waits for its answer.
    pub(crate) async fn command(&self, command: &str) {
        assert!(self.try_command(command).await, "{command}");
    }

    async fn try_command(&self, command: &str) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address()).await else { return false };
        let sent = stream.write_all(format!("{command}\r\n").as_bytes()).await;
        let mut answer = [0; 1];
        sent.is_ok() && stream.read_exact(&mut answer).await.is_ok() && answer == *b"+"
    }

    /// Sends one command and gives its answer, a bulk string.
    pub(crate) async fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(format!("{command}\r\n").as_bytes()).await.unwrap();
        let (mut answer, mut chunk) = (Vec::new(), vec![0; 64 << 10]);
        loop {
            let length = stream.read(&mut chunk).await.unwrap();
            answer.extend_from_slice(&chunk[..length]);
            let text = String::from_utf8_lossy(&answer);
            if let Some((head, body)) = text.split_once("\r\n") {
                let length: usize = head.strip_prefix('$').unwrap().parse().unwrap();
                if body.len() >= length + 2 {
                    return body[..length].to_owned();
                }
            }
        }
    }

    async fn answers(&mut self) {
        while !self.try_command("PING").await {
            assert!(self.child.try_wait().unwrap().is_none(), "redis-server does not start");
            tokio::task::yield_now().await;
        }
    }

    /// All values, one behind the other.
    pub(crate) async fn dump(&self) -> Vec<u8> {
        let script = "local all = '' for _, key in ipairs(redis.call('KEYS', '*')) do \
                      if redis.call('TYPE', key).ok == 'string' then \
                      all = all .. key .. redis.call('GET', key) end end return all";
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        let command = format!("*3\r\n$4\r\nEVAL\r\n${}\r\n{script}\r\n$1\r\n0\r\n", script.len());
        stream.write_all(command.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let mut chunk = vec![0; 64 << 10];
        loop {
            let length = stream.read(&mut chunk).await.unwrap();
            answer.extend_from_slice(&chunk[..length]);
            let Some(head) = answer.windows(2).position(|bytes| bytes == b"\r\n") else { continue };
            let size = std::str::from_utf8(&answer[1..head]).unwrap().parse::<usize>().unwrap();
            if answer.len() >= head + 2 + size + 2 {
                return answer.split_off(head + 2);
            }
        }
    }

    /// Stops it where it stands; what it was sent waits.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    pub(crate) fn go_on(&self) {
        self.signal("CONT");
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Comes back with nothing in it.
    pub(crate) async fn come_back(&mut self) {
        self.child = spawn(self.port);
        self.answers().await;
    }

    fn signal(&self, signal: &str) {
        // The shell's own `kill`: not every machine has the program.
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(port: u16) -> Child {
    Command::new("redis-server")
        .args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ])
        .stdout(Stdio::null())
        .spawn()
        .expect("`cargo xtask test` sees that redis-server is there")
}

/// A way to Redis.
pub(crate) struct Link {
    pub(crate) url: String,
    is_cut: watch::Sender<bool>,
}

impl Link {
    pub(crate) async fn to(redis: &Redis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}/0", listener.local_addr().unwrap());
        let (is_cut, watched) = watch::channel(false);
        let server: Arc<str> = redis.address().into();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (server, mut watched) = (Arc::clone(&server), watched.clone());
                tokio::spawn(async move {
                    let cut = async { watched.wait_for(|is_cut| *is_cut).await.map(|_| ()) };
                    let carry = async {
                        let mut server = TcpStream::connect(&*server).await?;
                        copy_bidirectional(&mut client, &mut server).await
                    };
                    tokio::select! { _ = cut => {} _ = carry => {} }
                });
            }
        });
        Self { url, is_cut }
    }

    /// Nothing gets through.
    pub(crate) fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    pub(crate) fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}
