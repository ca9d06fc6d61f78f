//! The simulator on a socket, and a client that keeps the bytes as they come.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use jebi_simulator::{Clock, Server, Settings, SimRequest, Simulator};
use tokio::runtime::Runtime;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A simulator that is served until it is dropped.
pub(crate) struct Served {
    pub(crate) simulator: Arc<Simulator>,
    pub(crate) clock: Clock,
    pub(crate) address: SocketAddr,
    _runtime: Runtime,
}

impl Served {
    pub(crate) fn with(settings: Settings) -> Self {
        let clock = Clock::manual();
        let simulator = Arc::new(Simulator::new(settings, clock.now()));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let server = Server::bind("127.0.0.1:0", Arc::clone(&simulator), clock.clone());
        let server = runtime.block_on(server).unwrap();
        let address = server.address();
        runtime.spawn(server.run());
        Self { simulator, clock, address, _runtime: runtime }
    }

    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// All bytes of an answer after which the connection is closed, and how it ended.
    pub(crate) fn exchange(&self, request: &SimRequest) -> (Vec<u8>, io::Result<()>) {
        let mut stream = self.connect();
        stream.write_all(&written(request, false)).unwrap();
        read_to_end(&mut stream)
    }

    /// Head and body of such an answer.
    pub(crate) fn answer(&self, request: &SimRequest) -> (String, Vec<u8>) {
        let (bytes, end) = self.exchange(request);
        end.unwrap();
        split(&bytes)
    }
}

/// What a request is on the wire.
pub(crate) fn written(request: &SimRequest, keeps_alive: bool) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\nHost: localhost\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !keeps_alive {
        text.push_str("Connection: close\r\n");
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n", request.body.len()));
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(&request.body);
    bytes
}

/// What came until the end, and whether that was a good one.
pub(crate) fn read_to_end(stream: &mut TcpStream) -> (Vec<u8>, io::Result<()>) {
    let (mut bytes, mut part) = (Vec::new(), [0; 16 * 1024]);
    loop {
        match stream.read(&mut part) {
            Ok(0) => return (bytes, Ok(())),
            Ok(count) => bytes.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (bytes, Err(error)),
        }
    }
}

pub(crate) fn split(bytes: &[u8]) -> (String, Vec<u8>) {
    let end = bytes.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    (head, bytes[end + 4..].to_vec())
}

/// The value of a header.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}
