//! What an entry hangs on, and what ended it.

use std::time::Duration;

use crate::cache::Namespace;
use crate::key::{CacheKey, KeyBytes};
use crate::value::FIXED;

/// How the entry of a key stands in this process.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// Whether it is there and nothing that it hangs on was invalidated.
    pub is_valid: bool,
    /// Whether this process may use what it holds at all: it has heard from the others in time.
    pub is_trusted: bool,
    /// What it hangs on, and whether that was invalidated since: namespace, scope and key first.
    pub hangs_on: Vec<(Link, bool)>,
    /// How long it still is fresh.
    pub fresh_for: Duration,
    /// How long it is kept.
    pub kept_for: Duration,
    /// Its bytes, with all that surrounds them.
    pub bytes: u64,
}

/// Something that an entry hangs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// All of its namespace.
    Namespace,
    /// All of its scope.
    Scope,
    /// The entry itself.
    Key,
    /// A tag, by its name outside the process: the text of a tag is not kept.
    Tag(String),
}

/// What ended an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cause {
    /// What of the entry was invalidated.
    pub link: Link,
    /// The event, or the call, that did it; `another process` where it came from there.
    pub why: String,
    /// How long ago.
    pub ago: Duration,
}

impl Namespace {
    /// What this process holds for a key; `None` where it holds nothing.
    #[must_use]
    pub fn explain<K: CacheKey + ?Sized>(&self, key: &K) -> Option<Explanation> {
        let inner = self.inner();
        let bytes = KeyBytes::of(key);
        let key = bytes.in_namespace(self.index(), key.scope());
        let entry = inner.store.get(&key)?;
        let now = inner.clock.now();
        let links = entry.cells.iter().enumerate();
        let hangs_on: Vec<(Link, bool)> = links
            .map(|(at, (id, cell))| {
                (link(at, format!("{id:?}")), cell.is_unchanged_since(entry.born))
            })
            .map(|(link, is_unchanged)| (link, !is_unchanged))
            .collect();
        let left = |until: u64| Duration::from_millis(until.saturating_sub(now));
        Some(Explanation {
            is_valid: hangs_on.iter().all(|(_, is_changed)| !is_changed)
                && inner.generations.is_above_floor(entry.born)
                && now < entry.hard,
            is_trusted: inner.trust.is_l1_trusted(now),
            hangs_on,
            fresh_for: left(entry.soft),
            kept_for: left(entry.hard),
            bytes: entry.weight,
        })
    }

    /// What last invalidated the entry of a key, among the last 1,024 invalidations that this process heard
    /// of. Tags are known as long as this process holds the entry.
    #[must_use]
    pub fn why_stale<K: CacheKey + ?Sized>(&self, key: &K) -> Option<Cause> {
        let inner = self.inner();
        let bytes = KeyBytes::of(key);
        let scope = self.scope_id(key.scope());
        let wanted = bytes.in_namespace(self.index(), key.scope());
        let mut ids = vec![self.space().id, scope, inner.secret.key(scope, bytes.as_slice())];
        ids.extend(inner.store.get(&wanted).iter().flat_map(|entry| entry.tags()));
        ids.extend(key.tags().map(|tag| inner.secret.tag(scope, tag)));
        let (which, why, at) = inner.journal.last_change_of(&ids)?;
        let ago = Duration::from_millis(inner.clock.now().saturating_sub(at));
        Some(Cause { link: link(which, format!("{:?}", ids[which])), why: why.to_string(), ago })
    }
}

fn link(at: usize, id: String) -> Link {
    match at {
        0 => Link::Namespace,
        1 => Link::Scope,
        2 => Link::Key,
        FIXED.. => Link::Tag(id),
    }
}
