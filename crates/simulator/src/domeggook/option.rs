//! Options: JSON in a text in JSON, by codes of one or two parts.

use crate::catalogue::{Choice, Item, Stock};
use crate::json::Json;

/// The code of a product that has no options.
pub(super) const NONE: &str = "00";

/// The code of each choice, in their order.
pub(super) fn codes(item: &Item<'_>) -> Vec<String> {
    let choices: Vec<Choice> = item.choices().collect();
    let value = |choice: &Choice, which: usize| choice.attributes.get(which).cloned();
    // Where there are sizes, a colour has as many choices as there are sizes.
    let sizes = match value(&choices[0], 1) {
        Some(_) => {
            let first = value(&choices[0], 0);
            choices.iter().take_while(|choice| value(choice, 0) == first).count()
        }
        None => 1,
    };
    let code = |place: usize| match sizes {
        1 => format!("{place:02}"),
        _ => format!("{:02}_{:02}", place / sizes, place % sizes),
    };
    (0..choices.len()).map(code).collect()
}

/// The choice of a code.
pub(super) fn chosen(item: &Item<'_>, code: &str) -> Option<Choice> {
    if item.choice_count() == 1 {
        return item.choices().next().filter(|_| code == NONE);
    }
    let place = codes(item).iter().position(|known| known == code)?;
    item.choices().nth(place)
}

pub(super) fn units(stock: Stock) -> i64 {
    match stock {
        Stock::Units(units) => units.into(),
        // Every stock is counted here.
        Stock::Untracked => i64::from(u32::MAX),
    }
}

/// An option that is written.
struct Written {
    code: String,
    name: String,
    is_hidden: bool,
    quantity: i64,
    surcharge: i64,
}

/// The text of all options; none where there is nothing to choose. Every other number is text.
pub(super) fn text(item: &Item<'_>) -> Option<String> {
    if item.choice_count() == 1 {
        return None;
    }
    let written = |(code, choice): (String, Choice)| Written {
        code,
        name: choice.label(),
        is_hidden: false,
        quantity: units(choice.stock),
        surcharge: choice.surcharge,
    };
    let mut options: Vec<Written> =
        codes(item).into_iter().zip(item.choices()).map(written).collect();
    if item.trait_of(10, 3) {
        // It was offered once, and is no more.
        let code = format!("{:02}", options.len());
        let (quantity, surcharge) = (5, 0);
        options.push(Written {
            code,
            name: "숨김".to_owned(),
            is_hidden: true,
            quantity,
            surcharge,
        });
    }
    let mut json = Json::default();
    json.raw("{\"type\":\"combination\",\"data\":");
    json.object(
        (0_usize..).zip(options),
        |(_, option)| &option.code,
        |(place, option), json| {
            let is_text = place.is_multiple_of(2);
            let number = |json: &mut Json, value: i64| {
                if is_text { json.text(&value.to_string()) } else { json.number(value) }
            };
            json.raw("{\"name\":");
            json.text(&option.name);
            json.raw(",\"hid\":");
            number(json, i64::from(option.is_hidden));
            json.raw(",\"qty\":");
            number(json, option.quantity);
            json.raw(",\"domPrice\":");
            json.text(&option.surcharge.to_string());
            json.raw(",\"addprice\":");
            number(json, option.surcharge);
            json.raw("}");
        },
    );
    json.raw("}");
    String::from_utf8(json.into_bytes()).ok()
}
