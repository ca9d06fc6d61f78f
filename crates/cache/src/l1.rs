//! The level in the process: `quick_cache`, bounded by bytes and by entries.

use std::sync::Arc;

use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::key::{Key, KeyRef};
use crate::value::Entry;

/// How much the level in the process may hold, whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct L1 {
    /// Bytes of values, keys and what surrounds them. Default 64 MiB.
    pub max_bytes: u64,
    /// Entries. Default 1,000.
    pub max_entries: u64,
}

impl Default for L1 {
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_entries: 1_000 }
    }
}

/// An entry weighs its bytes, and at least its share of the whole: so that one number bounds both.
#[derive(Debug, Clone, Copy)]
struct Share(u64);

impl Weighter<Key, Arc<Entry>> for Share {
    fn weight(&self, _key: &Key, entry: &Arc<Entry>) -> u64 {
        entry.weight.max(self.0)
    }
}

#[derive(Debug)]
pub(crate) struct Store(Cache<Key, Arc<Entry>, Share, DefaultHashBuilder>);

impl Store {
    pub(crate) fn new(limit: L1) -> Self {
        /// Each part of the table evicts by itself: a part must have room for a few of the largest.
        const PART_BYTES: u64 = 8 << 20;
        /// And for enough entries to tell the hot from the cold.
        const PART_ENTRIES: u64 = 128;
        let entries = limit.max_entries.max(1);
        let parts = (limit.max_bytes / PART_BYTES).min(entries / PART_ENTRIES).clamp(1, 16);
        let parts = if parts.is_power_of_two() { parts } else { parts.next_power_of_two() / 2 };
        let options = OptionsBuilder::new()
            .shards(usize::try_from(parts).unwrap_or(1))
            .estimated_items_capacity(usize::try_from(entries).unwrap_or(usize::MAX))
            .weight_capacity(limit.max_bytes)
            .build()
            .expect("both capacities are given");
        Self(Cache::with_options(
            options,
            Share(limit.max_bytes / entries),
            DefaultHashBuilder::default(),
            quick_cache::sync::DefaultLifecycle::default(),
        ))
    }

    #[inline]
    pub(crate) fn get(&self, key: &KeyRef<'_>) -> Option<Arc<Entry>> {
        self.0.get(key)
    }

    pub(crate) fn insert(&self, key: Key, entry: Arc<Entry>) {
        self.0.insert(key, entry);
    }

    /// Entries and bytes by namespace. Reads the whole table.
    pub(crate) fn by_namespace(&self, namespaces: usize) -> Vec<(u64, u64)> {
        let mut sums = vec![(0, 0); namespaces];
        for (key, entry) in self.0.iter() {
            if let Some((entries, bytes)) = sums.get_mut(key.namespace()) {
                *entries += 1;
                *bytes += entry.weight;
            }
        }
        sums
    }
}
