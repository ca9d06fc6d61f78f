//! What is true of the items, to hold against what a client has made of them.

use jebi_domain::Wholesaler;
use serde_json::{Value, json};

use super::Answer;
use crate::catalogue::{Availability, Item, Stock};
use crate::request::Parameters;
use crate::simulator::{Simulator, item_key};
use crate::time::Time;

const MOST: u64 = 10_000;

/// Items from a number on: `from`, `limit`.
pub(super) fn items(
    simulator: &Simulator,
    wholesaler: Wholesaler,
    now: Time,
    parameters: &Parameters,
) -> Answer {
    let catalogue = simulator.catalogue(wholesaler);
    let from = parameters.number("from").unwrap_or(0);
    let limit = parameters.number("limit").unwrap_or(1_000).min(MOST);
    let numbers = from..from.saturating_add(limit);
    let items = numbers.map_while(|number| catalogue.item(number, now));
    let items: Vec<Value> = items.map(|item| shown(wholesaler, &item)).collect();
    Ok(json!({ "now": now, "size": catalogue.size(now), "items": items }))
}

fn shown(wholesaler: Wholesaler, item: &Item<'_>) -> Value {
    let units = |stock| match stock {
        Stock::Units(units) => Some(units),
        Stock::Untracked => None,
    };
    let choice = |choice: crate::catalogue::Choice| {
        json!({
            "label": choice.label(),
            "surcharge": choice.surcharge,
            "stock": units(choice.stock),
        })
    };
    let availability = match item.availability() {
        Availability::OnSale => "on_sale",
        Availability::SoldOut => "sold_out",
        Availability::Discontinued => "discontinued",
        Availability::Missing => "missing",
    };
    json!({
        "number": item.number(),
        "key": item_key(wholesaler, item.number()),
        "name": item.name(),
        "price": item.price(),
        "stock": units(item.stock()),
        "availability": availability,
        "choices": item.choices().map(choice).collect::<Vec<_>>(),
        "updated_at": item.updated_at(),
    })
}
