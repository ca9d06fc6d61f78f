use std::fmt::Write as _;

use serde::Serialize;

/// What a request is called in the figures; requests of one kind are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// Such as `orders page`.
    pub name: String,
    /// Whether it changes something: what is written is no miss of a cache.
    pub is_write: bool,
}

/// A request as the bytes that are sent.
#[derive(Debug, Clone)]
pub struct Request {
    /// The place of its kind in [`Mix::kinds`].
    pub kind: usize,
    bytes: Vec<u8>,
    /// Where the number of the send is written, twelve digits.
    numbers: Vec<usize>,
}

/// Stands in a path, a header or a body for a number that no other send of the run has.
pub(crate) const NUMBER: &str = "000000000000";

impl Request {
    /// A request of the kind at `kind`. Where `{number}` stands in path, headers or body, each send has a number of its own.
    #[must_use]
    pub fn new(
        kind: usize,
        (method, path): (&str, &str),
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Self {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: jebi\r\n");
        for (name, value) in headers {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if let Some(body) = body {
            let length = body.replace("{number}", NUMBER).len();
            let _ = write!(text, "content-type: application/json\r\ncontent-length: {length}\r\n");
        }
        text.push_str("\r\n");
        text.push_str(body.unwrap_or_default());
        let mut numbers = vec![];
        let mut bytes = Vec::with_capacity(text.len());
        for (n, part) in text.split("{number}").enumerate() {
            if n > 0 {
                numbers.push(bytes.len());
                bytes.extend_from_slice(NUMBER.as_bytes());
            }
            bytes.extend_from_slice(part.as_bytes());
        }
        Self { kind, bytes, numbers }
    }

    /// As it is sent, with zeros where a number stands.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes it for the `number`-th send.
    pub(crate) fn write(&self, number: u64, into: &mut Vec<u8>) {
        into.clear();
        into.extend_from_slice(&self.bytes);
        if self.numbers.is_empty() {
            return;
        }
        let digits = format!("{:0width$}", number % 1_000_000_000_000, width = NUMBER.len());
        for at in &self.numbers {
            into[*at..at + NUMBER.len()].copy_from_slice(digits.as_bytes());
        }
    }
}

/// What is sent: requests, and the order in which they come.
#[derive(Debug, Clone, Default)]
pub struct Mix {
    /// The kinds that the requests are of.
    pub kinds: Vec<Kind>,
    /// The requests.
    pub requests: Vec<Request>,
    /// Places in `requests`; after the last one comes the first again.
    pub order: Vec<u32>,
}

impl Mix {
    /// Requests of one kind, one after the other, again and again.
    #[must_use]
    pub fn of(name: &str, requests: impl IntoIterator<Item = Request>) -> Self {
        let kinds = vec![Kind { name: name.to_owned(), is_write: false }];
        let of_this = |request| Request { kind: 0, ..request };
        let requests: Vec<Request> = requests.into_iter().map(of_this).collect();
        let order = (0_u32..).take(requests.len()).collect();
        Self { kinds, requests, order }
    }

    pub(crate) fn is_empty(&self) -> bool {
        let knows = |place: &u32| (*place as usize) < self.requests.len();
        let has_kind = |request: &Request| request.kind < self.kinds.len();
        self.order.is_empty()
            || !self.order.iter().all(knows)
            || !self.requests.iter().all(has_kind)
    }

    /// What is sent as the `slot`-th.
    pub(crate) fn at(&self, slot: u64) -> &Request {
        let place = slot % self.order.len() as u64;
        &self.requests[self.order[usize::try_from(place).unwrap_or(0)] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_send_has_its_own_number_and_the_length_of_its_body() {
        let headers = [("idempotency-key", "k-{number}")];
        let request = Request::new(0, ("POST", "/x"), &headers, Some(r#"{"n":"{number}"}"#));
        let mut bytes = vec![];
        request.write(42, &mut bytes);
        let text = String::from_utf8(bytes.clone()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("idempotency-key: k-000000000042"));
        assert_eq!(body, r#"{"n":"000000000042"}"#);
        assert!(head.contains(&format!("content-length: {}", body.len())));
        request.write(43, &mut bytes);
        assert!(String::from_utf8(bytes).unwrap().ends_with(r#"{"n":"000000000043"}"#));
    }

    #[test]
    fn a_mix_goes_round() {
        let get = |path| Request::new(0, ("GET", path), &[], None);
        let mix = Mix { order: vec![1, 0], ..Mix::of("x", [get("/a")]) };
        assert!(mix.is_empty(), "it names a request that is not there");
        let mix = Mix { requests: vec![get("/a"), get("/b")], ..mix };
        assert!(!mix.is_empty());
        let paths: Vec<bool> =
            (0..4).map(|slot| mix.at(slot).bytes.starts_with(b"GET /b")).collect();
        assert_eq!(paths, [true, false, true, false]);
    }
}
