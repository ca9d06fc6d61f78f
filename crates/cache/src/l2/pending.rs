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
