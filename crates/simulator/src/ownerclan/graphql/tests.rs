use serde_json::{Map, Value, json};

use super::{Operation, read};

fn variables(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn reads(text: &str, given: Value) -> Operation {
    read(text, &variables(given), None).unwrap()
}

/// What is wrong with a document.
fn complaint(text: &str) -> String {
    let errors = read(text, &Map::new(), None).unwrap_err();
    errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join(" | ")
}

#[test]
fn variables_defaults_aliases_and_fragments_are_put_in() {
    let text = "query Walk($first: Int = 500, $after: String, $withName: Boolean!) {
        page: allItems(first: $first, after: $after, search: \"무선\") {
            edges { node { ...Parts } }
            ... on Query { nothing }
        }
    }
    fragment Parts on Item { key name @include(if: $withName) options { quantity } }";
    let operation = reads(text, json!({ "withName": false }));
    let page = &operation.fields[0];
    assert_eq!((page.key.as_str(), page.name.as_str()), ("page", "allItems"));
    assert_eq!(page.number("first"), Some(500));
    assert_eq!(page.text("search"), Some("무선"));
    assert_eq!(page.argument("after"), None);
    let node = &page.fields[0].fields[0];
    let names: Vec<&str> = node.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["key", "options"]);
}

#[test]
fn the_operation_of_the_name_is_read() {
    let text =
        "query A { item(key: \"W1\") { key } } mutation B { checkOrder(key: \"O1\") { key } }";
    let operation = read(text, &Map::new(), Some("B")).unwrap();
    assert!(operation.is_mutation);
    assert!(read(text, &Map::new(), None).is_err());
    assert!(read(text, &Map::new(), Some("C")).is_err());
}

#[test]
fn what_is_not_in_the_schema_is_named() {
    let cases = [
        ("{ item(key: \"W1\") { colour } }", "Cannot query field \"colour\" on type \"Item\"."),
        ("{ items2 { key } }", "Cannot query field \"items2\" on type \"Query\"."),
        ("{ item(no: 1) { key } }", "Unknown argument \"no\" on field \"Query.item\"."),
        ("{ item(key: $key) { key } }", "Variable \"$key\" is not defined."),
        (
            "{ item(key: \"W1\") }",
            "Field \"item\" of type \"Item\" must have a selection of subfields.",
        ),
        ("{ item(key: \"W1\") { key { x } } }", "Field \"key\" must not have a selection."),
        ("{ item(key: \"W1\") { ...F } }", "Unknown fragment \"F\"."),
        (
            "query ($key: ID!) { item(key: $key) { key } }",
            "Variable \"$key\" of required type \"ID!\" was not provided.",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(complaint(text), expected, "{text}");
    }
}

#[test]
fn no_document_is_too_deep_or_too_large() {
    assert!(complaint(&"{a".repeat(10_000)).contains("depth"));
    let circle = "{ item(key: \"W1\") { ...A } } fragment A on Item { ...A key }";
    assert!(complaint(circle).contains("too large"));
    assert!(complaint("{").starts_with("Syntax Error"));
    assert!(!complaint("").is_empty());
}
