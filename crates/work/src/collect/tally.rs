use std::collections::BTreeMap;

use jebi_batch::wholesaler::Rejected;
use jebi_db_optimizer::collection::Merged;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What has come of a collection so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    /// Items that were read, or events about items.
    pub(super) read: u64,
    /// Those that had come before.
    pub(super) repeated: u64,
    /// Products that are as they were.
    pub(super) unchanged: u64,
    pub(super) created: u64,
    pub(super) changed: u64,
    /// Items that are nobody's product: they have no name, no price, or cannot be had any more.
    pub(super) skipped: u64,
    /// Items that another account of the seller's sees to.
    pub(super) of_others: u64,
    /// Items that cannot be used, by the reason.
    rejected: BTreeMap<String, u64>,
    /// The first of them.
    examples: Vec<(String, String)>,
    /// Items that are not there any more.
    pub(super) gone: u64,
    /// Listings whose platforms are to hear of changes.
    pub(super) listings: u64,
    /// Products that were written by an attempt whose page is read once more, and so come again as they are.
    recounted: u64,
}

impl Tally {
    const MOST_EXAMPLES: usize = 20;

    pub(super) fn reject(&mut self, rejected: &[Rejected]) {
        for Rejected { key, reason } in rejected {
            let key = key.as_ref().map_or("?", |key| key.as_str());
            self.reject_for(key, &reason.to_string());
        }
    }

    /// Counts an item that cannot be used.
    pub(super) fn reject_for(&mut self, key: &str, reason: &str) {
        *self.rejected.entry(reason.to_owned()).or_default() += 1;
        if self.examples.len() < Self::MOST_EXAMPLES {
            self.examples.push((key.to_owned(), reason.to_owned()));
        }
    }

    /// Why what was read is not all that there is to know, where too much of it could not be used: what was known of that is old.
    pub(super) fn trouble(&self) -> Option<String> {
        /// So few are the wholesaler's mistakes, and no change of what it says.
        const FEW: u64 = 20;
        const ONE_IN: u64 = 20;
        let rejected = self.rejected();
        if rejected <= FEW || rejected <= self.read / ONE_IN {
            return None;
        }
        let (reason, items) = self.rejected.iter().max_by_key(|(_, items)| **items)?;
        let read = self.read;
        Some(format!("{rejected} of {read} items could not be used; of {items} because {reason}"))
    }

    /// Counts what was compared as well.
    pub(super) fn add(&mut self, compared: &Self) {
        self.unchanged += compared.unchanged;
        self.skipped += compared.skipped;
        self.of_others += compared.of_others;
        self.gone += compared.gone;
        for (reason, items) in &compared.rejected {
            *self.rejected.entry(reason.clone()).or_default() += items;
        }
        let left = Self::MOST_EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(compared.examples.iter().take(left).cloned());
    }

    pub(super) fn merged(&mut self, merged: Merged) {
        self.created += merged.created;
        self.changed += merged.changed;
        self.listings += merged.listings;
    }

    /// That of an attempt which begins again where `self` was taken: what `later` has read since is read once more, what it has
    /// written is written.
    pub(super) fn again(&self, later: &Self) -> Self {
        let written = |tally: &Self| tally.created + tally.changed;
        Self {
            created: later.created,
            changed: later.changed,
            gone: later.gone,
            listings: later.listings,
            recounted: self.recounted + (written(later) - written(self)),
            ..self.clone()
        }
    }

    /// Products of ours that were read.
    pub(super) fn known(&self) -> u64 {
        self.created + self.changed + self.unchanged - self.recounted
    }

    /// Items that something has come of, each once.
    pub(super) fn taken(&self) -> u64 {
        self.known() + self.skipped + self.of_others + self.rejected()
    }

    pub(super) fn rejected(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// As a job's result says it.
    pub(super) fn shown(&self, wholesaler: &str, note: Option<&str>) -> Value {
        let example = |(item, reason): &(String, String)| json!({ "item": item, "reason": reason });
        json!({
            "wholesaler": wholesaler,
            "read": self.read,
            "repeated": self.repeated,
            "created": self.created,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "skipped": self.skipped,
            "of_other_accounts": self.of_others,
            "rejected": self.rejected(),
            "rejected_because": self.rejected,
            "rejected_examples": Value::from_iter(self.examples.iter().map(example)),
            "gone": self.gone,
            "listings_to_push": self.listings,
            "note": note,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_once_more_is_counted_once() {
        let at_place = Tally { read: 100, created: 90, skipped: 10, ..Tally::default() };
        let later = Tally { read: 180, created: 160, skipped: 20, ..Tally::default() };
        let mut again = at_place.again(&later);
        // The 80 of before, 70 of which are there by now, and 20 more.
        again.read += 100;
        (again.unchanged, again.skipped, again.created) = (70, 20, again.created + 20);
        assert_eq!((again.read, again.created, again.taken()), (200, 180, 200));
    }
}
