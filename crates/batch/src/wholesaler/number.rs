//! Numbers as wholesalers write them: `12000`, `12000.0`, `"12,000"`, `"12,000원"`, `""`.

use jebi_domain::{Currency, Money};
use serde_json::Value;

use crate::wholesaler::product::{Reason, Stock, WholesaleProduct};

/// Longer numbers are none.
const MAX_BYTES: usize = 40;

/// A whole number from text, `None` where nothing is written. Commas stand where thousands end, 원
/// behind, a fraction of nothing but zeros is none.
pub(super) fn whole(text: &str, what: &'static str) -> Result<Option<i64>, Reason> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > MAX_BYTES {
        return Err(Reason::OutOfRange(what));
    }
    let text = text.strip_suffix('원').unwrap_or(text).trim_end();
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_nothing = is_digits(fraction) && fraction.bytes().all(|byte| byte == b'0');
    let plain = without_commas(whole).filter(|plain| is_digits(plain) && is_nothing);
    let plain = plain.ok_or(Reason::Malformed(what))?;
    let number: i64 = plain.parse().map_err(|_| Reason::OutOfRange(what))?;
    Ok(Some(if is_negative { -number } else { number }))
}

/// The digits, where commas stand where thousands end or nowhere.
fn without_commas(text: &str) -> Option<String> {
    let mut groups = text.split(',');
    let first = groups.next()?;
    let has_groups = first.len() < text.len();
    let are_whole = groups.all(|group| group.len() == 3);
    let is_fine = !has_groups || ((1..=3).contains(&first.len()) && are_whole);
    is_fine.then(|| text.replace(',', ""))
}

/// A whole number from JSON, a number or a text; `None` for null and for nothing.
pub(super) fn of_json(value: &Value, what: &'static str) -> Result<Option<i64>, Reason> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => whole(text, what),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Ok(Some(number)),
            None => number
                .as_f64()
                .map_or(Err(Reason::OutOfRange(what)), |float| of_float(float, what).map(Some)),
        },
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(Reason::Malformed(what)),
    }
}

/// Won are declared as a float by Ownerclan.
fn of_float(float: f64, what: &'static str) -> Result<i64, Reason> {
    // Up to here every whole number has a float of its own.
    if float.abs() > 9_007_199_254_740_992.0 {
        return Err(Reason::OutOfRange(what));
    }
    if float.fract() != 0.0 {
        return Err(Reason::Malformed(what));
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and below 2^53")]
    Ok(float as i64)
}

/// What one costs. 0 is no price.
pub(super) fn price(number: i64, what: &'static str) -> Result<Money, Reason> {
    match number {
        1..=WholesaleProduct::MAX_PRICE => won(number, what),
        _ => Err(Reason::OutOfRange(what)),
    }
}

/// What is added or taken off.
pub(super) fn difference(number: i64, what: &'static str) -> Result<Money, Reason> {
    if number.unsigned_abs() > WholesaleProduct::MAX_PRICE.unsigned_abs() {
        return Err(Reason::OutOfRange(what));
    }
    won(number, what)
}

fn won(number: i64, what: &'static str) -> Result<Money, Reason> {
    Money::new(number, Currency::Krw).map_err(|_| Reason::OutOfRange(what))
}

/// How many there are.
pub(super) fn units(number: i64, what: &'static str) -> Result<Stock, Reason> {
    let units = u32::try_from(number).ok().filter(|units| *units <= WholesaleProduct::MAX_UNITS);
    units.map(Stock::Units).ok_or(Reason::OutOfRange(what))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const WHAT: &str = "number";

    #[test]
    fn what_is_written_in_many_ways_is_one_number() {
        for text in ["12000", "12,000", " 12,000원 ", "12000.0", "12,000.00 원", "0012000"] {
            assert_eq!(whole(text, WHAT), Ok(Some(12_000)), "{text:?}");
        }
        for value in [json!(12000), json!(12000.0), json!("12,000"), json!(1.2e4)] {
            assert_eq!(of_json(&value, WHAT), Ok(Some(12_000)), "{value}");
        }
        assert_eq!(whole("-1,000", WHAT), Ok(Some(-1_000)));
    }

    #[test]
    fn nothing_is_not_0() {
        assert_eq!(whole("", WHAT), Ok(None));
        assert_eq!(whole(" \n", WHAT), Ok(None));
        assert_eq!(of_json(&json!(null), WHAT), Ok(None));
        assert_eq!(of_json(&json!(""), WHAT), Ok(None));
        assert_eq!(whole("0", WHAT), Ok(Some(0)));
    }

    #[test]
    fn what_is_no_number_is_malformed_and_what_is_absurd_out_of_range() {
        for text in [
            "1,00", "1,0000", ",000", "12,", "1.5", "1.", ".0", "--1", "+1", "1e5", "원", "1원원",
            "무료", "٣",
        ] {
            assert_eq!(whole(text, WHAT), Err(Reason::Malformed(WHAT)), "{text:?}");
        }
        for value in [json!(1.5), json!(true), json!([1]), json!({})] {
            assert_eq!(of_json(&value, WHAT), Err(Reason::Malformed(WHAT)), "{value}");
        }
        for text in ["99999999999999999999", &"9".repeat(60)] {
            assert_eq!(whole(text, WHAT), Err(Reason::OutOfRange(WHAT)), "{text:?}");
        }
        assert_eq!(of_json(&json!(1e300), WHAT), Err(Reason::OutOfRange(WHAT)));
        for number in [0, -1, -1_000, 1_000_000_001, 1_000_000_000_000_000_000, i64::MIN] {
            assert_eq!(price(number, WHAT), Err(Reason::OutOfRange(WHAT)), "{number}");
        }
        for number in [-1, 100_000_001, i64::from(u32::MAX), i64::MAX] {
            assert_eq!(units(number, WHAT), Err(Reason::OutOfRange(WHAT)), "{number}");
        }
    }

    #[test]
    fn what_is_at_its_bound_is_a_number_and_what_is_beyond_it_is_none() {
        assert_eq!(whole(&"0".repeat(40), WHAT), Ok(Some(0)));
        assert_eq!(whole(&"0".repeat(41), WHAT), Err(Reason::OutOfRange(WHAT)));
        let most = 9_007_199_254_740_992_i64;
        assert_eq!(of_json(&json!(9_007_199_254_740_992.0), WHAT), Ok(Some(most)));
        assert_eq!(of_json(&json!(-9_007_199_254_740_992.0), WHAT), Ok(Some(-most)));
        let beyond = of_json(&json!(9_007_199_254_740_994.0), WHAT);
        assert_eq!(beyond, Err(Reason::OutOfRange(WHAT)));
        for number in [1, 1_000_000_000] {
            assert_eq!(price(number, WHAT).map(Money::amount), Ok(number));
        }
        for number in [-1_000_000_000, 0, 1_000_000_000] {
            assert_eq!(difference(number, WHAT).map(Money::amount), Ok(number));
        }
        for number in [-1_000_000_001, 1_000_000_001, i64::MIN] {
            assert_eq!(difference(number, WHAT), Err(Reason::OutOfRange(WHAT)));
        }
        assert_eq!(units(0, WHAT), Ok(Stock::Units(0)));
        assert_eq!(units(100_000_000, WHAT), Ok(Stock::Units(100_000_000)));
    }

    fn grouped(number: i64) -> String {
        let digits = number.unsigned_abs().to_string();
        let mut text = String::new();
        for (at, digit) in digits.char_indices() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        if number < 0 { format!("-{text}") } else { text }
    }

    proptest! {
        #[test]
        fn any_text_is_a_number_or_a_reason(text in "\\PC*") {
            let _: Result<_, _> = whole(&text, WHAT);
        }

        #[test]
        fn anything_of_digits_and_marks_is_a_number_or_a_reason(text in "[-0-9,.원 ]{0,50}") {
            let read = whole(&text, WHAT);
            prop_assert_eq!(of_json(&json!(text), WHAT), read);
        }

        #[test]
        fn a_number_is_read_however_it_is_written(number in -i64::MAX..=i64::MAX) {
            for text in [number.to_string(), grouped(number), format!(" {}원", grouped(number))] {
                prop_assert_eq!(whole(&text, WHAT), Ok(Some(number)), "{}", text);
            }
            prop_assert_eq!(of_json(&json!(number), WHAT), Ok(Some(number)));
        }

        #[test]
        fn a_float_that_is_whole_is_its_number(number in -1_000_000_000_000_i64..1_000_000_000_000) {
            let text = format!("{number}.0");
            let value: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(of_json(&value, WHAT), Ok(Some(number)));
        }
    }
}
