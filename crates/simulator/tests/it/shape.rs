//! Whether an answer has the shape of a sample.

use serde_json::Value;

/// Says where an answer differs in shape: other fields, or another kind of value. What is null, and
/// lists without entries, fit everything; an entry of a list must fit one of the sample's.
pub(crate) fn differences(sample: &Value, answer: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(sample, answer, "", &mut found);
    found
}

fn compare(sample: &Value, answer: &Value, at: &str, found: &mut Vec<String>) {
    match (sample, answer) {
        (Value::Null, _) | (_, Value::Null) => {}
        (Value::Object(sample), Value::Object(answer)) => {
            for name in answer.keys().filter(|name| !sample.contains_key(*name)) {
                found.push(format!("{at}.{name} is not in the sample"));
            }
            for (name, value) in sample {
                match answer.get(name) {
                    Some(other) => compare(value, other, &format!("{at}.{name}"), found),
                    None => found.push(format!("{at}.{name} is missing")),
                }
            }
        }
        (Value::Array(samples), Value::Array(answers)) => {
            for (place, answer) in answers.iter().enumerate() {
                let tries = samples.iter().map(|sample| {
                    let mut found = Vec::new();
                    compare(sample, answer, &format!("{at}[{place}]"), &mut found);
                    found
                });
                found.extend(tries.min_by_key(Vec::len).unwrap_or_default());
            }
        }
        (sample, answer) => {
            let kind = |value: &Value| match value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(_) => "number",
                Value::String(_) => "text",
                Value::Array(_) => "list",
                Value::Object(_) => "object",
            };
            if kind(sample) != kind(answer) {
                found.push(format!("{at} is a {}, not a {}", kind(answer), kind(sample)));
            }
        }
    }
}

#[test]
fn what_differs_is_named() {
    let sample = serde_json::json!({ "a": [1, "1"], "b": { "c": true }, "d": null });
    let fits = serde_json::json!({ "a": ["x", 7, 8], "b": { "c": false }, "d": "any" });
    assert_eq!(differences(&sample, &fits), Vec::<String>::new());
    let other = serde_json::json!({ "a": [true], "b": { "x": 1 } });
    let expected = [
        ".a[0] is a boolean, not a number",
        ".b.x is not in the sample",
        ".b.c is missing",
        ".d is missing",
    ];
    assert_eq!(differences(&sample, &other), expected);
}
