//! An answer, sent by its script.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::response::{Body, End, Script, SimResponse};

/// What follows an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Request,
    Close,
    Reset,
}

pub(super) async fn send(
    stream: &mut TcpStream,
    response: SimResponse,
    keeps_alive: bool,
) -> io::Result<Next> {
    // It is under way until all is sent.
    let SimResponse { status, headers, body, script, flight: _flight, .. } = response;
    // The shortest sleep of the timer is a millisecond.
    if !script.delay.is_zero() {
        sleep(script.delay).await;
    }
    let limit = match script.end {
        End::Silence => {
            wait_for_the_client_to_go(stream).await;
            return Ok(Next::Close);
        }
        End::Dropped => return Ok(Next::Close),
        End::Reset { after_bytes: 0 } => return Ok(Next::Reset),
        End::Truncated { after_bytes } | End::Reset { after_bytes } => after_bytes,
        End::Complete | End::LyingLength { .. } => u64::MAX,
    };
    let keeps_alive = keeps_alive && script.end == End::Complete;
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    if !keeps_alive {
        head.push_str("Connection: close\r\n");
    }
    let mut out = Out { stream, script, left: limit };
    match (body, script.end) {
        (Body::Whole(bytes), _) => out.whole(head, bytes).await?,
        (Body::Pieces(pieces), End::LyingLength { .. }) => {
            out.whole(head, pieces.flatten().collect()).await?;
        }
        (Body::Pieces(pieces), _) => out.pieces(head, pieces).await?,
    }
    Ok(match script.end {
        End::Reset { .. } => Next::Reset,
        _ if keeps_alive => Next::Request,
        _ => Next::Close,
    })
}

/// Where a body goes, by a script, while any of it may be sent.
struct Out<'a> {
    stream: &'a mut TcpStream,
    script: Script,
    left: u64,
}

impl Out<'_> {
    async fn whole(&mut self, mut head: String, bytes: Vec<u8>) -> io::Result<()> {
        let length = match self.script.end {
            End::LyingLength { by } => (bytes.len() as u64).saturating_add_signed(by),
            _ => bytes.len() as u64,
        };
        head.push_str(&format!("Content-Length: {length}\r\n\r\n"));
        if self.script == Script::default() {
            // One packet, where there is room.
            let mut all = head.into_bytes();
            all.extend(bytes);
            return self.stream.write_all(&all).await;
        }
        self.stream.write_all(head.as_bytes()).await?;
        self.body(&bytes).await
    }

    async fn pieces(
        &mut self,
        mut head: String,
        pieces: impl Iterator<Item = Vec<u8>> + Send,
    ) -> io::Result<()> {
        head.push_str("Transfer-Encoding: chunked\r\n\r\n");
        self.stream.write_all(head.as_bytes()).await?;
        for piece in pieces.filter(|piece| !piece.is_empty()) {
            if self.left == 0 {
                return Ok(());
            }
            self.stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
            self.body(&piece).await?;
            if self.left > 0 {
                self.stream.write_all(b"\r\n").await?;
            }
        }
        if self.left > 0 { self.stream.write_all(b"0\r\n\r\n").await } else { Ok(()) }
    }

    /// Bytes of the body at their pace, as many as may be sent.
    async fn body(&mut self, bytes: &[u8]) -> io::Result<()> {
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        self.left -= count as u64;
        let bytes = &bytes[..count];
        let Some(pace) = self.script.bytes_per_second else {
            return self.stream.write_all(bytes).await;
        };
        // Ten times a second, or byte by byte where it is slower.
        let at_once = usize::try_from(pace.get() / 10).unwrap_or(usize::MAX).max(1);
        for part in bytes.chunks(at_once) {
            self.stream.write_all(part).await?;
            sleep(Duration::from_nanos(part.len() as u64 * 1_000_000_000 / pace)).await;
        }
        Ok(())
    }
}

async fn wait_for_the_client_to_go(stream: &mut TcpStream) {
    let mut rest = [0; 1_024];
    while stream.read(&mut rest).await.is_ok_and(|bytes| bytes > 0) {}
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Simulated",
    }
}
