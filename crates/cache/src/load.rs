//! What a loader is told, and what it can say about its value.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::cache::Inner;
use crate::clock::{Clock, milliseconds};
use crate::flight::{Fixed, Flight};
use crate::generation::{Cell, Generations};
use crate::key::{Id, Secret};
use crate::sync::{Mutex, lock};
use crate::value::{Body, Entry};

/// Given to a loader. A clone is the same.
#[derive(Debug, Clone)]
pub struct Load(Arc<Said>);

#[derive(Debug)]
struct Said {
    generations: Arc<Generations>,
    secret: Secret,
    scope: (Id, Arc<Cell>),
    previous: Option<Arc<Entry>>,
    tags: Mutex<Vec<(Id, Arc<Cell>)>>,
    fresh_for: OnceLock<u64>,
    stays: AtomicBool,
    clock: Clock,
}

impl Load {
    pub(crate) fn new(inner: &Inner, flight: &Flight, previous: Option<Arc<Entry>>) -> Self {
        let [_, scope, _] = &flight.cells;
        // Of what nobody vouches for, nobody knows what is still good.
        let previous = previous.filter(|_| inner.trust.is_l1_trusted(inner.clock.now()));
        Self(Arc::new(Said {
            generations: Arc::clone(&inner.generations),
            secret: inner.secret.clone(),
            scope: scope.clone(),
            previous,
            tags: Mutex::default(),
            fresh_for: OnceLock::new(),
            stays: AtomicBool::new(false),
            clock: inner.clock.clone(),
        }))
    }

    /// The value hangs on this tag of its key's scope. Good at any time before the loader ends: a tag that
    /// was invalidated since the load began makes the value one that is answered and not kept.
    pub fn add_tag(&self, tag: &str) {
        self.tag(tag);
    }

    /// How long this value is fresh, instead of its namespace's soft TTL. What is said first holds.
    pub fn set_fresh_for(&self, fresh_for: Duration) {
        let _ = self.0.fresh_for.set(milliseconds(fresh_for));
    }

    /// Keeps this value in this process alone.
    pub fn stay_in_process(&self) {
        self.0.stays.store(true, Relaxed);
    }

    /// The value that this process holds and that is not good any more, to take over what of it still is. What this process
    /// knows to be good may be older than what Redis knows: a value made of it has to [`Load::stay_in_process`].
    #[must_use]
    pub fn previous(&self) -> Option<Previous> {
        self.0.previous.clone().map(|entry| Previous { entry, at: self.clone() })
    }

    pub(crate) fn tag(&self, tag: &str) -> Id {
        let id = self.0.secret.tag(self.0.scope.0, tag);
        self.tag_id(id);
        id
    }

    pub(crate) fn tag_id(&self, id: Id) {
        let cell = self.0.generations.cell(id, Some(&self.0.scope.1));
        let mut tags = lock(&self.0.tags);
        if !tags.iter().any(|(known, _)| *known == id) {
            tags.push((id, cell));
        }
    }

    pub(crate) fn stays(&self) -> bool {
        self.0.stays.load(Relaxed)
    }

    pub(crate) fn fresh_for(&self) -> Option<u64> {
        self.0.fresh_for.get().copied()
    }

    /// All that the value hangs on.
    pub(crate) fn cells(&self, fixed: &Fixed) -> Box<[(Id, Arc<Cell>)]> {
        fixed.iter().chain(lock(&self.0.tags).iter()).cloned().collect()
    }
}

/// A value that was good once.
#[derive(Debug)]
pub struct Previous {
    entry: Arc<Entry>,
    at: Load,
}

impl Previous {
    /// The value; `None` where nothing was there.
    #[must_use]
    pub fn body(&self) -> Option<&Body> {
        self.entry.value.as_ref()
    }

    /// How much longer it would have been fresh.
    #[must_use]
    pub fn fresh_for(&self) -> Duration {
        let now = self.at.0.clock.now();
        Duration::from_millis(self.entry.soft.saturating_sub(now))
    }

    /// Whether only tags were invalidated since it was loaded, and neither its key, nor its scope, nor its
    /// namespace.
    #[must_use]
    pub fn is_unchanged_but_for_tags(&self) -> bool {
        let born = self.entry.born;
        let mut fixed = self.entry.cells.iter().take(crate::value::FIXED);
        self.at.0.generations.is_above_floor(born)
            && fixed.all(|(_, cell)| cell.is_unchanged_since(born))
    }

    /// Whether the value hangs on this tag and the tag was not invalidated since.
    #[must_use]
    pub fn is_unchanged(&self, tag: &str) -> bool {
        let id = self.at.0.secret.tag(self.at.0.scope.0, tag);
        let cell = self.entry.cells.iter().find(|(known, _)| *known == id);
        cell.is_some_and(|(_, cell)| cell.is_unchanged_since(self.entry.born))
    }
}
