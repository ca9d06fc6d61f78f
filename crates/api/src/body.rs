//! JSON bodies, within a size and a time.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use bytes::BytesMut;
use futures::StreamExt as _;
use serde::de::DeserializeOwned;

use crate::problem::{Fault, Problem};

/// The largest body that is read. The real orders' longest, of 1,114 lines, takes 110 kB.
pub(crate) const LIMIT_BYTES: usize = 1 << 20;

/// Of a body that is too large, this much is read and thrown away, so that a client which is still
/// sending hears the answer instead of a broken connection.
const DRAIN_BYTES: usize = 64 << 20;

/// A body arrives within this time or is answered 408.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A JSON body: as it was sent, and as it was understood.
#[derive(Debug)]
pub(crate) struct Json<T> {
    pub(crate) bytes: BytesMut,
    pub(crate) value: T,
}

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let problem = unsupported(request);
        let payload = payload.take();
        Box::pin(async move {
            let bytes = tokio::time::timeout(TIMEOUT, collect(payload))
                .await
                .map_err(|_| Problem::body_timeout())??;
            if let Some(problem) = problem {
                return Err(problem);
            }
            let value = parse(&bytes)?;
            Ok(Self { bytes, value })
        })
    }
}

fn unsupported(request: &HttpRequest) -> Option<Problem> {
    let headers = request.headers();
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let what = "send JSON, with `Content-Type: application/json`";
        return Some(Problem::unsupported_media_type(what));
    }
    let coding = headers.get(header::CONTENT_ENCODING)?;
    if coding.as_bytes().eq_ignore_ascii_case(b"identity") {
        return None;
    }
    Some(Problem::unsupported_media_type("send the body without `Content-Encoding`"))
}

async fn collect(mut payload: Payload) -> Result<BytesMut, Problem> {
    let mut bytes = BytesMut::new();
    let mut length = 0;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Fault::unreadable("broke off").at("body"))?;
        length += chunk.len();
        if length <= LIMIT_BYTES {
            bytes.extend_from_slice(&chunk);
        } else if length > DRAIN_BYTES {
            break;
        }
    }
    if length > LIMIT_BYTES { Err(Problem::too_large(LIMIT_BYTES)) } else { Ok(bytes) }
}

/// Reads JSON. An unknown or missing field is 422, what is no JSON of this shape 400; both by name.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        // serde has no kinds of errors, but these two texts have been the same since its 1.0.
        let quoted = |prefix: &str| {
            let name = message.strip_prefix(prefix)?.split('`').next()?;
            let parent = path.strip_suffix(name).map_or(path.as_str(), |p| p.trim_end_matches('.'));
            Some(match parent {
                "" | "." => name.to_owned(),
                parent => format!("{parent}.{name}"),
            })
        };
        if let Some(field) = quoted("unknown field `") {
            return Fault::unacceptable("is not a field of this body").at(&field);
        }
        if let Some(field) = quoted("missing field `") {
            return Fault::unacceptable("is missing").at(&field);
        }
        let field = if path == "." { "body" } else { &path };
        Fault::Unreadable(format!("cannot be read: {message}")).at(field)
    })?;
    json.end().map_err(|error| Fault::Unreadable(format!("cannot be read: {error}")).at("body"))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it parses is asked")]
    struct Outer {
        items: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it parses is asked")]
    struct Inner {
        price: i64,
    }

    fn problem(body: &str) -> String {
        let problem = parse::<Outer>(body.as_bytes()).unwrap_err();
        format!("{} {problem}", actix_web::ResponseError::status_code(&problem).as_u16())
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(parse::<Outer>(br#"{"items":[{"price":1}]}"#).is_ok());
        assert_eq!(problem(r#"{"items":[],"total":1}"#), "422 total is not a field of this body");
        assert_eq!(
            problem(r#"{"items":[{"price":1,"cost":2}]}"#),
            "422 items[0].cost is not a field of this body"
        );
        assert_eq!(problem(r#"{"items":[{}]}"#), "422 items[0].price is missing");
        assert_eq!(problem("{}"), "422 items is missing");
        assert!(problem(r#"{"items":[{"price":1e18}]}"#).starts_with("400 items[0].price cannot"));
        assert!(problem(r#"{"items":[]} x"#).starts_with("400 body cannot be read"));
        assert!(problem("").starts_with("400 body cannot be read"));
    }

    #[test]
    fn deep_nesting_is_refused_and_no_overflow() {
        let deep = format!(r#"{{"items":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
        assert!(problem(&deep).starts_with("400 "));
    }
}
