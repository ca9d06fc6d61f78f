//! What is sent.

use std::fmt;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

/// What the answer has to be. It is seen from the body, not from its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// JSON, whole.
    Json,
    /// XML that ends with a tag.
    Xml,
    /// Whatever it is.
    #[default]
    Any,
}

/// A request. Its `Debug` shows what a trace shows.
#[derive(Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) route: &'static str,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) expects: Format,
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        write!(formatter, "{} {host} {}", self.method, self.route)
    }
}

impl Request {
    /// A request. `route` is what traces and figures call it: the template of the path, such as
    /// `/orders/{id}`, or the mode of an API with one path for all.
    #[must_use]
    pub fn new(method: Method, url: Url, route: &'static str) -> Self {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Self { method, url, route, headers, body, expects: Format::default() }
    }

    /// Adds a header. Secrets are to be marked by [`HeaderValue::set_sensitive`].
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Adds parameters to the address, escaped.
    #[must_use]
    pub fn query<'a>(mut self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.url.query_pairs_mut().extend_pairs(pairs);
        self
    }

    /// The body, and what it is.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = body.into();
        self
    }

    /// A form as the body, escaped, in UTF-8.
    #[must_use]
    pub fn form<'a>(self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        // An address escapes its parameters as a form does its fields.
        let mut scratch = self.url.clone();
        scratch.set_query(None);
        scratch.query_pairs_mut().extend_pairs(pairs);
        let body = scratch.query().unwrap_or_default().to_owned();
        self.body("application/x-www-form-urlencoded", body)
    }

    /// What the answer has to be. Default whatever it is.
    #[must_use]
    pub fn expects(self, expects: Format) -> Self {
        Self { expects, ..self }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Where it goes, parameters included. It may hold secrets.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// What is sent along.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        let url = "https://api.example.com/v1/items?a=1".parse().unwrap();
        Request::new(Method::POST, url, "/v1/items")
    }

    #[test]
    fn a_request_is_what_was_said_of_it() {
        let name = HeaderName::from_static("x-token");
        let request = request()
            .header(name.clone(), HeaderValue::from_static("t"))
            .query([("q", "무선 & 컵"), ("n", "2")])
            .body("application/json", "{}")
            .expects(Format::Json);
        assert_eq!(*request.method(), Method::POST);
        let query = "a=1&q=%EB%AC%B4%EC%84%A0+%26+%EC%BB%B5&n=2";
        assert_eq!(request.url().query(), Some(query));
        assert_eq!(request.headers().get(name).unwrap(), "t");
        assert_eq!(request.headers().get(CONTENT_TYPE).unwrap(), "application/json");
        assert_eq!((&request.bytes()[..], request.expects), (&b"{}"[..], Format::Json));
    }

    #[test]
    fn a_form_is_escaped_and_leaves_the_address_alone() {
        let request = request().form([("id", "a b"), ("pw", "=&비")]);
        assert_eq!(request.bytes(), "id=a+b&pw=%3D%26%EB%B9%84");
        let content_type = request.headers().get(CONTENT_TYPE).unwrap();
        assert_eq!(content_type, "application/x-www-form-urlencoded");
        assert_eq!((request.url().query(), request.expects), (Some("a=1"), Format::Any));
    }

    #[test]
    fn what_a_trace_shows_of_it_holds_no_parameter() {
        assert_eq!(format!("{:?}", request()), "POST api.example.com /v1/items");
    }
}
