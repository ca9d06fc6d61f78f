//! What must be true of whatever is read, whoever wrote it.

use jebi_domain::Money;
use serde_json::Value;

use super::product::{ProductOption, Rejected, Stock, Tier, WholesaleProduct};
use super::text;

pub use super::domeggook::fuzz::{list as domeggook_list, tiers, view as domeggook_view};
pub use super::ownerclan::fuzz::items as ownerclan_items;
pub use super::zentrade::fuzz::file as zentrade_file;

/// The text of options, in both ways to write it.
pub fn options(text: &str) {
    super::domeggook::fuzz::options(text);
    super::zentrade::fuzz::options(text);
}

/// What came through can be stored and sold. Gives how many that are.
pub(super) fn assert_sound<'a>(
    items: impl IntoIterator<Item = Result<&'a WholesaleProduct, &'a Rejected>>,
) -> usize {
    items.into_iter().flatten().map(assert_product).count()
}

fn assert_product(product: &WholesaleProduct) {
    if let Some(price) = product.price {
        assert_price(price);
    }
    assert_tiers(product.price, &product.tiers);
    assert_options(&product.options);
    assert_stock(product.stock);
    if let Some(name) = &product.name {
        assert_legible(name.as_str());
    }
    if let Some(category) = &product.category {
        assert_legible(&category.code);
        assert_legible(&category.name);
    }
    assert!(product.images.len() <= WholesaleProduct::MAX_IMAGES);
    for image in &product.images {
        assert!(text::is_image(image), "{image:?}");
    }
    if let Some(description) = &product.description {
        assert!(description.len() <= WholesaleProduct::MAX_DESCRIPTION_BYTES);
        assert_legible(description);
    }
    assert_storable(&Value::Object(product.raw.clone()));
}

pub(super) fn assert_price(price: Money) {
    assert!((1..=WholesaleProduct::MAX_PRICE).contains(&price.amount()), "{price:?}");
}

/// The price is that of the smallest quantity; quantities grow.
pub(super) fn assert_tiers(price: Option<Money>, tiers: &[Tier]) {
    assert!(tiers.len() <= WholesaleProduct::MAX_TIERS);
    assert!(tiers.first().is_none_or(|tier| tier.min_quantity > 0 && price == Some(tier.price)));
    assert!(tiers.is_sorted_by(|one, other| one.min_quantity < other.min_quantity), "{tiers:?}");
    tiers.iter().for_each(|tier| assert_price(tier.price));
}

pub(super) fn assert_options(options: &[ProductOption]) {
    assert!(options.len() <= WholesaleProduct::MAX_OPTIONS);
    for (at, option) in options.iter().enumerate() {
        assert_legible(&option.key);
        assert_legible(option.name.as_str());
        assert_stock(option.stock);
        let difference = option.difference.map_or(0, Money::amount);
        assert!(difference.unsigned_abs() <= WholesaleProduct::MAX_PRICE.unsigned_abs());
        assert!(options[..at].iter().all(|other| other.key != option.key), "{options:?}");
    }
}

fn assert_stock(stock: Stock) {
    assert!(!matches!(stock, Stock::Units(units) if units > WholesaleProduct::MAX_UNITS));
}

fn assert_legible(text: &str) {
    assert!(!text.is_empty() && !text.contains(['\0', char::REPLACEMENT_CHARACTER]), "{text:?}");
}

/// PostgreSQL takes it as JSON.
fn assert_storable(raw: &Value) {
    match raw {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => assert!(!text.contains('\0'), "{text:?}"),
        Value::Array(list) => list.iter().for_each(assert_storable),
        Value::Object(fields) => {
            assert!(fields.keys().all(|name| !name.contains('\0')), "{fields:?}");
            fields.values().for_each(assert_storable);
        }
    }
}

#[cfg(test)]
mod tests;
