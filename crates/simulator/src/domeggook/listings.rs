//! Which items a search finds: counted once, block by block, so that a page far behind costs no
//! more than the first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::list::Filter;
use crate::catalogue::{Catalogue, Change, Generation};
use crate::time::Time;

/// Items of a block.
const BLOCK: u64 = 1_024;
/// Searches and days that are kept.
const KEPT: usize = 8;

/// Results that are kept while nothing changes.
#[derive(Debug, Default)]
pub(crate) struct Listings {
    lists: Kept<(Generation, Filter, u64), Vec<u64>>,
    days: Kept<(Generation, i64, String), Vec<Change>>,
}

/// What a search finds.
#[derive(Debug)]
pub(super) struct Found<'a> {
    catalogue: &'a Catalogue,
    filter: &'a Filter,
    now: Time,
    size: u64,
    /// How many stand in all blocks up to each.
    up_to: Arc<Vec<u64>>,
}

impl Listings {
    pub(super) fn search<'a>(
        &self,
        catalogue: &'a Catalogue,
        filter: &'a Filter,
        size: u64,
        now: Time,
    ) -> Found<'a> {
        let generation = catalogue.generation(now);
        let generation = if filter.is_of_prices() { generation } else { generation.of_items() };
        let up_to = self.lists.get((generation, filter.clone(), size), || {
            let count = |block: u64| {
                let numbers = block * BLOCK..((block + 1) * BLOCK).min(size);
                numbers.filter(|number| filter.finds(catalogue, *number, now)).count() as u64
            };
            let mut sum = 0;
            let counts = (0..size.div_ceil(BLOCK)).map(|block| {
                sum += count(block);
                sum
            });
            counts.collect()
        });
        Found { catalogue, filter, now, size, up_to }
    }

    /// The changes of a day that are wanted, up to now.
    pub(super) fn day(
        &self,
        generation: Generation,
        day: i64,
        wanted: &str,
        make: impl FnOnce() -> Vec<Change>,
    ) -> Arc<Vec<Change>> {
        self.days.get((generation, day, wanted.to_owned()), make)
    }
}

impl Found<'_> {
    pub(super) fn total(&self) -> u64 {
        self.up_to.last().copied().unwrap_or(0)
    }

    /// The numbers of some of them, from a place on, the newest first.
    pub(super) fn newest(&self, from: u64, count: usize) -> Vec<u64> {
        let Some(oldest_first) = self.total().checked_sub(from).filter(|left| *left > 0) else {
            return Vec::new();
        };
        // The block in which the one at this place stands, counted from the oldest.
        let block = self.up_to.partition_point(|up_to| *up_to < oldest_first) as u64;
        let end = ((block + 1) * BLOCK).min(self.size);
        let found = |number: &u64| self.filter.finds(self.catalogue, *number, self.now);
        let place = usize::try_from(block).unwrap_or(usize::MAX);
        let newer = self.up_to.get(place).copied().unwrap_or(0) - oldest_first;
        let newer = usize::try_from(newer).unwrap_or(usize::MAX);
        (0..end).rev().filter(found).skip(newer).take(count).collect()
    }
}

/// The results of the last few keys.
#[derive(Debug)]
struct Kept<K, V> {
    entries: Mutex<VecDeque<(K, Arc<V>)>>,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self { entries: Mutex::default() }
    }
}

impl<K: PartialEq, V> Kept<K, V> {
    fn get(&self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, value)) = entries.iter().find(|(known, _)| *known == key) {
            return Arc::clone(value);
        }
        let value = Arc::new(make());
        entries.push_front((key, Arc::clone(&value)));
        entries.truncate(KEPT);
        value
    }
}
