use jebi_domain::Currency;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn item(change: &Value) -> Value {
    let mut item = json!({
        "key": "WAB12CD", "name": "무선 주전자 1.7L", "status": "available", "price": 21500.0,
        "options": [
            { "key": "1", "price": 21500, "quantity": 40, "status": "available",
              "optionAttributes": [{ "name": "색상", "value": "크림" }] },
            { "key": "2", "price": 23000, "quantity": 7, "status": "available",
              "optionAttributes": [{ "name": "색상", "value": "먹색" },
                                   { "name": "크기", "value": "대" }] },
        ],
        "images": ["https://img.example.com/k.jpg"], "content": " <b>끓는다</b> ",
        "category": { "key": "10990000", "name": "주전자", "fullName": "주방 > 주전자" },
        "metadata": "{\"grade\":\"B\"}", "updatedAt": 1_795_400_000_123_i64, "shippingFee": 2500,
    });
    for (name, value) in change.as_object().unwrap() {
        item[name] = value.clone();
    }
    item
}

fn read(change: &Value) -> Result<WholesaleProduct, Reason> {
    super::read(&item(change).to_string()).map_err(|rejected| {
        assert_eq!(rejected.key.unwrap().as_str(), "WAB12CD");
        rejected.reason
    })
}

fn won(amount: i64) -> Option<Money> {
    Some(Money::new(amount, Currency::Krw).unwrap())
}

fn option(change: &Value) -> Value {
    let mut option = json!({ "key": "1", "price": 21500, "quantity": 3, "status": "available",
        "optionAttributes": [{ "name": "색상", "value": "크림" }] });
    for (name, value) in change.as_object().unwrap() {
        option[name] = value.clone();
    }
    option
}

#[test]
fn an_item_becomes_a_product() {
    let product = read(&json!({})).unwrap();
    assert_eq!(product.name.unwrap().as_str(), "무선 주전자 1.7L");
    assert_eq!((product.price, product.stock), (won(21_500), Stock::Units(47)));
    let options =
        product.options.iter().map(|one| (one.key.as_str(), one.name.as_str(), one.difference));
    assert_eq!(
        options.collect::<Vec<_>>(),
        [("1", "크림", won(0)), ("2", "먹색 / 대", won(1_500))]
    );
    assert_eq!(product.description.as_deref(), Some("<b>끓는다</b>"));
    assert_eq!(product.category.unwrap().name, "주방 > 주전자");
    assert_eq!(product.changed_at.unwrap().timestamp_millis(), 1_795_400_000_123);
    assert_eq!(
        Value::Object(product.raw),
        json!({ "metadata": { "grade": "B" }, "shippingFee": 2500 })
    );
}

#[test]
fn what_is_not_known_is_unknown() {
    let gone = json!({ "name": null, "price": null, "status": "discontinued", "options": [],
        "images": [], "content": "", "category": null, "updatedAt": null });
    let product = read(&gone).unwrap();
    assert_eq!((product.name, product.price, product.stock), (None, None, Stock::Unknown));
    assert_eq!(product.availability, Availability::Discontinued);
    assert_eq!((product.description, product.changed_at, product.category), (None, None, None));
}

#[test]
fn nine_thousand_nine_hundred_and_ninety_nine_is_not_counted() {
    let alone = option(&json!({ "quantity": 9999, "optionAttributes": [] }));
    let product = read(&json!({ "options": [alone] })).unwrap();
    assert_eq!((product.options.len(), product.stock), (0, Stock::NotTracked));
    let unknown = option(&json!({ "quantity": null, "key": "2" }));
    let product =
        read(&json!({ "options": [option(&json!({ "quantity": 9999 })), unknown] })).unwrap();
    assert_eq!(product.stock, Stock::Unknown);
    let soldout = option(&json!({ "quantity": 9999, "status": "soldout" }));
    assert_eq!(read(&json!({ "options": [soldout] })).unwrap().stock, Stock::Units(0));
}

#[test]
fn where_an_option_costs_nothing_options_are_added() {
    let options =
        json!([option(&json!({ "price": 0 })), option(&json!({ "key": "2", "price": -500 }))]);
    let product = read(&json!({ "options": options })).unwrap();
    let differences: Vec<_> = product.options.iter().map(|option| option.difference).collect();
    assert_eq!(differences, [won(0), won(-500)]);
}

#[test]
fn moments_come_in_milliseconds_or_in_seconds() {
    let changed = |told: Value| read(&json!({ "updatedAt": told }));
    let expected = 1_795_400_000_000;
    for told in [json!(1_795_400_000), json!(1_795_400_000_000_i64), json!("1795400000")] {
        assert_eq!(changed(told).unwrap().changed_at.unwrap().timestamp_millis(), expected);
    }
    assert_eq!(changed(json!(-1)), Err(Reason::OutOfRange("updatedAt")));
}

#[test]
fn what_cannot_be_is_rejected_with_its_reason() {
    let with = |change: Value| json!({ "options": [option(&change)] });
    let many: Vec<Value> = (0..501).map(|key| option(&json!({ "key": key.to_string() }))).collect();
    for (change, reason) in [
        (json!({ "price": -1000 }), Reason::OutOfRange("price")),
        (json!({ "price": 0 }), Reason::OutOfRange("price")),
        (json!({ "price": 1_000_000_000_000_000_000_i64 }), Reason::OutOfRange("price")),
        (json!({ "price": 8900.5 }), Reason::Malformed("price")),
        (json!({ "price": "만원" }), Reason::Malformed("price")),
        (json!({ "status": null }), Reason::Missing("status")),
        (json!({ "name": "a\0" }), Reason::Malformed("name")),
        (json!({ "name": ["a"] }), Reason::Malformed("name")),
        (json!({ "name": "가".repeat(301) }), Reason::TooLarge("name")),
        (json!({ "options": "" }), Reason::Unreadable),
        (json!({ "options": [1] }), Reason::Malformed("options")),
        (json!({ "options": many }), Reason::TooLarge("options")),
        (with(json!({ "quantity": -1 })), Reason::OutOfRange("quantity")),
        (with(json!({ "price": 22_000_000_000_i64 })), Reason::OutOfRange("option price")),
        (
            with(json!({ "optionAttributes": [{ "name": "색상" }] })),
            Reason::Missing("optionAttributes"),
        ),
        (json!({ "content": "x".repeat(1 << 21) }), Reason::TooLarge("description")),
        (json!({ "images": vec!["https://a"; 51] }), Reason::TooLarge("images")),
        (json!({ "origin": "\0" }), Reason::Malformed("raw")),
        (
            json!({ "category": { "key": "1", "fullName": "주방\0" } }),
            Reason::Malformed("category"),
        ),
        (json!({ "category": { "key": "\0", "name": "주방" } }), Reason::Malformed("category")),
        (with(json!({ "key": "1\0" })), Reason::Malformed("option key")),
    ] {
        // Nothing at all is written as an empty text now and then.
        let expected = if reason == Reason::Unreadable { None } else { Some(reason) };
        assert_eq!(read(&change).err(), expected, "{change}");
    }
}

#[test]
fn as_much_is_read_as_may_be() {
    let options: Vec<Value> =
        (0..500).map(|key| option(&json!({ "key": key.to_string() }))).collect();
    assert_eq!(read(&json!({ "options": options })).unwrap().options.len(), 500);
    let images = vec!["https://a"; 50];
    assert_eq!(read(&json!({ "images": images })).unwrap().images.len(), 50);
    let key = |length: usize| json!({ "options": [option(&json!({ "key": "k".repeat(length) }))] });
    assert_eq!(read(&key(100)).unwrap().options[0].key.len(), 100);
    assert_eq!(read(&key(101)), Err(Reason::Missing("option key")));
    let chosen = |count: usize| {
        let values = vec![json!({ "name": "색상", "value": "흰" }); count];
        json!({ "options": [option(&json!({ "optionAttributes": values }))] })
    };
    assert_eq!(read(&chosen(10)).unwrap().options[0].name.as_str(), ["흰"; 10].join(" / "));
    assert_eq!(read(&chosen(11)), Err(Reason::Malformed("optionAttributes")));
    let no_list = json!({ "options": [option(&json!({ "optionAttributes": [7] }))] });
    assert_eq!(read(&no_list), Err(Reason::Malformed("optionAttributes")));
}

#[test]
fn options_are_told_apart_by_their_keys_and_names() {
    let twice = json!({ "options": [option(&json!({})), option(&json!({}))] });
    assert_eq!(read(&twice), Err(Reason::Contradictory("options")));
    let nameless = |key| option(&json!({ "key": key, "optionAttributes": [] }));
    let both = json!({ "options": [nameless("1"), nameless("2")] });
    assert_eq!(read(&both), Err(Reason::Missing("option name")));
}

#[test]
fn each_word_says_whether_it_can_be_had_of_an_option_as_well() {
    for (word, availability, stock) in [
        ("available", Availability::OnSale, Stock::Units(3)),
        ("soldout", Availability::SoldOut, Stock::Units(0)),
        ("unavailable", Availability::Unavailable, Stock::Units(0)),
        ("discontinued", Availability::Discontinued, Stock::Units(0)),
        ("resting", Availability::Unknown, Stock::Unknown),
    ] {
        let options = json!([option(&json!({ "status": word }))]);
        let product = read(&json!({ "status": word, "options": options })).unwrap();
        assert_eq!((product.availability, product.stock), (availability, stock), "{word}");
        assert_eq!(product.options[0].availability, availability, "{word}");
    }
}

#[test]
fn what_an_option_costs_beside_the_item_is_known_only_where_both_are() {
    let with = |price: Value, own: Value| {
        let options = json!([option(&json!({ "price": own }))]);
        read(&json!({ "price": price, "options": options })).unwrap().options[0].difference
    };
    assert_eq!(with(json!(1_000), json!(700)), won(-300));
    assert_eq!(with(json!(null), json!(700)), None);
    assert_eq!(with(json!(1_000), json!(null)), None);
}

#[test]
fn a_word_that_nobody_knows_is_kept() {
    let product = read(&json!({ "status": "resting", "images": ["ftp://x", 7] })).unwrap();
    assert_eq!(product.availability, Availability::Unknown);
    assert_eq!(
        (&product.raw["status"], &product.raw["images"]),
        (&json!("resting"), &json!(["ftp://x", 7]))
    );
}

#[test]
fn half_a_surrogate_pair_costs_its_item_alone_and_its_key_is_told() {
    let text = item(&json!({})).to_string().replace("무선", "\\ud83d");
    let rejected = super::read(&text).unwrap_err();
    assert_eq!((rejected.key.unwrap().as_str(), rejected.reason), ("WAB12CD", Reason::Unreadable));
    for text in ["", "null", "[]", "{}", r#"{"key":1}"#, r#"{"key":"a b"}"#] {
        assert_eq!(super::read(text).unwrap_err().key, None, "{text}");
    }
}

/// Anything that JSON can say.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}|[0-9,.원-]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("key|name|price|quantity|value|x", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_a_field_holds_there_is_a_product_or_a_reason(
        at in 0_usize..11,
        value in anything(),
    ) {
        const NAMES: [&str; 11] = ["name", "status", "price", "options", "images", "content",
            "category", "metadata", "updatedAt", "shippingFee", "boxQuantity"];
        let _: Result<_, _> = read(&json!({ NAMES[at]: value }));
    }
}
