//! A way to a server, which may be cut, or carry nothing any more without being cut.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::redis::Redis;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Connections end, and new ones as well.
    Cut,
    /// Connections stay, and nothing gets through.
    Silent,
}

pub(crate) struct Link {
    /// Where it begins.
    pub(crate) address: String,
    way: watch::Sender<Way>,
}

impl Link {
    pub(crate) async fn to_redis(redis: &Redis) -> Self {
        Self::to(redis.address()).await
    }

    /// A way to PostgreSQL, and the URL of this database by it.
    pub(crate) async fn to_database(url: &str) -> (Self, String) {
        let (user, rest) = url.split_once('@').unwrap();
        let (server, database) = rest.split_once('/').unwrap();
        let link = Self::to(server.to_owned()).await;
        let by_link = format!("{user}@{}/{database}", link.address);
        (link, by_link)
    }

    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (way, watched) = watch::channel(Way::Open);
        let server: Arc<str> = server.into();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, mut watched) = (Arc::clone(&server), watched.clone());
                tokio::spawn(async move {
                    let (one, other) = (watched.clone(), watched.clone());
                    let cut = async { watched.wait_for(|way| *way == Way::Cut).await.map(|_| ()) };
                    let carry = async {
                        let server = TcpStream::connect(&*server).await?;
                        let (from_client, to_client) = client.into_split();
                        let (from_server, to_server) = server.into_split();
                        tokio::select! {
                            done = pump(from_client, to_server, one) => done,
                            done = pump(from_server, to_client, other) => done,
                        }
                    };
                    tokio::select! { _ = cut => {} _ = carry => {} }
                });
            }
        });
        Self { address, way }
    }

    /// As Redis is named.
    pub(crate) fn redis_url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    /// Nothing gets through, and who tries is told.
    pub(crate) fn cut(&self) {
        self.way.send_replace(Way::Cut);
    }

    /// Nothing gets through, and nobody is told.
    pub(crate) fn hush(&self) {
        self.way.send_replace(Way::Silent);
    }

    pub(crate) fn mend(&self) {
        self.way.send_replace(Way::Open);
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut way: watch::Receiver<Way>,
) -> std::io::Result<()> {
    let mut chunk = vec![0; 64 << 10];
    loop {
        let length = from.read(&mut chunk).await?;
        if length == 0 || way.wait_for(|way| *way != Way::Silent).await.is_err() {
            return Ok(());
        }
        to.write_all(&chunk[..length]).await?;
    }
}
