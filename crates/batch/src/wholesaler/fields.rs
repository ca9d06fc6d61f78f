//! The fields of a JSON object, taken one by one. What nobody takes is kept as it was said.

use std::borrow::Cow;

use jebi_domain::Text;
use serde_json::{Map, Value};

use crate::wholesaler::number;
use crate::wholesaler::product::{Reason, WholesaleProduct};
use crate::wholesaler::text;

/// The fields that nobody has taken yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn new(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// The fields of an object that is written as JSON.
    pub(super) fn parse(json: &str) -> Result<Self, Reason> {
        serde_json::from_str(json).map(Self).map_err(|_| Reason::Unreadable)
    }

    /// A value, where there is one: null is none, and neither is an empty text, which is what an XML
    /// element with nothing in it becomes.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| match value {
            Value::Null => false,
            Value::String(text) => !text.trim().is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => true,
        })
    }

    /// A value that stays where it is.
    pub(super) fn look(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Puts a value back, or one in place of what was taken.
    pub(super) fn keep(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// A text, also where it is written as a number.
    pub(super) fn word(&mut self, name: &'static str) -> Result<Option<String>, Reason> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
                Err(Reason::Malformed(name))
            }
        }
    }

    /// A short text.
    pub(super) fn text<const MAX: usize>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<Text<MAX>>, Reason> {
        let word = self.word(name)?;
        word.map_or(Ok(None), |word| text::short(&word, name))
    }

    /// A whole number, also where it is written as a text.
    pub(super) fn number(&mut self, name: &'static str) -> Result<Option<i64>, Reason> {
        self.take(name).map_or(Ok(None), |value| number::of_json(&value, name))
    }

    /// What is read of an object inside; what is left of it stays.
    pub(super) fn within<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, Reason>,
    ) -> Result<Option<T>, Reason> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(list)) if list.is_empty() => Ok(None),
            Some(Value::Object(fields)) => {
                let mut inside = Self(fields);
                let value = read(&mut inside)?;
                if !inside.0.is_empty() {
                    self.0.insert(name.to_owned(), Value::Object(inside.0));
                }
                Ok(Some(value))
            }
            Some(_) => Err(Reason::Malformed(name)),
        }
    }

    /// Those fields alone.
    pub(super) fn only(mut self, is_kept: impl Fn(&Value) -> bool) -> Self {
        self.0.retain(|_, value| is_kept(value));
        self
    }

    /// What nobody has taken, where it can be stored.
    pub(super) fn rest(self) -> Result<Map<String, Value>, Reason> {
        let mut bytes = 0;
        for (name, value) in &self.0 {
            bytes += measure(&Value::String(name.clone()))? + measure(value)?;
        }
        match bytes {
            ..=WholesaleProduct::MAX_RAW_BYTES => Ok(self.0),
            _ => Err(Reason::TooLarge("raw")),
        }
    }
}

/// About how many bytes it takes as JSON. PostgreSQL stores no NUL in it.
fn measure(value: &Value) -> Result<usize, Reason> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(8),
        Value::String(text) if text.contains('\0') => Err(Reason::Malformed("raw")),
        Value::String(text) => Ok(text.len() + 3),
        Value::Array(list) => list.iter().try_fold(2, |sum, value| Ok(sum + measure(value)?)),
        Value::Object(fields) => fields.iter().try_fold(2, |sum, (name, value)| {
            let name =
                if name.contains('\0') { Err(Reason::Malformed("raw")) } else { Ok(name.len()) };
            Ok(sum + name? + measure(value)? + 4)
        }),
    }
}

/// One, several or none: a list that was made of XML is one only where it has two.
pub(super) fn many(value: Option<Value>) -> Vec<Value> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list,
        Some(one) => vec![one],
    }
}

/// `true` in its spellings: `true`, `"true"`, `"TRUE"`, `"y"`, `1`, `"1"`.
pub(super) fn is_true(value: &Value) -> bool {
    let text = match value {
        Value::Bool(value) => return *value,
        Value::String(text) => Cow::Borrowed(text.trim()),
        Value::Number(number) => Cow::Owned(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => return false,
    };
    ["true", "y", "1"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_taken_stays() {
        let json = r#"{"a":" ","b":{"c":1,"d":null,"e":[1]},"f":"x","n":"1,000"}"#;
        let mut fields = Fields::parse(json).unwrap();
        assert_eq!(fields.take("a"), None);
        assert_eq!(fields.number("n"), Ok(Some(1_000)));
        assert_eq!(fields.within("b", |b| b.number("c")), Ok(Some(Some(1))));
        assert_eq!(fields.within("f", |_| Ok(())), Err(Reason::Malformed("f")));
        let rest = Value::Object(fields.rest().unwrap());
        assert_eq!(rest, json!({ "b": { "d": null, "e": [1] } }));
    }

    fn fields(value: Value) -> Fields {
        serde_json::from_value(value).map(Fields::new).unwrap()
    }

    #[test]
    fn a_word_is_a_text_or_a_number_and_a_number_the_same() {
        let told =
            json!({ "a": "x", "b": 7, "c": true, "d": [], "e": null, "f": "8", "g": {}, "h": [7] });
        let mut read = fields(told);
        assert_eq!(read.word("a"), Ok(Some("x".to_owned())));
        assert_eq!(read.word("b"), Ok(Some("7".to_owned())));
        assert_eq!(read.word("c"), Err(Reason::Malformed("c")));
        assert_eq!((read.word("e"), read.word("nobody")), (Ok(None), Ok(None)));
        assert_eq!((read.number("f"), read.number("nobody")), (Ok(Some(8)), Ok(None)));
        assert_eq!(read.number("g"), Err(Reason::Malformed("g")));
        assert_eq!(read.within("d", |_| Ok(1)), Ok(None));
        assert_eq!(read.within("h", |_| Ok(1)), Err(Reason::Malformed("h")));
        assert!(read.rest().unwrap().is_empty());
    }

    #[test]
    fn what_is_looked_at_or_put_back_stays() {
        let mut read = fields(json!({ "a": "x", "b": 7 }));
        assert_eq!((read.look("a"), read.look("c")), (Some(&json!("x")), None));
        assert_eq!(read.take("a"), Some(json!("x")));
        read.keep("a", "y");
        assert_eq!(read.clone().only(Value::is_number).rest().unwrap().len(), 1);
        assert_eq!(Value::Object(read.rest().unwrap()), json!({ "a": "y", "b": 7 }));
    }

    #[test]
    fn one_or_several_are_a_list() {
        assert_eq!(many(None), Vec::<Value>::new());
        assert_eq!(many(Some(json!(null))), Vec::<Value>::new());
        assert_eq!(many(Some(json!([1, 2]))), [json!(1), json!(2)]);
        assert_eq!(many(Some(json!({ "a": 1 }))), [json!({ "a": 1 })]);
    }

    #[test]
    fn what_is_left_is_measured_as_it_would_be_written() {
        for (value, bytes) in [
            (json!(null), 8),
            (json!(7), 8),
            (json!("가나"), 9),
            (json!([]), 2),
            (json!([7, "abc"]), 16),
            (json!({}), 2),
            (json!({ "ab": 7, "c": "def" }), 27),
        ] {
            assert_eq!(measure(&value), Ok(bytes), "{value}");
        }
        let rest = |length: usize| fields(json!({ "a": "x".repeat(length), "b": 7 })).rest();
        // Two names of four bytes each, a number of eight, and a text of three more.
        let most = WholesaleProduct::MAX_RAW_BYTES - 19;
        assert!(rest(most).is_ok());
        assert_eq!(rest(most + 1), Err(Reason::TooLarge("raw")));
    }

    #[test]
    fn what_is_left_is_bounded_and_without_nul() {
        let rest = |value: Value| Fields(Map::from_iter([("a".to_owned(), value)])).rest();
        assert!(rest(json!(["x".repeat(60_000)])).is_ok());
        assert_eq!(rest(json!(["x".repeat(70_000)])), Err(Reason::TooLarge("raw")));
        assert_eq!(rest(json!([{ "b": "\0" }])), Err(Reason::Malformed("raw")));
        assert_eq!(rest(json!([{ "\0": 1 }])), Err(Reason::Malformed("raw")));
    }

    #[test]
    fn true_has_many_spellings() {
        for value in [json!(true), json!("true"), json!("TRUE"), json!("y"), json!(1), json!("1")] {
            assert!(is_true(&value), "{value}");
        }
        for value in [json!(false), json!("false"), json!("n"), json!(0), json!(""), json!(null)] {
            assert!(!is_true(&value), "{value}");
        }
    }
}
