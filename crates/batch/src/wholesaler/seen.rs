//! What a walk has had already.

use std::collections::{HashSet, VecDeque};

use crate::wholesaler::key::Key;
use crate::wholesaler::page::Page;

/// The latest keys, so many of them.
#[derive(Debug)]
pub(super) struct Seen {
    keys: HashSet<Key>,
    order: VecDeque<Key>,
    capacity: usize,
}

impl Seen {
    pub(super) fn new(capacity: usize) -> Self {
        Self { keys: HashSet::new(), order: VecDeque::new(), capacity }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    /// The latest first, so many of them left out.
    pub(super) fn latest(&self, left_out: usize) -> impl Iterator<Item = &Key> {
        self.order.iter().rev().skip(left_out)
    }

    /// Whether it is new, from now on it is not. Beyond the capacity the oldest is forgotten.
    pub(super) fn insert(&mut self, key: &Key) -> bool {
        if !self.keys.insert(key.clone()) {
            return false;
        }
        self.order.push_back(key.clone());
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
        true
    }
}

/// Whether a list gets on.
#[derive(Debug, Default)]
pub(super) struct Progress {
    repeated: usize,
    empty: usize,
    cursors: HashSet<String>,
}

impl Progress {
    /// So many in a row that came before, and the list goes round in circles.
    const MOST_REPEATED: usize = 1_500;
    /// So many pages of nothing, and it has ended without saying so.
    const MOST_EMPTY: usize = 3;

    /// Whether a cursor leads to where nobody was.
    pub(super) fn advances(&mut self, cursor: &str) -> bool {
        self.cursors.insert(cursor.to_owned())
    }

    /// Looks at the next page; false where the list goes on without anything new.
    pub(super) fn is_made(&mut self, page: &Page) -> bool {
        let is_new = page.read > page.repeated;
        self.repeated = if is_new { 0 } else { self.repeated + page.repeated };
        self.empty = if page.read > 0 { 0 } else { self.empty + 1 };
        self.repeated < Self::MOST_REPEATED && self.empty < Self::MOST_EMPTY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let mut seen = Seen::new(2);
        let mut insert = |text| seen.insert(&Key::new(text).unwrap());
        assert!(insert("1") && insert("2") && !insert("1") && insert("3"));
        assert!(insert("1") && !insert("3"));
    }

    #[test]
    fn the_latest_are_told_first_and_some_may_be_left_out() {
        let mut seen = Seen::new(2);
        let key = |text| Key::new(text).unwrap();
        assert!(seen.is_empty());
        for text in ["1", "2", "3"] {
            assert!(!seen.contains(&key(text)) && seen.insert(&key(text)) && !seen.is_empty());
        }
        assert!(seen.contains(&key("3")) && seen.contains(&key("2")) && !seen.contains(&key("1")));
        assert!(seen.latest(0).eq([&key("3"), &key("2")]));
        assert!(seen.latest(1).eq([&key("2")]));
    }

    #[test]
    fn circles_and_endless_nothing_are_noticed() {
        let page = |read, repeated| Page { read, repeated, ..Page::default() };
        let mut progress = Progress::default();
        assert!(progress.is_made(&page(1_000, 1_000)) && progress.is_made(&page(5, 4)));
        assert!(progress.is_made(&page(1_000, 1_000)) && !progress.is_made(&page(500, 500)));
        assert!(progress.advances("a") && progress.advances("b") && !progress.advances("a"));
        let mut progress = Progress::default();
        assert!(progress.is_made(&page(0, 0)) && progress.is_made(&page(0, 0)));
        assert!(!progress.is_made(&page(0, 0)));
        // Something of which nothing is new is no page of nothing.
        assert!(progress.is_made(&page(1, 1)) && progress.is_made(&page(0, 0)));
        assert!(progress.is_made(&page(1_498, 1_498)) && !progress.is_made(&page(1, 1)));
    }
}
