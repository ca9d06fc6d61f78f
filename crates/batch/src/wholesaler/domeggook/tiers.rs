//! Prices by quantity in a text: `1+9900|20+9500|50+9100`.

use jebi_domain::Money;
use serde_json::Value;

use crate::wholesaler::number;
use crate::wholesaler::product::{Reason, Tier, WholesaleProduct};

const WHAT: &str = "price";
const MAX_QUANTITY: i64 = 1_000_000;

/// What one costs in the smallest quantity, and in others where that makes a difference.
pub(super) fn read(told: &Value) -> Result<(Option<Money>, Vec<Tier>), Reason> {
    match told {
        Value::String(text) if text.contains('+') => {
            let tiers = tiers(text)?;
            let price = tiers.first().map(|tier| tier.price);
            let is_one_price = matches!(tiers[..], [Tier { min_quantity: 1, .. }]);
            Ok((price, if is_one_price { Vec::new() } else { tiers }))
        }
        told => {
            let price = number::of_json(told, WHAT)?;
            let price = price.map(|price| number::price(price, WHAT)).transpose()?;
            Ok((price, Vec::new()))
        }
    }
}

/// The quantities grow from one to the next.
fn tiers(text: &str) -> Result<Vec<Tier>, Reason> {
    let mut tiers: Vec<Tier> = Vec::new();
    for part in text.split('|').map(str::trim).filter(|part| !part.is_empty()) {
        if tiers.len() >= WholesaleProduct::MAX_TIERS {
            return Err(Reason::TooLarge(WHAT));
        }
        let (quantity, price) = part.split_once('+').ok_or(Reason::Malformed(WHAT))?;
        let missing = Reason::Malformed(WHAT);
        let quantity = number::whole(quantity, WHAT)?.ok_or(missing)?;
        let price = number::price(number::whole(price, WHAT)?.ok_or(missing)?, WHAT)?;
        let min_quantity = Some(quantity).filter(|quantity| (1..=MAX_QUANTITY).contains(quantity));
        let min_quantity = min_quantity.and_then(|quantity| u32::try_from(quantity).ok());
        let min_quantity = min_quantity.ok_or(Reason::OutOfRange("quantity"))?;
        if tiers.last().is_some_and(|last| last.min_quantity >= min_quantity) {
            return Err(Reason::Contradictory(WHAT));
        }
        tiers.push(Tier { min_quantity, price });
    }
    if tiers.is_empty() { Err(Reason::Malformed(WHAT)) } else { Ok(tiers) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    type Told = (Option<i64>, Vec<(u32, i64)>);

    fn told(value: &Value) -> Result<Told, Reason> {
        let (price, tiers) = read(value)?;
        let tiers = tiers.iter().map(|tier| (tier.min_quantity, tier.price.amount()));
        Ok((price.map(Money::amount), tiers.collect()))
    }

    #[test]
    fn a_price_is_a_number_or_a_table() {
        assert_eq!(told(&json!(7_300)), Ok((Some(7_300), vec![])));
        assert_eq!(told(&json!("7,300원")), Ok((Some(7_300), vec![])));
        assert_eq!(told(&json!("1+7300")), Ok((Some(7_300), vec![])));
        assert_eq!(told(&json!("10+730")), Ok((Some(730), vec![(10, 730)])));
        let table = vec![(1, 7_300), (12, 7_000), (100, 6_800)];
        assert_eq!(told(&json!("1+7300| 12+7,000|100+6800|")), Ok((Some(7_300), table)));
        assert_eq!(told(&json!(null)), Ok((None, vec![])));
        assert_eq!(told(&json!("")), Ok((None, vec![])));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let many: Vec<String> = (1..=51).map(|quantity| format!("{quantity}+10")).collect();
        assert_eq!(told(&json!(many[..50].join("|"))).map(|(_, tiers)| tiers.len()), Ok(50));
        assert_eq!(told(&json!("|")), Err(Reason::Malformed(WHAT)));
        assert_eq!(told(&json!("1000001+10")), Err(Reason::OutOfRange("quantity")));
        for (text, reason) in [
            ("+", Reason::Malformed(WHAT)),
            ("1+", Reason::Malformed(WHAT)),
            ("+7300", Reason::Malformed(WHAT)),
            ("1+7300|20", Reason::Malformed(WHAT)),
            ("1+7300+2", Reason::Malformed(WHAT)),
            ("0+7300", Reason::OutOfRange("quantity")),
            ("-1+7300", Reason::OutOfRange("quantity")),
            ("1+-7300", Reason::OutOfRange(WHAT)),
            ("1+0", Reason::OutOfRange(WHAT)),
            ("20+7000|1+7300", Reason::Contradictory(WHAT)),
            ("1+7300|1+7000", Reason::Contradictory(WHAT)),
            (&many.join("|"), Reason::TooLarge(WHAT)),
            ("7300|6000", Reason::Malformed(WHAT)),
        ] {
            assert_eq!(told(&json!(text)), Err(reason), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_prices_or_a_reason(text in "\\PC*|[-0-9+|,. 원]{0,40}") {
            let _: Result<_, _> = told(&json!(text));
        }

        #[test]
        fn what_is_written_is_read(
            table in prop::collection::btree_map(1_u32..=1_000_000, 1_i64..=1_000_000_000, 2..9),
        ) {
            let table: BTreeMap<u32, i64> = table;
            let parts: Vec<String> =
                table.iter().map(|(quantity, price)| format!("{quantity}+{price}")).collect();
            let expected = (table.values().next().copied(), table.into_iter().collect());
            prop_assert_eq!(told(&json!(parts.join("|"))), Ok(expected));
        }
    }
}
