//! A small server that behaves as badly as it is told to.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use jebi_batch::http::{Method, Request, Url};

pub(crate) struct Server {
    address: SocketAddr,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    requests: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

/// One connection, after a request on it was read.
pub(crate) struct Connection(TcpStream);

impl Server {
    /// Answers each request by `answer`, on a thread for each connection.
    pub(crate) fn new(answer: impl Fn(&mut Connection, &str) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, counts) = (Arc::new(answer), Arc::new(Counts::default()));
        let counted = counts.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, counts) = (answer.clone(), counted.clone());
                let mut connection = Connection(stream.unwrap());
                thread::spawn(move || {
                    counts.connections.fetch_add(1, SeqCst);
                    counts.most_open.fetch_max(counts.open.fetch_add(1, SeqCst) + 1, SeqCst);
                    while let Some(request) = connection.request() {
                        counts.requests.fetch_add(1, SeqCst);
                        answer(&mut connection, &request);
                    }
                    counts.open.fetch_sub(1, SeqCst);
                });
            }
        });
        Self { address, counts }
    }

    /// Answers each request with these bytes, and closes the connection.
    pub(crate) fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::new(move |connection, _| {
            connection.write(&bytes);
            connection.close();
        })
    }

    pub(crate) fn get(&self) -> Request {
        Request::new(Method::GET, self.url(), "/items")
    }

    pub(crate) fn url(&self) -> Url {
        format!("http://{}/items", self.address).parse().unwrap()
    }

    pub(crate) fn connections(&self) -> usize {
        self.counts.connections.load(SeqCst)
    }

    pub(crate) fn most_open(&self) -> usize {
        self.counts.most_open.load(SeqCst)
    }

    pub(crate) fn requests(&self) -> usize {
        self.counts.requests.load(SeqCst)
    }
}

impl Connection {
    /// The head and body of the next request; `None` where none comes any more.
    fn request(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    return Some(text.into_owned());
                }
            }
            let mut more = [0; 4_096];
            match self.0.read(&mut more) {
                Ok(0) | Err(_) => return None,
                Ok(read) => bytes.extend_from_slice(&more[..read]),
            }
        }
    }

    /// False where the client has gone.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    pub(crate) fn close(&mut self) {
        _ = self.0.shutdown(std::net::Shutdown::Both);
    }

    /// True while the client is still there after so long.
    pub(crate) fn waits(&mut self, time: Duration) -> bool {
        self.0.set_read_timeout(Some(time)).unwrap();
        match self.0.read(&mut [0; 16]) {
            Ok(0..) => false,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }

    /// Until the client has gone.
    pub(crate) fn waits_for_ever(&mut self) {
        _ = self.0.read(&mut [0; 16]);
    }
}

/// An answer with a length, after which the connection stays open.
pub(crate) fn ok(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    status("200 OK", headers, body)
}

pub(crate) fn status(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// An answer in chunks of so many bytes.
pub(crate) fn chunked(headers: &str, body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{headers}\r\n").into_bytes();
    for chunk in body.chunks(size) {
        bytes.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend(chunk);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

/// Where nobody is to connect to.
pub(crate) struct Canary(TcpListener);

impl Canary {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.0.local_addr().unwrap())
    }

    pub(crate) fn is_untouched(&self) -> bool {
        self.0.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}
