//! As much HTTP as it takes to ask a service whether it is ready.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a loaded machine, short enough to try again.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether 127.0.0.1 answers a GET with 200.
pub(crate) fn is_ok(port: u16, path: &str) -> bool {
    status_line(port, path).is_ok_and(|line| status(&line) == Some(200))
}

/// The same, asked again until this much time has passed.
pub(crate) fn is_ok_within(patience: Duration, port: u16, path: &str) -> bool {
    let deadline = Instant::now() + patience;
    while !is_ok(port, path) {
        if Instant::now() > deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(100));
    }
    true
}

fn status_line(port: u16, path: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    // In one piece: to the rest of a request already answered a server says "connection reset".
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    connection.write_all(request.as_bytes())?;
    // "HTTP/1.1 200": the rest says nothing that anybody here asks for.
    let mut beginning = [0; 12];
    connection.read_exact(&mut beginning)?;
    Ok(String::from_utf8_lossy(&beginning).into_owned())
}

fn status(line: &str) -> Option<u16> {
    line.strip_prefix("HTTP/1.")?.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::status;

    #[test]
    fn the_status_is_the_second_word() {
        assert_eq!(status("HTTP/1.1 200"), Some(200));
        assert_eq!(status("HTTP/1.0 503"), Some(503));
        assert_eq!(status("220 smtp.exam"), None);
    }
}
