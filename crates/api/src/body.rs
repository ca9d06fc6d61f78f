//! JSON bodies, within a size and a time.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use bytes::BytesMut;
use futures::StreamExt as _;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};

use crate::problem::{Fault, Problem};

/// The largest body that is read: 10,000 rows of a bulk change take 800 kB, the real orders' longest, of 1,114
/// lines, 110 kB.
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

/// A JSON object. serde reads a struct from an array as well, field by field, which would pass by all names.
pub(crate) struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// For `deserialize_with`: an array of objects.
pub(crate) fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    field: D,
) -> Result<Vec<T>, D::Error> {
    let objects = Vec::<Object<T>>::deserialize(field)?;
    Ok(objects.into_iter().map(|Object(value)| value).collect())
}

/// For `deserialize_with`: an object, or `null`.
pub(crate) fn optional_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    field: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::<Object<T>>::deserialize(field)?.map(|Object(value)| value))
}

/// For `deserialize_with`: a field that may be left out but must not be `null`.
pub(crate) fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    field: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(field).map(Some)
}

/// Reads JSON. An unknown or missing field is 422, what is no JSON of this shape 400; both by name.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map(|Object(value)| value);
    let value = value.map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        // serde has no kinds of errors, but these two texts have been the same since its 1.0.
        let quoted = |prefix: &str| {
            let rest = message.strip_prefix(prefix)?;
            let name = &rest[..rest.find("`, expected").or_else(|| rest.rfind('`'))?];
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

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only whether it parses is asked")]
    struct Outer {
        #[serde(deserialize_with = "objects")]
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
        assert!(problem("[[]]").starts_with("400 body cannot be read"));
        assert!(problem(r#"{"items":[[1]]}"#).starts_with("400 items[0] cannot be read"));
        assert_eq!(problem(r#"{"a`b":1}"#), "422 a`b is not a field of this body");
    }

    #[test]
    fn deep_nesting_is_refused_and_no_overflow() {
        let deep = format!(r#"{{"items":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
        assert!(problem(&deep).starts_with("400 "));
    }
}
