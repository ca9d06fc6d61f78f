//! What a client has sent.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::charset::Charset;

/// A request as it arrived, whatever it came over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimRequest {
    /// `GET`, `POST` and the like.
    pub method: String,
    /// Path and query, as in the request line.
    pub target: String,
    /// Names and values; names in any case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl SimRequest {
    /// A GET of a path with its query.
    #[must_use]
    pub fn get(target: impl Into<String>) -> Self {
        let (method, target) = ("GET".to_owned(), target.into());
        Self { method, target, headers: Vec::new(), body: Vec::new() }
    }

    /// A POST of a body.
    #[must_use]
    pub fn post(target: impl Into<String>, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let (method, target) = ("POST".to_owned(), target.into());
        Self { method, target, headers: Vec::new(), body: body.into() }
            .with_header("Content-Type", content_type)
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The path without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The first header of a name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }

    /// The parameters of the query and, where the body is a form, of the body.
    pub(crate) fn parameters(&self) -> Parameters {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let mut pairs = parse(query.as_bytes());
        let content_type = self.header("Content-Type").unwrap_or_default();
        if content_type.starts_with("application/x-www-form-urlencoded") {
            pairs.extend(parse(&self.body));
        }
        Parameters(pairs)
    }
}

/// Names and values of a query and a form. Values stay bytes, because a parameter may say what
/// their charset is.
#[derive(Debug, Default)]
pub(crate) struct Parameters(Vec<(String, Vec<u8>)>);

impl Parameters {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(String, Vec<u8>)> {
        self.0.iter()
    }

    /// The last value of a name, as PHP takes it.
    pub(crate) fn text(&self, name: &str, charset: Charset) -> Option<Cow<'_, str>> {
        let mut named = self.0.iter().rev().filter(|(known, _)| known == name);
        named.next().map(|(_, value)| charset.decode(value))
    }

    /// The last value of a name in ASCII; empty where it is missing.
    pub(crate) fn word(&self, name: &str) -> Cow<'_, str> {
        self.text(name, Charset::Utf8).unwrap_or_default()
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.word(name).trim().parse().ok()
    }
}

fn parse(form: &[u8]) -> Vec<(String, Vec<u8>)> {
    let decode = |part: &[u8]| {
        let spaced: Vec<u8> =
            part.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        percent_decode(&spaced).collect::<Vec<u8>>()
    };
    let pair = |part: &[u8]| {
        let split = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
        let value = part.get(split + 1..).unwrap_or_default();
        (String::from_utf8_lossy(&decode(&part[..split])).into_owned(), decode(value))
    };
    form.split(|byte| *byte == b'&').filter(|part| !part.is_empty()).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::SimRequest;
    use crate::charset::Charset;

    #[test]
    fn a_value_is_read_in_the_charset_that_another_parameter_names() {
        let request = SimRequest::get("/ssl/api/?kw=%b9%ab%bc%b1+1&item%5B7%5D=a%7C%7Cb&empty");
        assert_eq!(request.path(), "/ssl/api/");
        let parameters = request.parameters();
        assert_eq!(parameters.text("kw", Charset::EucKr).as_deref(), Some("무선 1"));
        assert_eq!(parameters.word("item[7]"), "a||b");
        assert_eq!(parameters.text("empty", Charset::Utf8).as_deref(), Some(""));
        assert_eq!(parameters.text("none", Charset::Utf8), None);
    }

    #[test]
    fn a_form_comes_after_the_query_and_wins() {
        let form = "application/x-www-form-urlencoded; charset=euc-kr";
        let request = SimRequest::post("/?id=a", form, "id=b&m_skey=0");
        assert_eq!(request.parameters().word("id"), "b");
        let json = SimRequest::post("/?id=a", "application/json", "id=b");
        assert_eq!(json.parameters().word("id"), "a");
    }
}
