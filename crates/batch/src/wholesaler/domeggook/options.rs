//! Options: JSON inside a text, by codes such as `00` and `01_03`.

use serde_json::Value;

use crate::wholesaler::fields::{Fields, is_true};
use crate::wholesaler::number;
use crate::wholesaler::product::{Availability, ProductOption, Reason, Stock, WholesaleProduct};

const WHAT: &str = "selectOpt";

/// The options that are shown. What they cost is added to the price.
pub(super) fn read(text: &str) -> Result<Vec<ProductOption>, Reason> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut fields = Fields::parse(text).map_err(|_| Reason::Malformed(WHAT))?;
    let data: Vec<(String, Value)> = match fields.take("data") {
        None => Vec::new(),
        Some(Value::Object(data)) => data.into_iter().collect(),
        // What is numbered from 0 on becomes a list.
        Some(Value::Array(list)) => {
            list.into_iter().enumerate().map(|(at, option)| (format!("{at:02}"), option)).collect()
        }
        Some(_) => return Err(Reason::Malformed(WHAT)),
    };
    if data.len() > WholesaleProduct::MAX_OPTIONS {
        return Err(Reason::TooLarge(WHAT));
    }
    let mut options = Vec::with_capacity(data.len());
    for (code, told) in data {
        let Value::Object(told) = told else { return Err(Reason::Malformed(WHAT)) };
        options.extend(option(code, Fields::new(told))?);
    }
    Ok(options)
}

/// `None` for one that is hidden.
fn option(key: String, mut told: Fields) -> Result<Option<ProductOption>, Reason> {
    let is_code = |code: &str| code.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    if key.is_empty() || key.len() > 40 || !is_code(&key) {
        return Err(Reason::Malformed("option code"));
    }
    if told.take("hid").as_ref().is_some_and(is_true) {
        return Ok(None);
    }
    let name = told.text("name")?.ok_or(Reason::Missing("option name"))?;
    let stock = match told.number("qty")? {
        None => Stock::Unknown,
        Some(number) => number::units(number, "qty")?,
    };
    // Two names for the same; clients disagree which.
    let difference = match (told.number("domPrice")?, told.number("addprice")?) {
        (Some(one), Some(other)) if one != other => {
            return Err(Reason::Contradictory("option price"));
        }
        (one, other) => one.or(other),
    };
    let difference = difference.map(|by| number::difference(by, "option price")).transpose()?;
    let is_out = stock == Stock::Units(0);
    let availability = if is_out { Availability::SoldOut } else { Availability::OnSale };
    Ok(Some(ProductOption { key, name, difference, stock, availability }))
}

#[cfg(test)]
mod tests {
    use jebi_domain::Money;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    type Told = Vec<(String, String, Option<i64>, Stock)>;

    fn told(value: &Value) -> Result<Told, Reason> {
        let told = |option: ProductOption| {
            let difference = option.difference.map(Money::amount);
            (option.key, option.name.into_string(), difference, option.stock)
        };
        Ok(read(&value.to_string())?.into_iter().map(told).collect())
    }

    #[test]
    fn options_are_read_in_all_their_spellings() {
        let data = json!({ "type": "combination", "data": {
            "00_00": { "name": "하양 / 소", "hid": "0", "qty": "12", "domPrice": "0", "addprice": 0 },
            "00_01": { "name": "하양 / 대", "hid": 0, "qty": 0, "domPrice": "1,500" },
            "01_00": { "name": "숨은 것", "hid": "1", "qty": "x" },
            "01_01": { "name": "파랑 / 대", "addprice": -300 },
        } });
        let expected = vec![
            ("00_00".to_owned(), "하양 / 소".to_owned(), Some(0), Stock::Units(12)),
            ("00_01".to_owned(), "하양 / 대".to_owned(), Some(1_500), Stock::Units(0)),
            ("01_01".to_owned(), "파랑 / 대".to_owned(), Some(-300), Stock::Unknown),
        ];
        assert_eq!(told(&data), Ok(expected));
        let list = json!({ "data": [{ "name": "하나", "qty": 1 }] });
        assert_eq!(told(&list).unwrap()[0].0, "00");
        for nothing in ["", " ", "{}", r#"{"data":""}"#, r#"{"data":{}}"#, r#"{"data":[]}"#] {
            assert_eq!(read(nothing), Ok(Vec::new()), "{nothing}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let one = |option: Value| json!({ "data": { "00": option } });
        let many: serde_json::Map<String, Value> =
            (0..501).map(|at| (at.to_string(), json!({ "name": "x" }))).collect();
        for (value, reason) in [
            (json!([]), Reason::Malformed(WHAT)),
            (json!({ "data": 7 }), Reason::Malformed(WHAT)),
            (json!({ "data": { "00": 7 } }), Reason::Malformed(WHAT)),
            (json!({ "data": { "a|b": { "name": "x" } } }), Reason::Malformed("option code")),
            (json!({ "data": many }), Reason::TooLarge(WHAT)),
            (one(json!({ "qty": 1 })), Reason::Missing("option name")),
            (one(json!({ "name": "x", "qty": -1 })), Reason::OutOfRange("qty")),
            (one(json!({ "name": "x", "domPrice": "싸다" })), Reason::Malformed("domPrice")),
            (one(json!({ "name": "x", "domPrice": 1e10 })), Reason::OutOfRange("option price")),
            (
                one(json!({ "name": "x", "domPrice": 5, "addprice": 6 })),
                Reason::Contradictory("option price"),
            ),
        ] {
            assert_eq!(told(&value), Err(reason), "{value}");
        }
        assert_eq!(read(r#"{"data":{"00":{"name":"\ud83d"}}}"#), Err(Reason::Malformed(WHAT)));
    }

    #[test]
    fn as_many_options_and_as_long_a_code_are_read_as_may_be_and_no_more() {
        let option = || json!({ "name": "x", "qty": 0 });
        let many: serde_json::Map<String, Value> =
            (0..500).map(|at| (at.to_string(), option())).collect();
        assert_eq!(told(&json!({ "data": many })).map(|options| options.len()), Ok(500));
        let code = |length: usize| json!({ "data": { "1_".repeat(length): option() } }).to_string();
        let read_one = read(&code(20)).unwrap();
        assert_eq!(read_one[0].availability, Availability::SoldOut);
        assert_eq!(read(&code(0)), Err(Reason::Malformed("option code")));
        assert_eq!(read(&code(21)), Err(Reason::Malformed("option code")));
    }

    proptest! {
        #[test]
        fn any_text_is_options_or_a_reason(
            text in "\\PC*|(\\{|\\}|\"|data|name|qty|hid|:|,|[0-9_\\[\\]]){0,40}",
        ) {
            let _: Result<_, _> = read(&text);
        }

        #[test]
        fn what_is_written_is_read(
            options in prop::collection::btree_map(
                "[0-9]{2}(_[0-9]{2})?",
                ("[가-힣]{1,8}", 0_u32..100_000, -100_000_i64..100_000, any::<bool>()),
                0..9,
            ),
        ) {
            let written = |(name, qty, by, is_text): &(String, u32, i64, bool)| {
                if *is_text {
                    json!({ "name": name, "qty": qty.to_string(), "domPrice": by.to_string() })
                } else {
                    json!({ "name": name, "qty": qty, "domPrice": by, "addprice": by })
                }
            };
            let data: serde_json::Map<String, Value> =
                options.iter().map(|(code, option)| (code.clone(), written(option))).collect();
            let mut read = told(&json!({ "data": data })).unwrap();
            read.sort_by(|one, other| one.0.cmp(&other.0));
            let expected: Told = options.into_iter()
                .map(|(code, (name, qty, by, _))| (code, name, Some(by), Stock::Units(qty)))
                .collect();
            prop_assert_eq!(read, expected);
        }
    }
}
