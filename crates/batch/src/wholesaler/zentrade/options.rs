//! Options in one text: `실버^|^3500^|^5900^|^https://…↑=↑`.

use jebi_domain::Money;

use crate::wholesaler::number;
use crate::wholesaler::product::{Availability, ProductOption, Reason, Stock, WholesaleProduct};
use crate::wholesaler::text;

const WHAT: &str = "option";
/// Between rows, and now and then behind the last.
const BETWEEN_ROWS: &str = "↑=↑";
/// Between the fields of a row: name, price, the consumer's price, image. Rows may stop early.
const BETWEEN_FIELDS: &str = "^|^";

/// The options of a product of that price. Theirs are their own, not added to it. Nothing tells which
/// of them are sold out.
pub(super) fn read(text: &str, price: Option<Money>) -> Result<Vec<ProductOption>, Reason> {
    let rows = text.split(BETWEEN_ROWS).map(str::trim).filter(|row| !row.is_empty());
    let mut options: Vec<ProductOption> = Vec::new();
    for row in rows {
        if options.len() >= WholesaleProduct::MAX_OPTIONS {
            return Err(Reason::TooLarge(WHAT));
        }
        let mut fields = row.split(BETWEEN_FIELDS);
        let name = fields.next().unwrap_or_default();
        let name = text::short(name, WHAT)?.ok_or(Reason::Missing(WHAT))?;
        let own = number::whole(fields.next().unwrap_or_default(), WHAT)?;
        let own = own.map(|own| number::price(own, WHAT)).transpose()?;
        let difference = own.zip(price).map(|(own, price)| own.amount() - price.amount());
        let difference = difference.map(|by| number::difference(by, WHAT)).transpose()?;
        let key = name.as_str().to_owned();
        if options.iter().any(|option| option.key == key) {
            return Err(Reason::Contradictory(WHAT));
        }
        let (stock, availability) = (Stock::Unknown, Availability::OnSale);
        options.push(ProductOption { key, name, difference, stock, availability });
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use jebi_domain::Currency;
    use proptest::prelude::*;

    use super::*;

    fn won(amount: i64) -> Money {
        Money::new(amount, Currency::Krw).unwrap()
    }

    fn told(text: &str) -> Result<Vec<(String, Option<i64>)>, Reason> {
        let options = read(text, Some(won(3_000)))?;
        let told = |option: ProductOption| (option.key, option.difference.map(Money::amount));
        Ok(options.into_iter().map(told).collect())
    }

    #[test]
    fn rows_end_with_a_separator_or_not_and_may_be_short() {
        let expected = vec![("은색".to_owned(), Some(0)), ("금색 / 대".to_owned(), Some(1_100))];
        for text in [
            "은색^|^3000^|^5900^|^https://img.example.com/o.jpg↑=↑\n   금색 / 대^|^4,100",
            " 은색^|^3000↑=↑\r\n 금색 / 대^|^4100^|^^|^↑=↑\n ",
        ] {
            assert_eq!(told(text), Ok(expected.clone()));
        }
        assert_eq!(told("은색"), Ok(vec![("은색".to_owned(), None)]));
        assert_eq!(told("  \n "), Ok(Vec::new()));
    }

    #[test]
    fn what_costs_nothing_is_known_of_has_no_difference() {
        assert_eq!(read("기본^|^800", None).unwrap()[0].difference, None);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let many = (0..501).map(|at| format!("{at}^|^10")).collect::<Vec<_>>().join("↑=↑");
        for (text, reason) in [
            ("^|^3000", Reason::Missing(WHAT)),
            ("은색^|^싸다", Reason::Malformed(WHAT)),
            ("은색^|^-100", Reason::OutOfRange(WHAT)),
            ("은색^|^0", Reason::OutOfRange(WHAT)),
            ("은색^|^10↑=↑은색^|^20", Reason::Contradictory(WHAT)),
            ("은\u{fffd}^|^10", Reason::Malformed(WHAT)),
            (&many, Reason::TooLarge(WHAT)),
        ] {
            assert_eq!(told(text), Err(reason), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_options_or_a_reason(text in "(↑=↑|\\^\\|\\^|[0-9,가-힣 ^|=↑]){0,30}") {
            let _: Result<_, _> = told(&text);
        }

        #[test]
        fn what_is_written_is_read(
            prices in prop::collection::btree_map("[가-힣]{1,6}( / [A-Z]{1,2})?", 1_i64..1_000_000, 0..9),
            is_closed: bool,
        ) {
            let rows = prices.iter().map(|(name, price)| format!("{name}^|^{price}^|^0^|^"));
            let mut text = rows.collect::<Vec<_>>().join("↑=↑\n      ");
            if is_closed {
                text.push_str("↑=↑\n");
            }
            let expected: Vec<_> =
                prices.into_iter().map(|(name, price)| (name, Some(price - 3_000))).collect();
            prop_assert_eq!(told(&text), Ok(expected));
        }
    }
}
