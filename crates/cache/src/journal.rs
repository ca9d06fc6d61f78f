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
