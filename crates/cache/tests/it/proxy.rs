//! A TCP proxy before Redis that delays, loses, cuts and falsifies what goes through it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::until;

pub(crate) struct Proxy {
    /// Redis's URL, through the proxy.
    pub(crate) url: String,
    rules: watch::Sender<Rules>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicU64,
    held: AtomicU64,
    /// Bytes from Redis.
    answered: AtomicU64,
    /// Requests in which `Rules::counted` stands.
    counted: AtomicU64,
}

#[derive(Debug, Clone, Default)]
struct Rules {
    /// Where Redis is.
    to: String,
    refuses: bool,
    /// Connections up to this number are closed.
    closed: u64,
    /// Connections up to this number stay open, and nothing comes through.
    lost: u64,
    /// Requests in which one of these stands do not come through, nor what comes behind them.
    holds_requests: Vec<&'static [u8]>,
    holds_answers: bool,
    /// Given for every answer.
    lie: Option<Arc<[u8]>>,
    /// Of the next answer only the first half comes through, and the connection is closed.
    halves: bool,
    counted: &'static [u8],
}

impl Proxy {
    /// A proxy before the Redis at `url`.
    pub(crate) async fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let rules = watch::Sender::new(Rules { to: address_in(url), ..Rules::default() });
        let counts = Arc::new(Counts::default());
        let proxy = Self {
            url: format!("redis://{address}/0"),
            rules: rules.clone(),
            counts: Arc::clone(&counts),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let now = rules.borrow().clone();
                if now.refuses {
                    continue;
                }
                let number = counts.connections.fetch_add(1, SeqCst) + 1;
                let Ok(server) = TcpStream::connect(&now.to).await else { continue };
                let pipe = Pipe { number, rules: rules.subscribe(), counts: Arc::clone(&counts) };
                tokio::spawn(pipe.carry(client, server));
            }
        });
        proxy
    }

    /// Requests with these bytes in them wait for [`Proxy::heal`]; all of them where there are none.
    pub(crate) fn hold_requests(&self, with: &'static [u8]) {
        self.rules.send_modify(|rules| rules.holds_requests.push(with));
    }

    /// Answers wait for [`Proxy::heal`].
    pub(crate) fn hold_answers(&self) {
        self.rules.send_modify(|rules| rules.holds_answers = true);
    }

    /// Closes all connections and takes no new ones.
    pub(crate) fn cut(&self) {
        let connections = self.counts.connections.load(SeqCst);
        self.rules.send_modify(|rules| {
            rules.refuses = true;
            rules.closed = connections;
        });
    }

    /// From now on nothing comes through the connections there are; new ones work.
    pub(crate) fn lose_connections(&self) {
        let connections = self.counts.connections.load(SeqCst);
        self.rules.send_modify(|rules| rules.lost = connections);
    }

    /// Answers every request with these bytes.
    pub(crate) fn lie(&self, answer: &[u8]) {
        self.rules.send_modify(|rules| rules.lie = Some(answer.into()));
    }

    /// Gives half of each answer, and closes its connection.
    pub(crate) fn halve_answers(&self) {
        self.rules.send_modify(|rules| rules.halves = true);
    }

    /// All goes through again.
    pub(crate) fn heal(&self) {
        self.rules.send_modify(|rules| {
            *rules = Rules {
                to: rules.to.clone(),
                closed: rules.closed,
                lost: rules.lost,
                counted: rules.counted,
                ..Rules::default()
            };
        });
    }

    /// Cuts all connections; those to come lead to another Redis.
    pub(crate) fn lead_to(&self, url: &str) {
        self.cut();
        self.rules.send_modify(|rules| {
            rules.to = address_in(url);
            rules.refuses = false;
        });
    }

    /// Counts requests with these bytes in them, from now on.
    pub(crate) fn count(&self, what: &'static [u8]) {
        self.counts.counted.store(0, SeqCst);
        self.rules.send_modify(|rules| rules.counted = what);
    }

    pub(crate) fn counted(&self) -> u64 {
        self.counts.counted.load(SeqCst)
    }

    /// Bytes that Redis answered.
    pub(crate) fn answered(&self) -> u64 {
        self.counts.answered.load(SeqCst)
    }

    /// Waits until something is held back.
    pub(crate) async fn holds(&self) {
        until("something is held back", || self.counts.held.load(SeqCst) > 0).await;
    }
}

fn address_in(url: &str) -> String {
    url.trim_start_matches("redis://").split('/').next().unwrap().to_owned()
}

#[derive(Clone)]
struct Pipe {
    number: u64,
    rules: watch::Receiver<Rules>,
    counts: Arc<Counts>,
}

impl Pipe {
    async fn carry(self, client: TcpStream, server: TcpStream) {
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let mut rules = self.rules.clone();
        tokio::select! {
            () = self.clone().requests(from_client, to_server) => {}
            () = self.clone().answers(from_server, to_client) => {}
            _ = rules.wait_for(|rules| rules.closed >= self.number) => {}
        }
    }

    async fn requests(self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut chunk = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut chunk).await {
            let request = &chunk[..length];
            let is_held = |rules: &Rules| {
                rules.lost >= self.number
                    || rules.holds_requests.iter().any(|with| contains(request, with))
            };
            let counted = self.rules.borrow().counted;
            if !counted.is_empty() {
                let found = request.windows(counted.len()).filter(|window| *window == counted);
                self.counts.counted.fetch_add(found.count() as u64, SeqCst);
            }
            self.pass(is_held).await;
            if to.write_all(request).await.is_err() {
                return;
            }
        }
    }

    async fn answers(self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut chunk = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut chunk).await {
            self.counts.answered.fetch_add(length as u64, SeqCst);
            self.pass(|rules| rules.lost >= self.number || rules.holds_answers).await;
            let (lie, halves) = {
                let rules = self.rules.borrow();
                (rules.lie.clone(), rules.halves)
            };
            let answer = match &lie {
                Some(lie) => lie,
                None if halves => &chunk[..length / 2],
                None => &chunk[..length],
            };
            if to.write_all(answer).await.is_err() || halves {
                return;
            }
        }
    }

    /// Waits as long as `is_held`.
    async fn pass(&self, is_held: impl Fn(&Rules) -> bool) {
        if is_held(&self.rules.borrow()) {
            self.counts.held.fetch_add(1, SeqCst);
            // Without the proxy there is nobody left to let it pass.
            let _ = self.rules.clone().wait_for(|rules| !is_held(rules)).await;
            self.counts.held.fetch_sub(1, SeqCst);
        }
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || bytes.windows(wanted.len()).any(|window| window == wanted)
}
