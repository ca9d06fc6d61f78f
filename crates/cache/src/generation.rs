//! What is still valid, by generations and not by clocks.
//!
//! Every namespace, scope, tag and key in use has a [`Cell`] that tells when it last changed, counted in
//! invalidations of this process. A load notes the count before it begins: its value is good as long as
//! none of the cells it hangs on has changed since. A value that comes late is dead on arrival.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use crate::key::Id;
use crate::sync::{AtomicU64, Mutex, lock};
use crate::value::Entry;

/// When something last changed, in invalidations of this process.
#[derive(Debug)]
pub(crate) struct Cell {
    changed: AtomicU64,
    /// When anything under it last changed; at least `changed`.
    touched: AtomicU64,
}

impl Cell {
    fn new(changed: u64) -> Self {
        Self { changed: AtomicU64::new(changed), touched: AtomicU64::new(changed) }
    }

    #[inline]
    pub(crate) fn is_unchanged_since(&self, born: u64) -> bool {
        self.changed.load(Acquire) <= born
    }

    fn change(&self, at: u64) {
        self.changed.fetch_max(at, AcqRel);
        self.touch(at);
    }

    fn touch(&self, at: u64) {
        self.touched.fetch_max(at, AcqRel);
    }
}

/// What an invalidation reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) namespace: Id,
    /// All scopes where absent.
    pub(crate) scope: Option<Id>,
    /// A tag or a key; all of the scope where absent.
    pub(crate) tag: Option<Id>,
}

impl Target {
    /// What changes.
    pub(crate) fn id(&self) -> Id {
        self.tag.or(self.scope).unwrap_or(self.namespace)
    }
}

const SHARDS: usize = 16;

/// The cells that entries and loads of this process hang on.
#[derive(Debug)]
pub(crate) struct Generations {
    now: AtomicU64,
    /// Everything older is invalid.
    floor: AtomicU64,
    /// Invalidations that have come to their end: all cells that they reach have changed.
    settled: AtomicU64,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug)]
struct Shard {
    cells: HashMap<Id, Arc<Cell>>,
    /// At this many cells those that nobody hangs on any more are thrown away.
    sweep_at: usize,
}

const SWEEP_AT_LEAST: usize = 256;

impl Generations {
    pub(crate) fn new() -> Self {
        let shard = || Shard { cells: HashMap::new(), sweep_at: SWEEP_AT_LEAST };
        Self {
            now: AtomicU64::new(1),
            floor: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            shards: std::array::from_fn(|_| Mutex::new(shard())),
        }
    }

    /// The count of invalidations, to be noted before a load begins.
    pub(crate) fn now(&self) -> u64 {
        self.now.load(Acquire)
    }

    #[inline]
    pub(crate) fn is_above_floor(&self, born: u64) -> bool {
        self.floor.load(Acquire) <= born
    }

    /// Whether nothing that the entry hangs on has changed since it was loaded. What was proven once holds
    /// until the next invalidation ends, of whatever it is: then the entry's own cells are read again.
    #[inline]
    pub(crate) fn is_valid(&self, entry: &Entry) -> bool {
        // Read before the cells: what ends while they are read is not taken for seen.
        let settled = self.settled.load(Acquire);
        entry.proven.load(Relaxed) == settled || self.prove(entry, settled)
    }

    fn prove(&self, entry: &Entry, settled: u64) -> bool {
        let is_valid = self.is_above_floor(entry.born)
            && entry.cells.iter().all(|(_, cell)| cell.is_unchanged_since(entry.born));
        if is_valid {
            entry.proven.store(settled, Relaxed);
        }
        is_valid
    }

    /// The cell of `id`, which lies under `parent`. A new one counts as changed when anything under its
    /// parent last was: nobody noted what happened to it while it had no cell.
    pub(crate) fn cell(&self, id: Id, parent: Option<&Cell>) -> Arc<Cell> {
        let mut shard = lock(self.shard(id));
        if let Some(cell) = shard.cells.get(&id) {
            return Arc::clone(cell);
        }
        if shard.cells.len() >= shard.sweep_at {
            shard.cells.retain(|_, cell| Arc::strong_count(cell) > 1);
            shard.sweep_at = (shard.cells.len() * 2).max(SWEEP_AT_LEAST);
        }
        // Read under the lock: an invalidation touches the parent before it looks for the cell here.
        let changed = parent.map_or(0, |parent| parent.touched.load(Acquire));
        let cell = Arc::new(Cell::new(changed));
        shard.cells.insert(id, Arc::clone(&cell));
        cell
    }

    /// Invalidates the targets. One cell each, whatever they cover.
    pub(crate) fn change(&self, targets: &[Target]) {
        let at = self.now.fetch_add(1, AcqRel) + 1;
        for target in targets {
            let above = [Some(target.namespace), target.tag.and(target.scope)];
            for id in above.into_iter().flatten() {
                self.known(id, |cell| cell.touch(at));
            }
            self.known(target.id(), |cell| cell.change(at));
        }
        self.settled.fetch_add(1, AcqRel);
    }

    /// Invalidates all that there is.
    pub(crate) fn change_all(&self) {
        let at = self.now.fetch_add(1, AcqRel) + 1;
        self.floor.fetch_max(at, AcqRel);
        self.settled.fetch_add(1, AcqRel);
    }

    fn known(&self, id: Id, change: impl FnOnce(&Cell)) {
        if let Some(cell) = lock(self.shard(id)).cells.get(&id) {
            change(cell);
        }
    }

    fn shard(&self, id: Id) -> &Mutex<Shard> {
        &self.shards[usize::from(id.0[0]) % SHARDS]
    }

    /// Cells that are kept.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).cells.len()).sum()
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    fn id(n: u8) -> Id {
        Id([n; 16])
    }

    #[test]
    fn a_cell_that_was_thrown_away_comes_back_as_changed() {
        let generations = Generations::new();
        let namespace = generations.cell(id(1), None);
        let born = generations.now();
        generations.change(&[Target { namespace: id(1), scope: Some(id(2)), tag: Some(id(3)) }]);
        let scope = generations.cell(id(2), Some(&namespace));
        assert!(!generations.cell(id(3), Some(&scope)).is_unchanged_since(born));
        assert!(namespace.is_unchanged_since(born), "a tag is not the namespace");
        assert!(generations.cell(id(3), Some(&scope)).is_unchanged_since(generations.now()));
    }

    #[test]
    fn what_was_proven_is_read_again_once_anything_was_invalidated() {
        let generations = Generations::new();
        let namespace = generations.cell(id(1), None);
        let born = generations.now();
        let entry = Entry::new(None, born, Box::new([(id(1), namespace)]), (1, 1), 0);
        let target = |n| Target { namespace: id(n), scope: None, tag: None };
        assert!(generations.is_valid(&entry));
        generations.change(&[target(2)]);
        assert!(generations.is_valid(&entry), "it does not hang on that");
        assert!(generations.is_valid(&entry));
        generations.change(&[target(1)]);
        assert!(!generations.is_valid(&entry));
        assert!(!generations.is_valid(&entry));
    }

    #[test]
    fn what_was_proven_is_over_with_everything_else() {
        let generations = Generations::new();
        let cells = Box::new([(id(1), generations.cell(id(1), None))]);
        let entry = Entry::new(None, generations.now(), cells, (1, 1), 0);
        assert!(generations.is_valid(&entry));
        generations.change_all();
        assert!(!generations.is_valid(&entry));
    }

    #[test]
    fn cells_are_thrown_away_only_once_twice_as_many_are_there_as_were_needed() {
        let generations = Generations::new();
        let cell = |n: u16| {
            let [high, low] = n.to_be_bytes();
            generations.cell(Id([0, high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None)
        };
        (0..256).for_each(|n| drop(cell(n)));
        assert_eq!(generations.len(), 256);
        let kept: Vec<_> = (256..512).map(cell).collect();
        assert_eq!(generations.len(), kept.len());
        (512..768).for_each(|n| drop(cell(n)));
        assert_eq!(generations.len(), 512);
        drop(cell(768));
        assert_eq!(generations.len(), 257);
    }

    #[test]
    fn cells_that_nobody_hangs_on_are_thrown_away() {
        let generations = Generations::new();
        let kept = generations.cell(id(7), None);
        for n in 0..100_000_u32 {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            bytes[0] = n.to_be_bytes()[3];
            generations.cell(Id(bytes), None);
        }
        assert!(generations.len() <= SHARDS * (SWEEP_AT_LEAST + 1), "{}", generations.len());
        assert!(Arc::ptr_eq(&kept, &generations.cell(id(7), None)));
    }
}
