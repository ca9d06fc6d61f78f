//! Orders: placed once for each time they are sent, kept as they were received, shipped in time.

mod domeggook;
mod ownerclan;
mod zentrade;

use jebi_domain::Wholesaler;
use jebi_simulator::{Availability, Item, Stock, item_key};

use crate::support::Outside;

/// Two items of a wholesaler with five of each: one with nothing to choose, of one vendor, and one
/// with a choice, of another.
fn two_items(outside: &Outside, wholesaler: Wholesaler) -> [(String, Vec<String>); 2] {
    let catalogue = outside.simulator().catalogue(wholesaler);
    let is_good = |item: &Item<'_>| {
        let first = item.choices().next().map(|choice| choice.stock);
        let has_five = |stock| match stock {
            Stock::Units(units) => units >= 5,
            Stock::Untracked => true,
        };
        item.availability() == Availability::OnSale && first.is_some_and(has_five)
    };
    let items: Vec<Item<'_>> =
        catalogue.items(outside.transport.clock().now()).filter(is_good).collect();
    let plain = items.iter().find(|item| item.choice_count() == 1).unwrap();
    let chosen = items
        .iter()
        .find(|item| item.choice_count() > 1 && item.vendor() != plain.vendor())
        .unwrap();
    [plain, chosen].map(|item| {
        let values = item.choices().next().unwrap().attributes;
        let values = values.into_iter().map(|(_, value)| value).collect();
        (item_key(wholesaler, item.number()), values)
    })
}
