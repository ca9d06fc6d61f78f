//! Items: one, those of given keys, and all of them page by page.

use super::category;
use super::graphql::Field;
use super::page::{self, Page, write_object};
use super::root::{Failure, required, required_texts};
use crate::catalogue::{Availability, Choice, Item, ShippingType, Stock};
use crate::json::Json;
use crate::time::Time;
use crate::world::World;

/// Keys that are taken at once.
const MOST_KEYS: usize = 5_000;
/// Stands for a stock that nobody counts.
const UNTRACKED: i64 = 9_999;

/// The key of an item: `W` and six hexadecimal digits, which tell nothing of the number.
#[must_use]
pub(crate) fn key_of(number: u64) -> String {
    format!("W{:06X}", number.wrapping_mul(FACTOR) & MASK)
}

/// The number of an item's key.
pub(super) fn number_of(key: &str) -> Option<u64> {
    let digits = key.strip_prefix('W').filter(|digits| digits.len() == 6)?;
    let scrambled = u64::from_str_radix(digits, 16).ok()?;
    let number = scrambled.wrapping_mul(INVERSE) & MASK;
    (key_of(number) == key).then_some(number)
}

const MASK: u64 = 0xff_ffff;
/// Odd, so that it has an inverse.
const FACTOR: u64 = 0x9e_3779;
const INVERSE: u64 = inverse(FACTOR);

/// Newton's steps, each of which doubles the bits that are right.
const fn inverse(factor: u64) -> u64 {
    let mut inverse = factor;
    let mut step = 0;
    while step < 5 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(factor.wrapping_mul(inverse)));
        step += 1;
    }
    inverse
}

/// An item that is shown, by its key.
pub(super) fn shown<'a>(world: World<'a>, key: &str) -> Option<Item<'a>> {
    let number = number_of(key).filter(|number| *number < world.size())?;
    let item = world.catalogue.item(number, world.now)?;
    (item.availability() != Availability::Missing).then_some(item)
}

pub(super) fn one(world: World<'_>, field: &Field, json: &mut Json) -> Result<(), Failure> {
    let item = shown(world, required(field, "key")?);
    let item = item.ok_or_else(|| "해당 상품을 찾을 수 없습니다.".to_owned())?;
    write(world, &item, &field.fields, json);
    Ok(())
}

pub(super) fn by_keys(world: World<'_>, field: &Field, json: &mut Json) -> Result<(), Failure> {
    let keys = required_texts(field, "keys")?;
    if keys.len() > MOST_KEYS {
        return Err(format!("keys는 최대 {MOST_KEYS}개까지 가능합니다."));
    }
    let items = keys.into_iter().filter_map(|key| shown(world, key));
    json.list(items, |item, json| write(world, &item, &field.fields, json));
    Ok(())
}

pub(super) fn all(world: World<'_>, field: &Field, json: &mut Json) -> Result<(), Failure> {
    page_of(world, field)?.write(field, json, |item, fields, json| {
        write(world, item, fields, json);
    });
    Ok(())
}

fn page_of<'a>(world: World<'a>, field: &Field) -> Result<Page<Item<'a>>, Failure> {
    let wanted = Wanted::of(field);
    let is_shown = |number: &u64| {
        let item = world.catalogue.item(*number, world.now);
        item.is_some_and(|item| {
            item.availability() != Availability::Missing && wanted.is_met(&item)
        })
    };
    let after = field.text("after").map(|cursor| page::place(cursor, "cursor")).transpose()?;
    let before = field.text("before").map(|cursor| page::place(cursor, "cursor")).transpose()?;
    let start = world.distortion.shifted(after.unwrap_or(0)).min(world.size());
    let end = before.map_or(world.size(), |before| before.saturating_sub(1).min(world.size()));
    let (mut numbers, has_next, has_previous): (Vec<u64>, _, _);
    if let Some(last) = page::size(world, field, "last")? {
        let mut backwards = (start..end.max(start)).rev().filter(is_shown);
        numbers = backwards.by_ref().take(last).collect();
        numbers.reverse();
        (has_next, has_previous) = (before.is_some(), backwards.next().is_some());
    } else {
        let mut onwards = (start..end.max(start)).filter(is_shown);
        numbers = onwards.by_ref().take(page::first(world, field)?).collect();
        (has_next, has_previous) = (onwards.next().is_some(), after.is_some());
    }
    let item = |number| world.catalogue.item(number, world.now);
    let edge = |number| Some((page::cursor("cursor", number + 1), item(number)?));
    let stuck = world.distortion.is_stuck;
    Ok(Page {
        edges: numbers.into_iter().filter_map(edge).collect(),
        has_next: world.distortion.lie.map_or(has_next || stuck, |by| by > 0),
        has_previous,
        end: stuck.then(|| page::cursor("cursor", after.unwrap_or(0))),
    })
}

/// The filters that are understood; the others are taken and change nothing.
struct Wanted<'a> {
    prices: (Option<i64>, Option<i64>),
    modified: (Option<i64>, Option<i64>),
    search: Option<&'a str>,
    status: Option<&'a str>,
    vendor: Option<&'a str>,
    category: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(field: &'a Field) -> Self {
        Self {
            prices: (field.number("minPrice"), field.number("maxPrice")),
            modified: (field.number("dateFrom"), field.number("dateTo")),
            search: field.text("search"),
            status: field.text("status"),
            vendor: field.text("vendor"),
            category: field.text("category"),
        }
    }

    fn is_met(&self, item: &Item<'_>) -> bool {
        let is_within = |(from, to): (Option<i64>, Option<i64>), value: &dyn Fn() -> i64| {
            (from.is_none() && to.is_none())
                || (from.is_none_or(|from| from <= value()) && to.is_none_or(|to| value() <= to))
        };
        let asks_for_more = self.search.is_some() || self.prices != (None, None);
        let is_known = !asks_for_more || !is_hollow(item);
        is_known
            && is_within(self.prices, &|| item.price())
            && is_within(self.modified, &|| item.updated_at().unix_ms())
            && self.search.is_none_or(|search| item.name().contains(search))
            && self.status.is_none_or(|status| status_of(item) == status)
            && self.vendor.is_none_or(|vendor| vendor_key(item) == vendor)
            && self.category.is_none_or(|key| category::key_of(item.category()) == key)
    }
}

/// Nobody can have it for good: it has lost its name and its price.
fn is_hollow(item: &Item<'_>) -> bool {
    item.availability() == Availability::Discontinued
}

fn status_of(item: &Item<'_>) -> &'static str {
    match item.availability() {
        Availability::OnSale if item.stock() == Stock::Units(0) => "soldout",
        Availability::OnSale => "available",
        Availability::SoldOut => "soldout",
        Availability::Discontinued => "discontinued",
        Availability::Missing => "unavailable",
    }
}

fn vendor_key(item: &Item<'_>) -> String {
    format!("V{:03}", item.vendor() + 1)
}

pub(super) fn shipping_type(kind: ShippingType) -> &'static str {
    match kind {
        ShippingType::InAdvance => "inAdvance",
        ShippingType::UponArrival => "uponArrival",
        ShippingType::Free => "free",
    }
}

fn write(world: World<'_>, item: &Item<'_>, fields: &[Field], json: &mut Json) {
    let number = item.number();
    let time = |time: Time| time.unix_ms();
    write_object(fields, json, |field, json| match field.name.as_str() {
        "key" | "id" => json.text(&key_of(number)),
        "createdAt" => json.number(time(item.created_at())),
        "updatedAt" => json.number(time(item.updated_at())),
        "name" if is_hollow(item) => json.null(),
        "name" => json.text(&item.name()),
        "production" => json.text(&format!("테스트제조{}", item.vendor() % 7)),
        "origin" => json.text(if item.trait_of(1, 3) { "국산" } else { "중국" }),
        "price" if is_hollow(item) => json.null(),
        // Declared as a float, and now and then written as one.
        "price" if number.is_multiple_of(2) => json.raw(&format!("{}.0", item.price())),
        "price" => json.number(item.price()),
        "fixedPrice" => json.maybe_number(item.fixed_price()),
        "pricePolicy" => json.text(if item.fixed_price().is_some() { "fixed" } else { "free" }),
        "searchKeywords" => json.texts([item.category().name, "테스트"]),
        "content" if is_hollow(item) => json.text(""),
        "content" => json.text(&item.description()),
        "shippingFee" => json.number(item.shipping_fee()),
        "shippingType" => json.text(shipping_type(item.shipping_type())),
        "status" => json.text(status_of(item)),
        "options" if is_hollow(item) => json.raw("[]"),
        "options" => {
            let choices = (1..).zip(item.choices());
            json.list(choices, |(place, choice), json| {
                write_choice(item, place, &choice, &field.fields, json);
            });
        }
        "taxFree" => json.boolean(item.trait_of(2, 50)),
        "adultOnly" => json.boolean(item.trait_of(3, 100)),
        "isPublic" | "openmarketSellable" => json.boolean(true),
        "returnable" => json.boolean(!item.trait_of(4, 20)),
        "noReturnReason" if item.trait_of(4, 20) => json.text("개봉 후 반품 불가"),
        "guaranteedShippingPeriod" => json.number(if item.trait_of(5, 4) { 3 } else { 2 }),
        "boxQuantity" => json.number(item.box_quantity().into()),
        "attributes" if item.trait_of(6, 20) => json.texts(["ATTR_OVERSEA"]),
        "attributes" => json.raw("[]"),
        "closingTime" => json.text("15:00"),
        "returnCriteria" => json.text("seller"),
        "metadata" => write_metadata(world, item, json),
        "images" if is_hollow(item) => json.raw("[]"),
        "images" => json.texts([format!("https://img.example.com/{}_1.jpg", key_of(number))]),
        "category" => category::write(item.category(), &field.fields, json),
        _ => json.null(),
    });
}

fn write_metadata(world: World<'_>, item: &Item<'_>, json: &mut Json) {
    let grade = if item.trait_of(7, 2) { "A" } else { "B" };
    let object = format!("{{\"vendorKey\":\"{}\",\"grade\":\"{grade}\"}}", vendor_key(item));
    if world.settings.quirks.metadata.is_text(item.number() + 1) {
        json.text(&object);
    } else {
        json.raw(&object);
    }
}

fn write_choice(item: &Item<'_>, place: i64, choice: &Choice, fields: &[Field], json: &mut Json) {
    write_object(fields, json, |field, json| match field.name.as_str() {
        "key" => json.text(&place.to_string()),
        "quantity" => json.number(quantity(choice.stock)),
        "status" if choice.stock == Stock::Units(0) => json.text("soldout"),
        "status" => json.text("available"),
        "price" => json.number(item.price().saturating_add(choice.surcharge)),
        _ => json.list(&choice.attributes, |(name, value), json| {
            write_attribute(name, value, &field.fields, json);
        }),
    });
}

pub(super) fn write_attribute(name: &str, value: &str, fields: &[Field], json: &mut Json) {
    write_object(fields, json, |field, json| match field.name.as_str() {
        "name" => json.text(name),
        _ => json.text(value),
    });
}

fn quantity(stock: Stock) -> i64 {
    match stock {
        Stock::Units(units) => units.into(),
        Stock::Untracked => UNTRACKED,
    }
}

#[cfg(test)]
mod tests {
    use super::{key_of, number_of};

    #[test]
    fn a_key_tells_its_number_and_no_other() {
        for number in [0, 1, 2, 999, 1_000_000, 9_999_999] {
            assert_eq!(number_of(&key_of(number)), Some(number));
        }
        assert_ne!(key_of(1), key_of(2));
        for bad in ["", "W", "W12345", "W1234567", "X123456", "Wabcdef", "W-12345"] {
            assert_eq!(number_of(bad), None, "{bad}");
        }
    }
}
