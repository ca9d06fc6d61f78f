//! The head of a request, and how long its body is.

/// A head that was read whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    /// Bytes of the head.
    pub(super) length: usize,
    pub(super) keeps_alive: bool,
}

/// How the body of a request comes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(usize),
    Chunked,
}

/// A request that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

const MOST_HEADERS: usize = 100;

/// None while more has to come.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Head>, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = request.parse(bytes).map_err(|_| Malformed)? else {
        return Ok(None);
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers: Vec<(String, String)> =
        request.headers.iter().map(|one| (one.name.to_owned(), text(one.value))).collect();
    let connection = find(&headers, "Connection").unwrap_or_default().to_ascii_lowercase();
    let keeps_alive = match request.version {
        Some(0) => connection.contains("keep-alive"),
        _ => !connection.contains("close"),
    };
    let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
    let (method, target) = (method.to_owned(), target.to_owned());
    Ok(Some(Head { method, target, headers, length, keeps_alive }))
}

impl Head {
    pub(super) fn framing(&self) -> Result<Framing, Malformed> {
        let is_chunked = find(&self.headers, "Transfer-Encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        if is_chunked {
            return Ok(Framing::Chunked);
        }
        let length = find(&self.headers, "Content-Length").map(|length| length.trim().parse());
        length.transpose().map(|length| Framing::Length(length.unwrap_or(0))).map_err(|_| Malformed)
    }

    /// Whether the client wants to hear that it may go on.
    pub(super) fn waits(&self) -> bool {
        find(&self.headers, "Expect").is_some_and(|what| what.eq_ignore_ascii_case("100-continue"))
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut named = headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value.as_str())
}

/// A chunked body as far as it has come: the body and the bytes it took, none while more has to
/// come.
pub(super) fn unchunk(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Malformed> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let (start, size) = match httparse::parse_chunk_size(rest).map_err(|_| Malformed)? {
            httparse::Status::Complete(found) => found,
            httparse::Status::Partial => return Ok(None),
        };
        let start = at + start;
        let size = usize::try_from(size).map_err(|_| Malformed)?;
        if size == 0 {
            // Trailers are not understood: only the empty line is.
            let has_ended = bytes.get(start..start + 2).is_some();
            return Ok(has_ended.then(|| (body, start + 2)));
        }
        let end = start.checked_add(size).ok_or(Malformed)?;
        let Some(chunk) = bytes.get(start..end) else { return Ok(None) };
        body.extend_from_slice(chunk);
        at = end + 2;
        if bytes.len() < at {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Framing, Malformed, parse, unchunk};

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let bytes = b"POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
        for cut in 0..bytes.len() - 3 {
            assert_eq!(parse(&bytes[..cut]), Ok(None), "{cut}");
        }
        let head = parse(bytes).unwrap().unwrap();
        assert_eq!((head.method.as_str(), head.target.as_str()), ("POST", "/a?b"));
        assert_eq!((head.framing(), head.length), (Ok(Framing::Length(3)), bytes.len() - 3));
        assert_eq!(parse(b"\x16\x03\x01 TLS"), Err(Malformed));
    }

    #[test]
    fn chunks_are_put_together_wherever_they_are_cut() {
        let bytes = b"3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\n\r\nrest";
        let whole = bytes.len() - 4;
        for cut in 0..whole {
            assert_eq!(unchunk(&bytes[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(unchunk(bytes), Ok(Some((b"abc0123456789".to_vec(), whole))));
        assert_eq!(unchunk(b"zz\r\n"), Err(Malformed));
    }
}
