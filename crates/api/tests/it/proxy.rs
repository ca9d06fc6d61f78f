//! A TCP proxy before PostgreSQL that can hold back the answer to the COMMIT of an order: the moment between a
//! transaction that is done and a client that knows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

pub(crate) struct Proxy {
    /// The database's URL, through the proxy.
    pub(crate) url: String,
    holds: Arc<AtomicBool>,
    held: Arc<Notify>,
}

impl Proxy {
    /// A proxy before the database at `url`.
    pub(crate) async fn before(url: &str) -> Self {
        let (user, rest) = url.split_once('@').unwrap();
        let (server, database) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (holds, held) = (Arc::new(AtomicBool::new(false)), Arc::new(Notify::new()));
        let proxy = Self {
            url: format!("{user}@{address}/{database}"),
            holds: Arc::clone(&holds),
            held: Arc::clone(&held),
        };
        let server = server.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&server).await else { continue };
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                // Housekeeping commits as well; what is waited for is an order's commit.
                let stores_order = Arc::new(AtomicBool::new(false));
                tokio::spawn({
                    let stores_order = Arc::clone(&stores_order);
                    async move {
                        let mut chunk = vec![0; 64 << 10];
                        while let Ok(length @ 1..) = from_client.read(&mut chunk).await {
                            let sent = &chunk[..length];
                            if contains(sent, b"INSERT INTO orders")
                                || contains(sent, b"UPDATE orders")
                            {
                                stores_order.store(true, SeqCst);
                            }
                            if to_server.write_all(sent).await.is_err() {
                                return;
                            }
                        }
                    }
                });
                let (holds, held) = (Arc::clone(&holds), Arc::clone(&held));
                tokio::spawn(async move {
                    let mut chunk = vec![0; 64 << 10];
                    while let Ok(length @ 1..) = from_server.read(&mut chunk).await {
                        let sent = &chunk[..length];
                        // CommandComplete: 'C', its length, the tag.
                        let is_commit = contains(sent, b"C\0\0\0\x0bCOMMIT\0");
                        if is_commit && stores_order.load(SeqCst) && holds.load(SeqCst) {
                            held.notify_one();
                            return std::future::pending().await;
                        }
                        if to_client.write_all(sent).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        proxy
    }

    /// From now on no answer to the COMMIT of an order gets through.
    pub(crate) fn hold_commits(&self) {
        self.holds.store(true, SeqCst);
    }

    /// Waits until an answer to a COMMIT is held back.
    pub(crate) async fn held(&self) {
        self.held.notified().await;
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
