//! The changes of all items in the order of time.

use std::iter::Peekable;

use super::drift::{DOWN, Ordinal, PRICE, Rhythm, STOCK, UP};
use super::{Availability, Catalogue};
use crate::time::Time;

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// The price.
    Price,
    /// The stock of one choice.
    Stock,
    /// It is not for sale any more.
    Gone,
    /// It is for sale again.
    Back,
    /// It is new.
    Added,
}

/// A change of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// When.
    pub at: Time,
    /// Of what.
    pub what: What,
    /// Its place among all changes of this kind.
    pub ordinal: u64,
    /// Of which item.
    pub number: u64,
    /// For which time, counted from 1.
    pub turn: u64,
}

pub(super) fn between(
    catalogue: &Catalogue,
    from: Time,
    to: Time,
) -> impl Iterator<Item = Change> + use<'_> {
    let streams = [
        stream(catalogue, What::Price, PRICE, from, to),
        stream(catalogue, What::Stock, STOCK, from, to),
        stream(catalogue, What::Gone, DOWN, from, to),
        stream(catalogue, What::Back, UP, from, to),
        added(catalogue, from, to),
    ];
    Merged { streams: streams.map(Iterator::peekable) }
}

type Stream<'a> = Box<dyn Iterator<Item = Change> + 'a>;

fn stream<'a>(
    catalogue: &'a Catalogue,
    what: What,
    rhythm: Rhythm,
    from: Time,
    to: Time,
) -> Stream<'a> {
    let drift = catalogue.plan.drift;
    // Nothing has happened before the beginning, and nothing happens after the end.
    let (begin, end) = (drift.elapsed(from), drift.elapsed(to));
    if end == 0 || drift.moment(end) < from {
        return Box::new(std::iter::empty());
    }
    let change = move |(elapsed, ordinal, number, turn): (u64, Ordinal, u64, u64)| Change {
        at: drift.moment(elapsed),
        what,
        ordinal,
        number,
        turn,
    };
    // What is off for good does not change, and what is not there yet does not either.
    let happens = move |change: &Change| {
        change.number < catalogue.size(change.at)
            && catalogue.standing(change.number) == Availability::OnSale
    };
    let changes = rhythm.from(begin, catalogue.size(to));
    Box::new(changes.take_while(move |(elapsed, ..)| *elapsed <= end).map(change).filter(happens))
}

fn added(catalogue: &Catalogue, from: Time, to: Time) -> Stream<'_> {
    let numbers = catalogue.plan.items..catalogue.size(to);
    let change = move |number: u64| {
        let at = catalogue.added(number)?;
        let ordinal = number - catalogue.plan.items;
        Some(Change { at, what: What::Added, ordinal, number, turn: 1 })
    };
    let is_told = move |change: &Change| {
        let item = || catalogue.item(change.number, change.at);
        let is_on_sale = || item().is_some_and(|item| item.availability() == Availability::OnSale);
        (from..=to).contains(&change.at) && is_on_sale()
    };
    Box::new(numbers.filter_map(change).filter(is_told))
}

struct Merged<'a> {
    streams: [Peekable<Stream<'a>>; 5],
}

impl Iterator for Merged<'_> {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        let heads = self.streams.iter_mut().enumerate();
        let heads = heads.filter_map(|(place, stream)| Some((*stream.peek()?, place)));
        let (_, place) = heads.min()?;
        self.streams[place].next()
    }
}
