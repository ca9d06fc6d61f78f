//! Entity tags: strong, and of one seller only.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use jebi_domain::SellerId;
use ring::digest::{Context, SHA256};

/// Changes with the shape of the bodies, so that a new release never answers 304 for an old shape.
const SCHEMA: u8 = 1;

/// How a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
}

impl Coding {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
        }
    }
}

/// The tag of a body, without the coding that its bytes are sent in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag(String);

impl Tag {
    /// The tag of a body whose identity bytes are `bytes`.
    pub(crate) fn of(seller: SellerId, bytes: &[u8]) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&[SCHEMA]);
        context.update(seller.as_uuid().as_bytes());
        context.update(bytes);
        let digest = context.finish();
        Self(hex(&digest.as_ref()[..16]))
    }

    /// A tag as it was before, from [`Tag::base`].
    pub(crate) fn again(base: &str) -> Self {
        Self(base.to_owned())
    }

    /// The tag without quotes and coding.
    pub(crate) fn base(&self) -> &str {
        &self.0
    }

    /// The tag with the version of the thing that the body shows.
    pub(crate) fn with_version(self, version: i64) -> Self {
        Self(format!("{}-{version}", self.0))
    }

    /// The `ETag` of the body as it is sent.
    pub(crate) fn header(&self, coding: Coding) -> String {
        // One piece, without the formatter: it is every answer's.
        ["\"", &self.0, ".", coding.as_str(), "\""].concat()
    }

    /// Whether `If-None-Match` names this tag, in whatever coding. `*` names every tag.
    pub(crate) fn is_known_to(&self, headers: &HeaderMap) -> bool {
        let mut sent = listed(headers, header::IF_NONE_MATCH);
        sent.any(|tag| tag == "*" || self.is(tag.strip_prefix("W/").unwrap_or(tag)))
    }

    /// Whether `If-Match` stands in the way: it is there and does not name this tag. A weak tag names
    /// none (RFC 9110 §13.1.1).
    pub(crate) fn is_refused_by(&self, request: &HttpRequest) -> bool {
        let is_sent = request.headers().contains_key(header::IF_MATCH);
        let mut sent = listed(request.headers(), header::IF_MATCH);
        is_sent && !sent.any(|tag| tag == "*" || self.is(tag))
    }

    /// The comparison is by the base: a tag got with one coding is good with another.
    fn is(&self, tag: &str) -> bool {
        let opaque = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let base = opaque.and_then(|opaque| opaque.rsplit_once('.'));
        base.is_some_and(|(base, _coding)| base == self.0)
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The tags in a header, which may stand several times.
fn listed(headers: &HeaderMap, header: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;
    use jebi_domain::SellerId;

    fn seller(n: u128) -> SellerId {
        uuid::Uuid::from_u128(n).into()
    }

    fn knows(tag: &Tag, header: &str) -> bool {
        let request = TestRequest::default().insert_header(("If-None-Match", header));
        tag.is_known_to(request.to_http_request().headers())
    }

    #[test]
    fn a_tag_is_of_one_body_and_one_seller() {
        let tag = Tag::of(seller(1), b"body");
        assert_eq!(tag, Tag::of(seller(1), b"body"));
        assert_ne!(tag, Tag::of(seller(2), b"body"));
        assert_ne!(tag, Tag::of(seller(1), b"other"));
        assert_ne!(tag.clone(), tag.with_version(2));
    }

    #[test]
    fn a_tag_is_found_in_a_list_and_in_any_coding() {
        let tag = Tag::of(seller(1), b"body");
        let Tag(base) = &tag;
        assert!(knows(&tag, &tag.header(Coding::Identity)));
        assert!(knows(&tag, "*"));
        assert!(knows(&tag, &format!("\"x.identity\", W/\"{base}.gzip\"")));
        assert!(!knows(&tag, &format!("\"{base}\"")));
        assert!(!knows(&tag, base));
        assert!(!knows(&tag, ""));
    }

    #[test]
    fn without_if_match_nothing_is_refused() {
        let tag = Tag::of(seller(1), b"body");
        assert!(!tag.is_refused_by(&TestRequest::default().to_http_request()));
        let other = TestRequest::default().insert_header(("If-Match", "\"other.identity\""));
        assert!(tag.is_refused_by(&other.to_http_request()));
    }
}
