//! An answer of GraphQL: data, errors, or some of both.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::outcome::{Class, Failure};
use crate::wholesaler::error::{Refusal, unusable};
use crate::wholesaler::session::Unauthorized;

#[derive(Debug, Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    data: Option<BTreeMap<Cow<'a, str>, Option<&'a RawValue>>>,
    #[serde(default)]
    errors: Option<Vec<Told>>,
}

#[derive(Debug, Deserialize)]
struct Told {
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    path: Option<Vec<Value>>,
}

/// A field of the root, and the places below it of which an error tells.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub(super) json: &'a str,
    broken: Vec<Vec<Value>>,
}

impl Field<'_> {
    /// Whether an error tells of the entry of a list, `lead` being the path to it.
    pub(super) fn is_broken(&self, lead: &[&str], at: usize) -> bool {
        self.broken.iter().any(|path| {
            let (lead_in, rest) = path.split_at(lead.len().min(path.len()));
            lead_in.iter().zip(lead).all(|(step, name)| step.as_str() == Some(name))
                && lead_in.len() == lead.len()
                && rest.first().and_then(Value::as_u64) == Some(at as u64)
        })
    }
}

/// The field of an answer. An error about an entry of a list costs that entry, any other the whole:
/// what is null because of it is not known to be nothing.
pub(super) fn field<'a>(text: &'a str, name: &str, lead: &[&str]) -> Result<Field<'a>, Failure> {
    let text = text.trim_start_matches('\u{feff}');
    let answer: Answer<'_> =
        serde_json::from_str(text).map_err(|_| unusable("no answer of GraphQL"))?;
    let json = answer.data.and_then(|mut data| data.remove(name)).flatten();
    let mut broken = Vec::new();
    for error in answer.errors.unwrap_or_default() {
        let mut path = error.path.clone().unwrap_or_default();
        let is_below = path.first().and_then(Value::as_str) == Some(name)
            && path.len() > lead.len() + 1
            && json.is_some();
        if !is_below {
            return Err(failure(&error));
        }
        path.remove(0);
        broken.push(path);
    }
    let json = json.ok_or_else(|| unusable("the answer is null"))?.get();
    Ok(Field { json, broken })
}

/// What an error means. There are no codes, only sentences.
fn failure(error: &Told) -> Failure {
    let message = error.message.as_deref().unwrap_or_default();
    let lower = message.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let refusal = Refusal::new("", message);
    if says(&["too many requests", "rate limit", "요청이 너무 많"]) {
        refusal.of(Class::Busy)
    } else if says(&["jwt", "unauthorized", "unauthenticated", "token", "토큰", "인증"]) {
        Failure::new(Class::Rejected).because(Unauthorized(refusal))
    } else if says(&["internal", "timeout", "timed out", "unavailable"]) {
        refusal.of(Class::ServerError)
    } else {
        refusal.of(Class::Rejected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAD: &[&str] = &["edges"];

    fn class(text: &str) -> Class {
        field(text, "allItems", LEAD).unwrap_err().class
    }

    #[test]
    fn an_error_about_one_entry_costs_that_entry() {
        let text = r#"{"data":{"allItems":{"edges":[]}},"errors":[
            {"message":"x","path":["allItems","edges",2,"node","price"]}]}"#;
        let field = field(text, "allItems", LEAD).unwrap();
        assert_eq!(field.json, r#"{"edges":[]}"#);
        assert!(field.is_broken(LEAD, 2) && !field.is_broken(LEAD, 1));
        assert!(!field.is_broken(&["nodes"], 2));
    }

    #[test]
    fn an_error_about_more_costs_the_whole() {
        let with = |error: &str| format!(r#"{{"data":{{"allItems":{{}}}},"errors":[{error}]}}"#);
        assert_eq!(class(&with(r#"{"message":"?"}"#)), Class::Rejected);
        assert_eq!(class(&with(r#"{"message":"?","path":["allItems"]}"#)), Class::Rejected);
        assert_eq!(class(&with(r#"{"message":"?","path":["b",1,2]}"#)), Class::Rejected);
        assert_eq!(class(&with(r#"{"message":"?","path":["allItems","edges"]}"#)), Class::Rejected);
        let null = r#"{"data":{"allItems":null},"errors":[
            {"message":"?","path":["allItems","edges",2]}]}"#;
        assert_eq!(class(null), Class::Rejected);
        assert_eq!(class(&with(r#"{}"#)), Class::Rejected);
    }

    #[test]
    fn sentences_tell_what_to_do() {
        let with =
            |message: &str| format!(r#"{{"errors":[{{"message":"{message}"}}],"data":null}}"#);
        assert_eq!(class(&with("Too many requests.")), Class::Busy);
        assert_eq!(class(&with("Internal server error")), Class::ServerError);
        assert_eq!(class(&with("Cannot query field")), Class::Rejected);
        let expired = field(&with("jwt expired"), "allItems", LEAD).unwrap_err();
        assert!(expired.cause().unwrap().is::<Unauthorized>());
    }

    #[test]
    fn what_is_no_answer_is_unusable() {
        for text in ["", "{", "[]", "null", "{}", r#"{"data":null}"#, r#"{"data":{"b":{}}}"#] {
            assert_eq!(class(text), Class::Unusable, "{text}");
        }
    }
}
