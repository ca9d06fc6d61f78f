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
    use jebi_batch::wholesaler::{Key, Reason};

    use super::*;

    fn rejected_times(rejected: u64, read: u64) -> Tally {
        let rejected = BTreeMap::from([("it is broken".to_owned(), rejected)]);
        Tally { read, rejected, ..Tally::default() }
    }

    #[test]
    fn what_cannot_be_used_is_counted_by_its_reason_and_the_first_are_told() {
        let mut tally = Tally::default();
        tally.reject(&[
            Rejected { key: Key::new("7"), reason: Reason::Missing("price") },
            Rejected { key: None, reason: Reason::Unreadable },
        ]);
        (0..30).for_each(|_| tally.reject_for("8", "its code is taken"));
        assert_eq!(tally.rejected(), 32);
        let shown = tally.shown("zentrade", None);
        let because =
            json!({ "price is missing": 1, "it cannot be read": 1, "its code is taken": 30 });
        assert_eq!((&shown["rejected"], &shown["rejected_because"]), (&json!(32), &because));
        let examples = shown["rejected_examples"].as_array().unwrap();
        assert_eq!(examples.len(), 20);
        assert_eq!(examples[0], json!({ "item": "7", "reason": "price is missing" }));
        assert_eq!(examples[1], json!({ "item": "?", "reason": "it cannot be read" }));
        assert_eq!(examples[19], json!({ "item": "8", "reason": "its code is taken" }));
    }

    #[test]
    fn a_few_mistakes_of_a_wholesaler_are_no_trouble_and_one_in_twenty_is() {
        assert_eq!(rejected_times(20, 20).trouble(), None);
        assert_eq!(rejected_times(21, 420).trouble(), None);
        let mut tally = rejected_times(21, 460);
        (0..3).for_each(|_| tally.reject_for("8", "its code is taken"));
        let text = "24 of 460 items could not be used; of 21 because it is broken";
        assert_eq!(tally.trouble().as_deref(), Some(text));
        assert_eq!(Tally { read: 480, ..tally }.trouble(), None);
    }

    #[test]
    fn what_was_compared_and_merged_is_added_up() {
        let mut tally = rejected_times(1, 100);
        (tally.unchanged, tally.skipped, tally.of_others, tally.gone) = (10, 20, 30, 40);
        (tally.created, tally.changed, tally.listings) = (50, 60, 70);
        let mut compared =
            Tally { unchanged: 1, skipped: 2, of_others: 3, gone: 4, ..Tally::default() };
        (0..2).for_each(|_| compared.reject_for("8", "it is broken"));
        (0..19).for_each(|_| compared.reject_for("9", "its code is taken"));
        tally.add(&compared);
        tally.merged(Merged { created: 5, changed: 6, listings: 7 });
        assert_eq!((tally.unchanged, tally.skipped, tally.of_others, tally.gone), (11, 22, 33, 44));
        assert_eq!((tally.created, tally.changed, tally.listings), (55, 66, 77));
        assert_eq!((tally.read, tally.rejected()), (100, 22));
        assert_eq!(tally.rejected["it is broken"], 3);
        assert_eq!(tally.examples.len(), 20);
        tally.add(&compared);
        assert_eq!((tally.rejected["it is broken"], tally.examples.len()), (5, 20));
    }

    #[test]
    fn what_is_shown_of_a_collection_is_what_was_counted() {
        let tally = Tally {
            read: 1,
            repeated: 2,
            unchanged: 3,
            created: 4,
            changed: 5,
            skipped: 6,
            of_others: 7,
            gone: 8,
            listings: 9,
            recounted: 2,
            ..Tally::default()
        };
        // 4, 5 and 3, of which 2 were counted before; then 6 and 7.
        assert_eq!((tally.known(), tally.taken()), (10, 23));
        let with_rejects = Tally { rejected: rejected_times(5, 0).rejected, ..tally.clone() };
        assert_eq!((with_rejects.known(), with_rejects.taken()), (10, 28));
        let shown = json!({
            "wholesaler": "zentrade", "read": 1, "repeated": 2, "unchanged": 3, "created": 4,
            "changed": 5, "skipped": 6, "of_other_accounts": 7, "gone": 8, "listings_to_push": 9,
            "rejected": 0, "rejected_because": {}, "rejected_examples": [], "note": "a part",
        });
        assert_eq!(tally.shown("zentrade", Some("a part")), shown);
    }

    #[test]
    fn an_attempt_that_begins_again_keeps_what_was_written_since() {
        let at_place = Tally {
            read: 100,
            created: 50,
            changed: 40,
            skipped: 10,
            gone: 1,
            listings: 2,
            recounted: 5,
            ..Tally::default()
        };
        let later = Tally {
            read: 180,
            created: 70,
            changed: 55,
            skipped: 30,
            gone: 3,
            listings: 9,
            ..Tally::default()
        };
        let (created, changed, gone, listings) = (70, 55, 3, 9);
        let again = Tally { created, changed, gone, listings, recounted: 40, ..at_place.clone() };
        assert_eq!(at_place.again(&later), again);
    }

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
