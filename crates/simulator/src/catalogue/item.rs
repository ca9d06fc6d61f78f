//! One item at one moment. Nothing is worked out before it is asked for.

use std::time::Duration;

use jebi_domain::Wholesaler;

use super::drift::{DOWN, PRICE, Rhythm, STOCK, UP};
use super::stock::{self, Choice, Stock};
use super::words::{self, Category};
use super::{Catalogue, Change, Oddity};
use crate::json::LONE_SURROGATE;
use crate::random::pick;
use crate::time::Time;

/// What a number of chance decides.
pub(super) mod chance {
    pub(in super::super) const NAME: u64 = 1;
    pub(in super::super) const PRICE: u64 = 2;
    pub(in super::super) const OPTIONS: u64 = 3;
    pub(in super::super) const STOCK: u64 = 4;
    pub(in super::super) const STANDING: u64 = 5;
    pub(in super::super) const WAY_OUT: u64 = 6;
    pub(in super::super) const CREATED: u64 = 7;
    pub(in super::super) const DELIVERY: u64 = 8;
    pub(in super::super) const VENDOR: u64 = 9;
    pub(in super::super) const TRAITS: u64 = 10;
    pub(in super::super) const DESCRIPTION: u64 = 11;
}

/// Whether it can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// Yes.
    OnSale,
    /// Not now.
    SoldOut,
    /// Never again, it seems; it is still shown.
    Discontinued,
    /// It is shown nowhere.
    Missing,
}

/// How the fee of a delivery is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShippingType {
    /// With the order.
    InAdvance,
    /// By the recipient.
    UponArrival,
    /// Not at all.
    Free,
}

/// One item at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    catalogue: &'a Catalogue,
    number: u64,
    at: Time,
}

impl Catalogue {
    /// What an item is for ever, where it is not on sale like most.
    pub(super) fn standing(&self, number: u64) -> Availability {
        match self.chance(number, chance::STANDING, 0) % 100 {
            0..=1 => Availability::SoldOut,
            2 => Availability::Discontinued,
            _ => Availability::OnSale,
        }
    }
}

impl<'a> Item<'a> {
    pub(super) fn new(catalogue: &'a Catalogue, number: u64, at: Time) -> Self {
        Self { catalogue, number, at }
    }

    /// Its number in the catalogue, from 0.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> String {
        let name = words::name(self.chance(chance::NAME, 0));
        match self.oddity() {
            Some(Oddity::NulInName) => format!("{name}\0"),
            Some(Oddity::LoneSurrogate) => format!("{name}{LONE_SURROGATE}"),
            _ => name,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn category(&self) -> &'static Category {
        words::category(self.chance(chance::NAME, 0))
    }

    /// What the seller pays for one, in won.
    #[must_use]
    pub fn price(&self) -> i64 {
        match self.oddity() {
            Some(Oddity::NegativePrice) => -1_000,
            Some(Oddity::AbsurdPrice) => 1_000_000_000_000_000_000,
            _ => self.price_at_turn(self.turns(PRICE)),
        }
    }

    /// Odd steps at every other turn, so that no change changes nothing.
    fn price_at_turn(&self, turn: u64) -> i64 {
        let chance = self.chance(chance::PRICE, 0);
        let magnitude = pick(&[100, 100, 300, 300, 1_000, 1_000, 3_000], chance);
        let base = i64::try_from((chance >> 16) % 900 + 100).expect("it is below 1,000");
        let step = self.chance(chance::PRICE, turn + 1) % 10 * 2 + turn % 2;
        let unit = (magnitude / 100).max(1) * 10;
        base * magnitude / 100 * 10 + i64::try_from(step).expect("it is below 20") * unit
    }

    /// Before and after a change of its price, or of the stock of a choice.
    pub(crate) fn prices_at(&self, change: &Change) -> (i64, i64) {
        (self.price_at_turn(change.turn - 1), self.price_at_turn(change.turn))
    }

    /// Which choice a change of stock concerns; what there was of it, and what there is.
    pub(crate) fn stock_at(&self, change: &Change) -> (u64, Stock, Stock) {
        let (before, after) = stock::at_turn(self, change.turn);
        (stock::changed(self, change.turn), before, after)
    }

    /// A price that shops must keep to, where there is one.
    #[must_use]
    pub fn fixed_price(&self) -> Option<i64> {
        (self.trait_of(0, 8)).then(|| self.price() * 17 / 100 * 10)
    }

    /// How many choices there are; one where there is nothing to choose.
    #[must_use]
    pub fn choice_count(&self) -> u64 {
        stock::count(self)
    }

    /// What can be chosen; one entry without attributes where there is nothing to choose.
    pub fn choices(self) -> impl ExactSizeIterator<Item = Choice> {
        let count = usize::try_from(self.choice_count()).unwrap_or(usize::MAX);
        (0..count).map(move |place| stock::choice(&self, place as u64))
    }

    /// How much there is of all choices together. Each has at most 241.
    #[must_use]
    pub fn stock(&self) -> Stock {
        let add = |sum, choice: Choice| match (sum, choice.stock) {
            (Stock::Units(sum), Stock::Units(more)) => Stock::Units(sum + more),
            (Stock::Untracked, _) | (_, Stock::Untracked) => Stock::Untracked,
        };
        self.choices().fold(Stock::Units(0), add)
    }

    /// Whether it can be had.
    #[must_use]
    pub fn availability(&self) -> Availability {
        let standing = self.catalogue.standing(self.number);
        let (gone, back) = (self.turns(DOWN), self.turns(UP));
        if standing != Availability::OnSale || gone == back {
            return standing;
        }
        match self.chance(chance::WAY_OUT, gone) % 10 {
            0..=5 => Availability::SoldOut,
            6..=7 => Availability::Discontinued,
            _ => Availability::Missing,
        }
    }

    /// Who sells it, from 0; a wholesaler has 200 of them.
    #[must_use]
    pub fn vendor(&self) -> u64 {
        self.chance(chance::VENDOR, 0) % 200
    }

    /// What a delivery costs, in won.
    #[must_use]
    pub fn shipping_fee(&self) -> i64 {
        let chance = self.chance(chance::DELIVERY, 0);
        if chance.is_multiple_of(10) { 0 } else { pick(&[2_500, 3_000, 3_500], chance >> 8) }
    }

    /// How that is paid.
    #[must_use]
    pub fn shipping_type(&self) -> ShippingType {
        match self.chance(chance::DELIVERY, 0) % 10 {
            0 => ShippingType::Free,
            1 => ShippingType::UponArrival,
            _ => ShippingType::InAdvance,
        }
    }

    /// How many go into a box, each of which costs a fee; 0 where one fee is enough for all.
    #[must_use]
    pub fn box_quantity(&self) -> u32 {
        pick(&[0, 0, 5, 10, 20], self.chance(chance::DELIVERY, 1))
    }

    /// When it was first offered.
    #[must_use]
    pub fn created_at(&self) -> Time {
        let days = self.chance(chance::CREATED, 0) % 700 + 1;
        let seconds = self.chance(chance::CREATED, 1) % 86_400;
        let before = Duration::from_secs(days * 86_400 + seconds);
        self.catalogue.added(self.number).unwrap_or(EARLY - before)
    }

    /// When something of it last changed.
    #[must_use]
    pub fn updated_at(&self) -> Time {
        let of = |rhythm: Rhythm| {
            let turn = self.turns(rhythm);
            let moment = || self.catalogue.plan.drift.moment(rhythm.moment(self.number, turn));
            (turn > 0).then(moment)
        };
        let changes = [PRICE, STOCK, DOWN, UP].into_iter().filter_map(of);
        changes.fold(self.created_at(), Time::max)
    }

    /// One of a few yes-or-no facts, true for one in so many items.
    pub(crate) fn trait_of(&self, which: u64, one_in: u64) -> bool {
        self.chance(chance::TRAITS, which).is_multiple_of(one_in)
    }

    /// The description in HTML, of about as many bytes as the settings say.
    #[must_use]
    pub fn description(&self) -> String {
        if self.catalogue.plan.wholesaler == Wholesaler::Zentrade && self.number == 1 {
            let syllables: String = ('가'..='힣').collect();
            return format!("<p>{syllables}</p>");
        }
        let bytes = match self.oddity() {
            Some(Oddity::HugeDescription) => 40_000_000,
            _ => self.catalogue.plan.description_bytes,
        };
        words::description(self.chance(chance::DESCRIPTION, 0), bytes)
    }

    pub(crate) fn has_blank_price(&self) -> bool {
        self.oddity() == Some(Oddity::BlankPrice)
    }

    pub(super) fn has_many_options(&self) -> bool {
        self.oddity() == Some(Oddity::ManyOptions)
    }

    /// Whether the wholesaler has items of which nobody counts the stock.
    pub(super) fn counts_loosely(&self) -> bool {
        self.catalogue.plan.wholesaler == Wholesaler::Ownerclan
    }

    /// How often a change has come. What is off for good does not change.
    pub(super) fn turns(&self, rhythm: Rhythm) -> u64 {
        match self.catalogue.standing(self.number) {
            Availability::OnSale => {
                rhythm.count(self.number, self.catalogue.plan.drift.elapsed(self.at))
            }
            Availability::SoldOut | Availability::Discontinued | Availability::Missing => 0,
        }
    }

    pub(super) fn chance(&self, what: u64, turn: u64) -> u64 {
        self.catalogue.chance(self.number, what, turn)
    }

    fn oddity(&self) -> Option<Oddity> {
        // Almost always there is none, and this is asked often.
        if self.catalogue.plan.oddities.is_empty() {
            return None;
        }
        self.catalogue.plan.oddities.get(&self.number).copied()
    }
}

/// The first items were there before this: 2026-11-01 in Korea.
const EARLY: Time = Time::from_unix_ms(1_793_458_800_000);
