//! How much there is, choice by choice.

use super::Item;
use super::drift::STOCK;
use super::item::chance;
use crate::random::pick;

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stock {
    /// So many.
    Units(u32),
    /// Enough; nobody counts.
    Untracked,
}

/// What a buyer chooses, such as a colour and a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Names and values: none for an item without options, two for combined ones.
    pub attributes: Vec<(&'static str, String)>,
    /// What is added to the item's price, in won.
    pub surcharge: i64,
    /// How much there is.
    pub stock: Stock,
}

impl Choice {
    /// `화이트 / L`.
    #[must_use]
    pub fn label(&self) -> String {
        let values: Vec<&str> = self.attributes.iter().map(|(_, value)| value.as_str()).collect();
        values.join(" / ")
    }
}

const COLOURS: &[&str] = &["화이트", "블랙", "민트", "베이지", "네이비", "그레이", "핑크", "카키"];
const SIZES: &[&str] = &["S", "M", "L", "XL"];
const MANY: u64 = 5_000;

/// How many colours and sizes an item has.
fn widths(item: &Item<'_>) -> (u64, u64) {
    if item.has_many_options() {
        return (MANY, 1);
    }
    let kind = item.chance(chance::OPTIONS, 0);
    match kind % 10 {
        0..=4 => (1, 1),
        5..=7 => (2 + (kind >> 8) % 4, 1),
        _ => (2 + (kind >> 8) % 3, 2 + (kind >> 16) % 3),
    }
}

/// How many choices an item has; one where there is nothing to choose.
pub(super) fn count(item: &Item<'_>) -> u64 {
    let (colours, sizes) = widths(item);
    colours * sizes
}

pub(super) fn choice(item: &Item<'_>, place: u64) -> Choice {
    let (colours, sizes) = widths(item);
    let mut attributes = Vec::new();
    if colours > 1 {
        attributes.push(("색상", named(COLOURS, place / sizes)));
    }
    if sizes > 1 {
        attributes.push(("사이즈", named(SIZES, place % sizes)));
    }
    let surcharge = if place == 0 || item.has_many_options() {
        0
    } else {
        [0, 0, 500, 1_000][usize::from(place % 4 == 1) + usize::from(place % 3 == 2) * 2]
    };
    Choice { attributes, surcharge, stock: stock(item, place, turns(item, place)) }
}

/// The names of a list, and numbered ones when it is used up.
fn named(list: &[&str], place: u64) -> String {
    let name = pick(list, place);
    if place < list.len() as u64 { name.to_owned() } else { format!("{name} {place}") }
}

/// Which choice an item's change of a turn concerns: each in its turn.
pub(super) fn changed(item: &Item<'_>, turn: u64) -> u64 {
    turn.saturating_sub(1) % count(item)
}

/// How often the stock of a choice has changed when the item's stock has changed `turn` times.
fn turns_of(item: &Item<'_>, place: u64, turn: u64) -> u64 {
    let choices = count(item);
    (turn + choices - 1 - place) / choices
}

fn turns(item: &Item<'_>, place: u64) -> u64 {
    turns_of(item, place, item.turns(STOCK))
}

/// Before and after an item's change of a turn.
pub(super) fn at_turn(item: &Item<'_>, turn: u64) -> (Stock, Stock) {
    let place = changed(item, turn);
    let after = turns_of(item, place, turn);
    (stock(item, place, after.saturating_sub(1)), stock(item, place, after))
}

/// Odd at every other turn, so that no change changes nothing; at the first ones of some items, at
/// the second ones of others.
fn stock(item: &Item<'_>, place: u64, turn: u64) -> Stock {
    let chance = item.chance(chance::STOCK, (place << 32) | turn);
    let units = u32::try_from((chance >> 8) % 120).expect("it is below 120") * 2;
    let is_odd = (turn + (item.chance(chance::OPTIONS, 1) & 1)) % 2 == 1;
    // Of one choice, nothing left would be the item sold out, which is told in another way.
    let may_be_none = count(item) > 1;
    match chance % 12 {
        _ if is_odd => Stock::Units(units + 1),
        0..=5 if item.counts_loosely() => Stock::Untracked,
        6 if may_be_none => Stock::Units(0),
        _ => Stock::Units(units + 2),
    }
}
