//! The last invalidations: which events were heard of, and what killed an entry.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crate::generation::Target;
use crate::key::Id;
use crate::sync::{Mutex, lock};

/// More than one transaction reports.
const EVENTS: usize = 32_768;
const CHANGES: usize = 1_024;

#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    known: HashSet<u128>,
    order: VecDeque<u128>,
    changes: VecDeque<Change>,
}

#[derive(Debug)]
struct Change {
    ids: Box<[Id]>,
    why: Arc<str>,
    at: u64,
}

impl Journal {
    /// Whether an event was not heard of yet, among the last 32,768.
    pub(crate) fn is_news(&self, event: u128) -> bool {
        !lock(&self.0).known.contains(&event)
    }

    pub(crate) fn heard(&self, events: &[u128]) {
        let mut pages = lock(&self.0);
        for event in events {
            if pages.known.insert(*event) {
                pages.order.push_back(*event);
            }
        }
        while pages.order.len() > EVENTS
            && let Some(oldest) = pages.order.pop_front()
        {
            pages.known.remove(&oldest);
        }
    }

    pub(crate) fn changed(&self, targets: &[Target], why: &str, at: u64) {
        let ids = targets.iter().map(Target::id).collect();
        let mut pages = lock(&self.0);
        if pages.changes.len() == CHANGES {
            pages.changes.pop_front();
        }
        pages.changes.push_back(Change { ids, why: why.into(), at });
    }

    /// The last change of any of these: which of them, why, and when.
    pub(crate) fn last_change_of(&self, ids: &[Id]) -> Option<(usize, Arc<str>, u64)> {
        let pages = lock(&self.0);
        pages.changes.iter().rev().find_map(|change| {
            let which = ids.iter().position(|id| change.ids.contains(id))?;
            Some((which, Arc::clone(&change.why), change.at))
        })
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    fn target(n: u8) -> Target {
        Target { namespace: Id([n; 16]), scope: None, tag: None }
    }

    fn last_change(journal: &Journal, of: &[u8]) -> Option<(usize, String, u64)> {
        let ids: Vec<Id> = of.iter().map(|n| Id([*n; 16])).collect();
        journal.last_change_of(&ids).map(|(which, why, at)| (which, why.to_string(), at))
    }

    #[test]
    fn an_event_is_news_once_and_again_when_so_many_came_after_it() {
        let journal = Journal::default();
        assert!(journal.is_news(7));
        journal.heard(&[7, 7, 8]);
        assert!(!journal.is_news(7) && !journal.is_news(8) && journal.is_news(9));
        let others: Vec<u128> = (100..).take(EVENTS - 2).collect();
        journal.heard(&others);
        assert!(!journal.is_news(7), "it is the oldest of those that are known");
        journal.heard(&[9]);
        assert!(journal.is_news(7) && !journal.is_news(8) && !journal.is_news(9));
    }

    #[test]
    fn the_last_change_of_any_is_told_with_its_reason() {
        let journal = Journal::default();
        journal.changed(&[target(1), target(2)], "first", 10);
        journal.changed(&[target(2)], "second", 20);
        assert_eq!(last_change(&journal, &[1, 2]), Some((1, "second".to_owned(), 20)));
        assert_eq!(last_change(&journal, &[3, 1]), Some((1, "first".to_owned(), 10)));
        assert_eq!(last_change(&journal, &[3]), None);
    }

    #[test]
    fn a_change_is_forgotten_when_so_many_came_after_it() {
        let journal = Journal::default();
        journal.changed(&[target(1)], "first", 0);
        (1..CHANGES).for_each(|_| journal.changed(&[target(2)], "others", 1));
        assert_eq!(last_change(&journal, &[1]), Some((0, "first".to_owned(), 0)));
        journal.changed(&[target(2)], "one more", 2);
        assert_eq!(last_change(&journal, &[1]), None);
        assert_eq!(last_change(&journal, &[2]), Some((0, "one more".to_owned(), 2)));
    }
}
