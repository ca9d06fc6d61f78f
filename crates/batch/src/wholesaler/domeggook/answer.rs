//! An answer: JSON that was made of XML. What stands there once is no list, and what is empty is a text.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::outcome::{Class, Failure};
use crate::wholesaler::error::{Refusal, unusable};
use crate::wholesaler::fields::Fields;
use crate::wholesaler::number;
use crate::wholesaler::session::Unauthorized;

#[derive(Deserialize)]
struct Root<'a> {
    #[serde(borrow, default)]
    domeggook: Option<&'a RawValue>,
    #[serde(borrow, default)]
    errors: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Errors<'a> {
    #[serde(borrow, default)]
    errors: Option<&'a RawValue>,
}

/// What stands below the root, where there is no error.
pub(super) fn body(text: &str) -> Result<&str, Failure> {
    let text = text.trim_start_matches('\u{feff}');
    let root: Root<'_> = serde_json::from_str(text).map_err(|_| unusable("no answer"))?;
    if let Some(errors) = root.errors {
        return Err(failure(errors.get()));
    }
    let body = root.domeggook.ok_or_else(|| unusable("nothing below the root"))?.get();
    if let Ok(Errors { errors: Some(errors) }) = serde_json::from_str(body) {
        return Err(failure(errors.get()));
    }
    Ok(body)
}

fn failure(errors: &str) -> Failure {
    let mut fields = Fields::parse(errors).unwrap_or_default();
    let mut word = |name| fields.word(name).ok().flatten().unwrap_or_default();
    let (code, detail) = (word("code"), word("dcode"));
    let message = [word("message"), word("dmessage")].join(" ");
    let codes = format!("{code} {detail}").to_ascii_uppercase();
    let says = |word: &str| codes.contains(word);
    let refusal = Refusal::new(codes.trim(), message.trim());
    if says("TOO_MANY") || says("LIMIT") {
        refusal.of(Class::Busy)
    } else if says("SESSION") || says("SID") {
        Failure::new(Class::Rejected).because(Unauthorized(refusal))
    } else if says("SYSTEM") || says("INTERNAL") {
        refusal.of(Class::ServerError)
    } else {
        refusal.of(Class::Rejected)
    }
}

/// What `header` says, and it may lie.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Header {
    pub(super) items: Option<u64>,
    pub(super) pages: Option<u64>,
    /// Items of a page.
    pub(super) size: Option<u64>,
}

impl Header {
    pub(super) fn read(header: Option<&RawValue>) -> Self {
        let mut fields =
            header.and_then(|header| Fields::parse(header.get()).ok()).unwrap_or_default();
        let mut number = |name: &str| {
            let number = fields.take(name).and_then(|told| number::of_json(&told, "header").ok());
            number.flatten().and_then(|number| u64::try_from(number).ok())
        };
        Self {
            items: number("numberOfItems"),
            pages: number("numberOfPages"),
            size: number("itemsPerPage"),
        }
    }
}

#[derive(Deserialize)]
struct Items<'a> {
    #[serde(borrow, default)]
    item: Option<&'a RawValue>,
}

/// The entries of `list` or `items`: below `item`, several, one, or none.
pub(super) fn entries(list: Option<&RawValue>) -> Result<Vec<&RawValue>, Failure> {
    let Some(list) = list else { return Ok(Vec::new()) };
    if !list.get().starts_with('{') {
        return many(list);
    }
    let items: Items<'_> = serde_json::from_str(list.get()).map_err(|_| unusable("no list"))?;
    items.item.map_or(Ok(Vec::new()), many)
}

/// Several, one, or none.
pub(super) fn many(value: &RawValue) -> Result<Vec<&RawValue>, Failure> {
    let json = value.get();
    match json.as_bytes().first() {
        Some(b'[') => serde_json::from_str(json).map_err(|_| unusable("no list")),
        Some(b'{') => Ok(vec![value]),
        _ => match serde_json::from_str(json) {
            Ok(Value::Null) => Ok(Vec::new()),
            Ok(Value::String(text)) if text.trim().is_empty() => Ok(Vec::new()),
            _ => Err(unusable("something else than a list")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> Class {
        body(text).unwrap_err().class
    }

    #[test]
    fn errors_stand_at_the_root_or_below_it() {
        let error = |code: &str| format!(r#"{{"errors":{{"code":"{code}","message":"x"}}}}"#);
        for (code, expected) in [
            ("TOO_MANY_REQUESTS", Class::Busy),
            ("rate_limit", Class::Busy),
            ("SYSTEM_ERROR", Class::ServerError),
            ("INTERNAL", Class::ServerError),
            ("UNKNOWN_SERVICE", Class::Rejected),
            ("INVALID_SESSION", Class::Rejected),
            ("", Class::Rejected),
        ] {
            assert_eq!(class(&error(code)), expected);
            assert_eq!(class(&format!(r#"{{"domeggook":{}}}"#, error(code))), expected);
        }
        for code in ["INVALID_SESSION", "SID_EXPIRED"] {
            let failure = body(&error(code)).unwrap_err();
            assert!(failure.cause().unwrap().is::<Unauthorized>(), "{code}");
        }
        assert_eq!(body("\u{feff}{\"domeggook\": {\"a\": 1} }").unwrap(), "{\"a\": 1}");
        for text in ["", "[]", "{}", r#"{"domeggook":null}"#] {
            assert_eq!(class(text), Class::Unusable, "{text}");
        }
    }

    #[test]
    fn a_list_has_many_forms() {
        let count = |list: &str| {
            let list: Box<RawValue> = serde_json::from_str(list).unwrap();
            entries(Some(&list)).map(|entries| entries.len()).map_err(|failure| failure.class)
        };
        for nothing in
            [r#""""#, "[]", "{}", "null", r#"{"item":""}"#, r#"{"item":[]}"#, r#"{"item":null}"#]
        {
            assert_eq!(count(nothing), Ok(0), "{nothing}");
        }
        assert_eq!(count(r#"{"item":{"no":1}}"#), Ok(1));
        assert_eq!(count(r#"{"item":[{"no":1},{"no":2}]}"#), Ok(2));
        assert_eq!(count(r#"[{"no":1},{"no":2}]"#), Ok(2));
        for bad in ["7", "true", r#""x""#, r#"{"item":7}"#] {
            assert_eq!(count(bad), Err(Class::Unusable), "{bad}");
        }
        assert_eq!(entries(None).unwrap().len(), 0);
    }

    #[test]
    fn headers_are_numbers_or_texts_or_nothing() {
        let read = |header: &str| {
            let header: Box<RawValue> = serde_json::from_str(header).unwrap();
            let header = Header::read(Some(&header));
            (header.items, header.pages)
        };
        assert_eq!(read(r#"{"numberOfItems":"1,234","numberOfPages":7}"#), (Some(1_234), Some(7)));
        assert_eq!(read(r#"{"numberOfItems":-1,"numberOfPages":"x"}"#), (None, None));
        assert_eq!(read(r#""""#), (None, None));
    }
}
