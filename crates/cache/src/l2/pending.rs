//! Invalidations that Redis has not heard of yet.

use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

use crate::generation::Target;
use crate::key::Id;
use crate::sync::{Mutex, lock};

type Waiting = (Vec<Target>, Vec<u128>);

/// More than this many become one: that everything changed.
const MOST: usize = 4_096;

#[derive(Debug)]
pub(crate) struct Pending {
    namespaces: Vec<Id>,
    waiting: Mutex<VecDeque<Waiting>>,
    /// Read by every look-up.
    len: AtomicUsize,
}

impl Pending {
    pub(crate) fn new(namespaces: Vec<Id>) -> Self {
        Self { namespaces, waiting: Mutex::default(), len: AtomicUsize::new(0) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.len.load(Acquire)
    }

    pub(crate) fn add(&self, targets: &[Target], events: &[u128]) {
        let mut waiting = lock(&self.waiting);
        if waiting.len() < MOST {
            waiting.push_back((targets.to_vec(), events.to_vec()));
        } else {
            let all = |namespace: &Id| Target { namespace: *namespace, scope: None, tag: None };
            // The first one may be on its way to Redis at this moment.
            waiting.truncate(1);
            waiting.push_back((self.namespaces.iter().map(all).collect(), vec![]));
        }
        self.len.store(waiting.len(), std::sync::atomic::Ordering::Release);
    }

    /// The one that waits longest. It stays until [`Pending::done`].
    pub(crate) fn first(&self) -> Option<Waiting> {
        lock(&self.waiting).front().cloned()
    }

    pub(crate) fn done(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.pop_front();
        self.len.fetch_min(waiting.len(), AcqRel);
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    fn target(namespace: u8, tag: Option<u8>) -> Target {
        let id = |n: u8| Id([n; 16]);
        Target { namespace: id(namespace), scope: None, tag: tag.map(id) }
    }

    #[test]
    fn the_one_that_waits_longest_stays_until_it_is_done() {
        let pending = Pending::new(vec![Id([1; 16])]);
        assert!(pending.is_empty() && pending.first().is_none());
        pending.add(&[target(1, Some(2))], &[7]);
        pending.add(&[target(1, Some(3))], &[]);
        assert_eq!((pending.len(), pending.is_empty()), (2, false));
        let first = Some((vec![target(1, Some(2))], vec![7]));
        assert_eq!((pending.first(), pending.first()), (first.clone(), first));
        pending.done();
        assert_eq!(pending.first(), Some((vec![target(1, Some(3))], vec![])));
        pending.done();
        assert!(pending.is_empty() && pending.first().is_none());
    }

    #[test]
    fn too_many_become_one_that_everything_changed_and_the_first_may_be_on_its_way() {
        let pending = Pending::new(vec![Id([1; 16]), Id([2; 16])]);
        (0..MOST).for_each(|_| pending.add(&[target(1, Some(9))], &[7]));
        assert_eq!(pending.len(), MOST);
        pending.add(&[target(1, Some(9))], &[8]);
        assert_eq!(pending.len(), 2);
        assert_eq!(pending.first(), Some((vec![target(1, Some(9))], vec![7])));
        pending.done();
        assert_eq!(pending.first(), Some((vec![target(1, None), target(2, None)], vec![])));
    }
}
