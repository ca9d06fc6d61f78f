//! One connection, one request under way: what a browser's tab is to the service.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Where an answer came from, as `cache-status` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The memory of the process, or Redis.
    Hit,
    /// The database.
    Miss,
}

/// What is known of an answer once all of it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Of HTTP.
    pub status: u16,
    /// Where the answer says where it came from.
    pub level: Option<Level>,
    /// Bytes of the body.
    pub body_bytes: usize,
    /// Whether a refusal says when to come again.
    pub says_when: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The connection broke.
    #[error(transparent)]
    Broken(#[from] io::Error),
    /// None within the time that was given.
    #[error("no answer within {0:?}")]
    Late(Duration),
    /// It is no HTTP/1.1, or of a form that is not understood here, such as one without a length.
    #[error("the answer cannot be read")]
    Unreadable,
}

/// A connection that is opened when it is first used, and again after it broke.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    patience: Duration,
    stream: Option<TcpStream>,
    /// What was read of the answer.
    buffer: Vec<u8>,
}

/// Heads are shorter; of bodies it is what is read at once.
const BUFFER_BYTES: usize = 64 << 10;

/// What a head says.
struct Head {
    length: usize,
    body_bytes: usize,
    closes: bool,
    answer: Answer,
}

impl Connection {
    /// To `address`, where an answer is waited for as long as `patience`.
    #[must_use]
    pub fn new(address: SocketAddr, patience: Duration) -> Self {
        Self { address, patience, stream: None, buffer: vec![0; BUFFER_BYTES] }
    }

    /// Opens it, where it is not open.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub async fn connect(&mut self) -> io::Result<()> {
        open(&mut self.stream, self.address).await.map(|_| ())
    }

    /// Sends a request and reads the answer to its end; its body is handed to `body` piece by piece.
    ///
    /// # Errors
    /// [`Failure`]; the next exchange has a new connection.
    pub async fn exchange(
        &mut self,
        request: &[u8],
        body: impl FnMut(&[u8]),
    ) -> Result<Answer, Failure> {
        let patience = self.patience;
        let done = tokio::time::timeout(patience, self.send_and_read(request, body)).await;
        let done = done.unwrap_or(Err(Failure::Late(patience)));
        if done.is_err() {
            self.stream = None;
        }
        done
    }

    async fn send_and_read(
        &mut self,
        request: &[u8],
        mut body: impl FnMut(&[u8]),
    ) -> Result<Answer, Failure> {
        let stream = open(&mut self.stream, self.address).await?;
        stream.write_all(request).await?;
        let mut have = 0;
        let head = loop {
            let more = stream.read(&mut self.buffer[have..]).await?;
            have += more;
            if let Some(head) = read_head(&self.buffer[..have])? {
                break head;
            }
            if more == 0 || have == self.buffer.len() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        };
        let mut left = head.body_bytes;
        let mut piece = head.length..have;
        loop {
            left = left.checked_sub(piece.len()).ok_or(Failure::Unreadable)?;
            body(&self.buffer[piece]);
            if left == 0 {
                break;
            }
            let more = stream.read(&mut self.buffer).await?;
            if more == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            piece = 0..more;
        }
        if head.closes {
            self.stream = None;
        }
        Ok(head.answer)
    }
}

async fn open(stream: &mut Option<TcpStream>, address: SocketAddr) -> io::Result<&mut TcpStream> {
    match stream {
        Some(stream) => Ok(stream),
        none => {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(none.insert(stream))
        }
    }
}

/// The head of an answer, once it is whole.
fn read_head(bytes: &[u8]) -> Result<Option<Head>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; 48];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes).map_err(|_| Failure::Unreadable)? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let status = response.code.ok_or(Failure::Unreadable)?;
    let has_no_body = matches!(status, 204 | 304);
    let mut body_bytes = has_no_body.then_some(0);
    let (mut level, mut closes, mut says_when) = (None, false, false);
    for header in response.headers.iter() {
        let name = header.name;
        if name.eq_ignore_ascii_case("content-length") && !has_no_body {
            let text = std::str::from_utf8(header.value).ok();
            body_bytes = text.and_then(|text| text.trim().parse().ok());
        } else if name.eq_ignore_ascii_case("cache-status") {
            let is_hit = header.value.windows(5).any(|five| five == b"; hit");
            level = Some(if is_hit { Level::Hit } else { Level::Miss });
        } else if name.eq_ignore_ascii_case("connection") {
            closes = header.value.eq_ignore_ascii_case(b"close");
        } else if name.eq_ignore_ascii_case("retry-after") {
            says_when = true;
        }
    }
    let body_bytes = body_bytes.ok_or(Failure::Unreadable)?;
    let answer = Answer { status, level, body_bytes, says_when };
    Ok(Some(Head { length, body_bytes, closes, answer }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_where_the_answer_came_from_and_how_long_it_is() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nCache-Status: jebi; hit; detail=l1\r\n\r\nhello";
        let head = read_head(bytes).unwrap().unwrap();
        assert_eq!((head.length, head.body_bytes, head.closes), (bytes.len() - 5, 5, false));
        let answer =
            Answer { status: 200, level: Some(Level::Hit), body_bytes: 5, says_when: false };
        assert_eq!(head.answer, answer);
        assert!(read_head(&bytes[..40]).unwrap().is_none(), "it is not whole");
        let refusal = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let head = read_head(refusal).unwrap().unwrap();
        assert!(head.answer.says_when && head.closes);
        let miss = b"HTTP/1.1 304 Not Modified\r\ncache-status: jebi; fwd=miss\r\ncontent-length: 90\r\n\r\n";
        let head = read_head(miss).unwrap().unwrap();
        assert_eq!((head.answer.level, head.body_bytes), (Some(Level::Miss), 0));
    }

    #[test]
    fn what_has_no_length_or_is_no_http_is_not_read() {
        let endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(matches!(read_head(endless), Err(Failure::Unreadable)));
        assert!(matches!(read_head(b"SSH-2.0-x\r\n\r\n"), Err(Failure::Unreadable)));
        let many = b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n";
        assert!(matches!(read_head(many), Err(Failure::Unreadable)));
    }
}
