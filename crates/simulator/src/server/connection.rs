//! One connection: requests one after the other, until either side ends it.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Shared;
use super::head::{self, Framing, Malformed};
use super::send::{Next, send};
use crate::request::SimRequest;
use crate::response::SimResponse;

const LONGEST_HEAD: usize = 64 * 1024;
const LARGEST_BODY: usize = 16 * 1024 * 1024;
/// An idle connection is closed after it.
const IDLE: Duration = Duration::from_mins(2);

pub(super) async fn serve(mut stream: TcpStream, shared: Shared) {
    // The pieces of a drip and of a cut are to go out as they are written.
    let is_set = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    while is_set.is_ok() {
        let (request, keeps_alive) = match receive(&mut stream, &mut buffer).await {
            Ok(Some(received)) => received,
            Ok(None) => return,
            Err(_) => {
                let refusal = SimResponse::new(400, "text/plain", "this is no HTTP/1.1 request\n");
                drop(send(&mut stream, refusal, false).await);
                return;
            }
        };
        let response = shared.handle(&request);
        match send(&mut stream, response, keeps_alive).await {
            Ok(Next::Request) => {}
            // The client has gone, or is to go.
            Ok(Next::Close) | Err(_) => return,
            Ok(Next::Reset) => {
                drop(stream.set_zero_linger());
                return;
            }
        }
    }
}

/// The next request and whether another may follow; none where the client has gone.
async fn receive(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> Result<Option<(SimRequest, bool)>, Malformed> {
    let head = loop {
        if let Some(head) = head::parse(buffer)? {
            break head;
        }
        if buffer.len() > LONGEST_HEAD {
            return Err(Malformed);
        }
        if !more(stream, buffer).await {
            return Ok(None);
        }
    };
    buffer.drain(..head.length);
    if head.waits() && stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err() {
        return Ok(None);
    }
    let framing = head.framing()?;
    let body = loop {
        let whole = match framing {
            Framing::Length(length) if length > LARGEST_BODY => return Err(Malformed),
            Framing::Length(length) => {
                (buffer.len() >= length).then(|| (buffer[..length].to_vec(), length))
            }
            Framing::Chunked => head::unchunk(buffer)?,
        };
        if let Some((body, length)) = whole {
            buffer.drain(..length);
            break body;
        }
        if buffer.len() > LARGEST_BODY + LONGEST_HEAD {
            return Err(Malformed);
        }
        if !more(stream, buffer).await {
            return Ok(None);
        }
    };
    let keeps_alive = head.keeps_alive;
    let (method, target, headers) = (head.method, head.target, head.headers);
    Ok(Some((SimRequest { method, target, headers, body }, keeps_alive)))
}

/// Whether something came.
async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
    let read: io::Result<usize> = match timeout(IDLE, stream.read_buf(buffer)).await {
        Ok(read) => read,
        Err(_) => return false,
    };
    read.is_ok_and(|bytes| bytes > 0)
}
