//! What a wholesaler has for sale. An item is a pure function of seed, number and moment: nothing
//! is stored, so that a million items cost no memory.

mod changes;
mod drift;
mod item;
mod stock;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jebi_domain::Wholesaler;
use serde::{Deserialize, Serialize};

pub use changes::{Change, What};
pub(crate) use drift::Drift;
pub use item::{Availability, Item, ShippingType};
pub use stock::{Choice, Stock};
pub(crate) use words::CATEGORIES;
pub use words::Category;

use crate::random::mix;
use crate::time::Time;

/// The most items that a catalogue can have: keys of Ownerclan have six hexadecimal digits.
pub const MAX_ITEMS: u64 = 10_000_000;

/// What is wrong with an item, on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Oddity {
    /// Its price is below 0.
    NegativePrice,
    /// Its price is 10¹⁸ won.
    AbsurdPrice,
    /// Its price is left out, where that can be: at Zentrade.
    BlankPrice,
    /// Its name holds a NUL.
    NulInName,
    /// Its name holds half a surrogate pair: in JSON only.
    LoneSurrogate,
    /// It has 5,000 options.
    ManyOptions,
    /// Its description has 40 MB.
    HugeDescription,
}

/// The catalogue of one wholesaler.
#[derive(Debug, Clone)]
pub struct Catalogue {
    plan: Plan,
    /// Another one for each wholesaler.
    seed: u64,
}

/// What a catalogue is made by.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) wholesaler: Wholesaler,
    pub(crate) seed: u64,
    pub(crate) items: u64,
    pub(crate) drift: Drift,
    pub(crate) description_bytes: usize,
    pub(crate) oddities: Arc<BTreeMap<u64, Oddity>>,
}

impl Catalogue {
    pub(crate) fn new(plan: Plan) -> Self {
        let seed = mix(plan.seed, &[plan.wholesaler as u64]);
        Self { plan: Plan { items: plan.items.min(MAX_ITEMS), ..plan }, seed }
    }

    /// How many items there have ever been, those included that are not for sale now. While the
    /// catalogue drifts, a thousandth is added each day.
    #[must_use]
    pub fn size(&self, at: Time) -> u64 {
        let elapsed = u128::from(self.plan.drift.elapsed(at));
        let added = u128::from(self.plan.items) * elapsed / GROWTH_MS;
        (self.plan.items + u64::try_from(added).unwrap_or(u64::MAX)).min(MAX_ITEMS)
    }

    /// An item as it is at a moment; none beyond the [`Catalogue::size`].
    #[must_use]
    pub fn item(&self, number: u64, at: Time) -> Option<Item<'_>> {
        (number < self.size(at)).then(|| Item::new(self, number, at))
    }

    /// All items as they are at a moment, those included that are not for sale.
    pub fn items(&self, at: Time) -> impl DoubleEndedIterator<Item = Item<'_>> {
        (0..self.size(at)).map(move |number| Item::new(self, number, at))
    }

    /// What changes between two moments, both included, the earliest first. Finding the first costs
    /// nothing, and each further one a few steps, whatever the size.
    pub fn changes(&self, from: Time, to: Time) -> impl Iterator<Item = Change> + use<'_> {
        changes::between(self, from, to)
    }

    /// Tells apart moments between which something has changed.
    pub(crate) fn generation(&self, at: Time) -> Generation {
        let elapsed = self.plan.drift.elapsed(at);
        let size = self.size(at);
        let passed = |rhythm: drift::Rhythm| rhythm.passed(elapsed, size);
        Generation {
            seed: self.seed,
            size,
            gone: passed(drift::DOWN),
            back: passed(drift::UP),
            prices: passed(drift::PRICE),
            stocks: passed(drift::STOCK),
        }
    }

    fn chance(&self, number: u64, what: u64, turn: u64) -> u64 {
        mix(self.seed, &[number, what, turn])
    }

    /// When an item that came later than the first ones was added.
    fn added(&self, number: u64) -> Option<Time> {
        let later = number.checked_sub(self.plan.items)? + 1;
        let elapsed = (u128::from(later) * GROWTH_MS).div_ceil(u128::from(self.plan.items.max(1)));
        Some(self.plan.drift.moment(u64::try_from(elapsed).unwrap_or(u64::MAX)))
    }
}

/// How often each kind of thing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation {
    seed: u64,
    size: u64,
    gone: u64,
    back: u64,
    prices: u64,
    stocks: u64,
}

impl Generation {
    /// That of which items there are and can be had; numbers left out.
    pub(crate) fn of_items(self) -> Self {
        Self { prices: 0, stocks: 0, ..self }
    }
}

/// In this time, in milliseconds, a drifting catalogue would double.
const GROWTH_MS: u128 = Duration::from_hours(24 * 1_000).as_millis();

#[cfg(test)]
mod tests;
