//! Orders, looked up: where they are, and what brings them.

use serde_json::Value;

use super::element;
use super::frames::{Frame, Frames};
use crate::outcome::{Class, Failure};
use crate::wholesaler::error::unusable;
use crate::wholesaler::fields::Fields;
use crate::wholesaler::product::Reason;
use crate::wholesaler::text;

/// What an order is looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderBy<'a> {
    /// Zentrade's own number.
    Number(&'a str),
    /// The seller's number, under which it was placed.
    Reference(&'a str),
}

impl<'a> OrderBy<'a> {
    pub(super) fn parameter(self) -> (&'static str, &'a str) {
        match self {
            Self::Number(number) => ("ordno", number),
            Self::Reference(reference) => ("pordno", reference),
        }
    }
}

/// An order as Zentrade tells of it. Who gets it is not read: we know that, and need it nowhere twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZentradeOrder {
    /// Zentrade's own number.
    pub number: String,
    /// The seller's number.
    pub reference: String,
    /// When it was placed, as the clocks in Korea show it: `2026-11-23 09:20:11`.
    pub ordered_at: Option<String>,
    /// What is ordered: `10001 - 스텐 채반 24cm / 골드`, by line.
    pub items: Vec<String>,
    /// Who brings it.
    pub courier: Option<String>,
    /// The number of the parcel, once it is on its way.
    pub tracking_number: Option<String>,
    /// What Zentrade has to say about it.
    pub message: Option<String>,
}

/// Lines of an order are numbered elements.
const MAX_LINES: usize = 100;

pub(super) fn read(text: &str) -> Result<Vec<ZentradeOrder>, Failure> {
    let mut frames = Frames::new("ord_info");
    let mut orders = Vec::new();
    frames.push(text);
    while let Some(frame) =
        frames.next().map_err(|why| Failure::new(Class::Unusable).because(why))?
    {
        let Frame::Element(xml) = frame else { return Err(unusable("an order is too large")) };
        let read = element::read(&xml).and_then(order);
        let reason = |reason: Reason| Failure::new(Class::Unusable).because(reason);
        orders.push(read.map_err(reason)?);
    }
    if frames.has_ended() { Ok(orders) } else { Err(unusable("the list was cut")) }
}

fn order(mut fields: Fields) -> Result<ZentradeOrder, Reason> {
    let number = short(&mut fields, "@ordno")?.ok_or(Reason::Missing("ordno"))?;
    let reference = short(&mut fields, "@pordno")?.unwrap_or_default();
    let mut items = Vec::new();
    for place in 1..=MAX_LINES {
        match fields.take(&format!("ord_item{place}")) {
            Some(Value::String(item)) => items.extend(text::short::<1_000>(&item, "ord_item")?),
            _ => break,
        }
    }
    Ok(ZentradeOrder {
        number,
        reference,
        ordered_at: short(&mut fields, "ord_date")?,
        items: items.into_iter().map(jebi_domain::Text::into_string).collect(),
        courier: short(&mut fields, "deli_info@delicom")?,
        tracking_number: short(&mut fields, "deli_info@delinum")?,
        message: fields.text::<1_000>("zentrade_msg")?.map(jebi_domain::Text::into_string),
    })
}

fn short(fields: &mut Fields, name: &'static str) -> Result<Option<String>, Reason> {
    Ok(fields.text::<100>(name)?.map(jebi_domain::Text::into_string))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "<?xml version=\"1.0\" encoding=\"euc-kr\"?>\n<zentrade version=\"ZENTRADE ORDER XML 1.0\" datetime=\"\">\n";

    #[test]
    fn an_order_is_read_and_who_gets_it_is_not() {
        let text = format!(
            "{HEAD}<ord_info ordno=\"2026120100007\" pordno=\"J-7\"><ord_date>2026-12-01 10:00:00</ord_date>
            <nameReceiver><![CDATA[ 아무개 ]]></nameReceiver>
            <ord_item1><![CDATA[ 20001 - 컵 / 파랑 ]]></ord_item1><ord_item2><![CDATA[ 20002 - 솔 / 기본 ]]></ord_item2>
            <deli_info delicom=\"한진택배\" delinum=\"500000000001\" /><zentrade_msg><![CDATA[   ]]></zentrade_msg>
            </ord_info></zentrade>"
        );
        let expected = ZentradeOrder {
            number: "2026120100007".to_owned(),
            reference: "J-7".to_owned(),
            ordered_at: Some("2026-12-01 10:00:00".to_owned()),
            items: vec!["20001 - 컵 / 파랑".to_owned(), "20002 - 솔 / 기본".to_owned()],
            courier: Some("한진택배".to_owned()),
            tracking_number: Some("500000000001".to_owned()),
            message: None,
        };
        assert_eq!(read(&text).unwrap(), [expected]);
    }

    #[test]
    fn an_order_is_looked_up_by_either_number() {
        assert_eq!(OrderBy::Number("7").parameter(), ("ordno", "7"));
        assert_eq!(OrderBy::Reference("J-7").parameter(), ("pordno", "J-7"));
    }

    #[test]
    fn an_order_that_nobody_knows_is_none_and_a_cut_one_a_failure() {
        assert_eq!(read(&format!("{HEAD}</zentrade>\n")).unwrap(), []);
        for text in [HEAD, "<zentrade><ord_info/></zentrade>", "<zentrade><ord_info ordno=\"1\">"] {
            assert_eq!(read(text).unwrap_err().class, Class::Unusable, "{text}");
        }
    }
}
