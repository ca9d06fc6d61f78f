//! What is cached: a body of bytes, ready to be sent.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::generation::Cell;
use crate::key::Id;
use crate::sync::AtomicU64;

/// Bytes that are shared and never changed; a clone copies none of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Body {
    /// The bytes as they are.
    pub bytes: Bytes,
    /// The same bytes as gzip, where that was worth its room.
    pub gzip: Option<Bytes>,
    /// What tells this body from others of its key: an HTTP entity tag, without its quotes.
    pub etag: Option<Box<str>>,
}

impl Body {
    /// A body without an entity tag.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), gzip: None, etag: None }
    }

    /// The same with an entity tag.
    #[must_use]
    pub fn with_etag(self, etag: impl Into<Box<str>>) -> Self {
        Self { etag: Some(etag.into()), ..self }
    }

    /// The same with its gzip form beside it.
    #[must_use]
    pub fn with_gzip(self, gzip: impl Into<Bytes>) -> Self {
        Self { gzip: Some(gzip.into()), ..self }
    }

    pub(crate) fn weight(&self) -> usize {
        self.bytes.len()
            + self.gzip.as_ref().map_or(0, Bytes::len)
            + self.etag.as_ref().map_or(0, |etag| etag.len())
    }
}

/// What a loader found.
#[derive(Debug, Clone, Default)]
pub struct Loaded(pub(crate) Option<Body>);

impl Loaded {
    /// Nothing is there. Kept for the namespace's negative TTL.
    #[must_use]
    pub fn absent() -> Self {
        Self(None)
    }

    /// A value as JSON; read again by [`Hit::json`].
    ///
    /// # Errors
    /// Where the value has no form in JSON.
    pub fn json(value: &impl Serialize) -> serde_json::Result<Self> {
        Ok(Body::new(serde_json::to_vec(value)?).into())
    }
}

impl From<Body> for Loaded {
    fn from(body: Body) -> Self {
        Self(Some(body))
    }
}

impl From<Option<Body>> for Loaded {
    fn from(body: Option<Body>) -> Self {
        Self(body)
    }
}

/// A value with all that says how long it is good. Immutable; replaced as a whole.
///
/// In the order in which a hit reads it, beside the count of its `Arc`: a hit waits for one cache line and
/// not for three.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Entry {
    /// How many invalidations had ended when its cells were last found unchanged.
    pub(crate) proven: AtomicU64,
    /// From then on it is gone.
    pub(crate) hard: u64,
    /// From then on it is refreshed behind the caller's back.
    pub(crate) soft: u64,
    pub(crate) value: Option<Body>,
    /// The count of invalidations before its load began.
    pub(crate) born: u64,
    /// Namespace, scope and key first, then its tags.
    pub(crate) cells: Box<[(Id, Arc<Cell>)]>,
    /// The bytes that it takes, with its keys and tags.
    pub(crate) weight: u64,
    decoded: OnceLock<Arc<dyn Any + Send + Sync>>,
}

/// Cells of an entry that are not tags: namespace, scope, key.
pub(crate) const FIXED: usize = 3;

impl Entry {
    pub(crate) fn new(
        value: Option<Body>,
        born: u64,
        cells: Box<[(Id, Arc<Cell>)]>,
        (soft, hard): (u64, u64),
        key_bytes: usize,
    ) -> Self {
        /// An entry with its allocations, its key and its place in the table; measured with a million of
        /// them.
        const OVERHEAD: usize = 320;
        let body = value.as_ref().map_or(0, Body::weight);
        let weight = OVERHEAD + key_bytes + body + cells.len() * size_of::<(Id, Arc<Cell>)>();
        Self {
            // As many never end.
            proven: AtomicU64::new(u64::MAX),
            hard,
            soft,
            value,
            born,
            cells,
            weight: weight as u64,
            decoded: OnceLock::new(),
        }
    }

    /// The same with another body.
    pub(crate) fn with_body(&self, body: Body) -> Self {
        let was = self.value.as_ref().map_or(0, Body::weight) as u64;
        Self {
            proven: AtomicU64::new(u64::MAX),
            hard: self.hard,
            soft: self.soft,
            born: self.born,
            cells: self.cells.clone(),
            weight: self.weight - was + body.weight() as u64,
            value: Some(body),
            decoded: OnceLock::new(),
        }
    }

    pub(crate) fn tags(&self) -> impl Iterator<Item = Id> {
        self.cells.iter().skip(FIXED).map(|(id, _)| *id)
    }
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// This process.
    L1,
    /// Redis.
    L2,
    /// The loader.
    Load,
}

/// How an answer stands to the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// Nothing that was invalidated in time; see the crate's contract.
    Fresh,
    /// Past its soft TTL and not invalidated; a refresh is under way.
    Refreshing,
    /// Kept because the source failed, or because nobody can tell whether it was invalidated.
    Stale,
}

/// An answer of the cache. A clone copies no bytes.
#[derive(Debug, Clone)]
pub struct Hit {
    pub(crate) entry: Arc<Entry>,
    pub(crate) level: Level,
    pub(crate) freshness: Freshness,
}

impl Hit {
    /// The value; `None` where the loader found nothing.
    #[must_use]
    pub fn body(&self) -> Option<&Body> {
        self.entry.value.as_ref()
    }

    /// Where it came from.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// How it stands to the source.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// The value that [`Loaded::json`] wrote. Decoded once per entry, whoever asks how often.
    ///
    /// # Errors
    /// Where the bytes are no JSON of a `T`.
    pub fn json<T: DeserializeOwned + Send + Sync + 'static>(
        &self,
    ) -> serde_json::Result<Option<Arc<T>>> {
        let Some(body) = self.body() else { return Ok(None) };
        let kept = self.entry.decoded.get().cloned().and_then(|any| any.downcast::<T>().ok());
        if let Some(kept) = kept {
            return Ok(Some(kept));
        }
        let value: Arc<T> = Arc::new(serde_json::from_slice(&body.bytes)?);
        // Asked for as two types, the first one is kept.
        let _ = self.entry.decoded.set(Arc::clone(&value) as Arc<dyn Any + Send + Sync>);
        Ok(Some(value))
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;
    use crate::generation::Generations;

    fn entry(value: Option<Body>, cells: u8, key_bytes: usize) -> Entry {
        let generations = Generations::new();
        let cell = |n: u8| (Id([n; 16]), generations.cell(Id([n; 16]), None));
        Entry::new(value, 7, (0..cells).map(cell).collect(), (1, 2), key_bytes)
    }

    fn hit(loaded: Loaded) -> Hit {
        let entry = Arc::new(entry(loaded.0, 3, 0));
        Hit { entry, level: Level::L2, freshness: Freshness::Stale }
    }

    #[test]
    fn an_entry_weighs_all_that_it_holds() {
        let body = Body::new("12345").with_gzip("123").with_etag("12");
        assert_eq!(body.weight(), 10);
        assert_eq!((body.gzip.as_deref(), body.etag.as_deref()), (Some(&b"123"[..]), Some("12")));
        let nothing = entry(None, 0, 0).weight;
        assert_eq!(entry(Some(body), 0, 100).weight, nothing + 110);
        let cell = size_of::<(Id, Arc<Cell>)>() as u64;
        assert_eq!(entry(None, 5, 0).weight, nothing + 5 * cell);
    }

    #[test]
    fn an_entry_with_another_body_is_what_it_was_and_weighs_what_it_holds_now() {
        let body = || Body::new("12345");
        let before = entry(Some(body()), 5, 100);
        let packed = body().with_gzip("123");
        let now = before.with_body(packed.clone());
        assert_eq!((now.value.as_ref(), now.weight), (Some(&packed), before.weight + 3));
        assert_eq!((now.born, now.soft, now.hard), (before.born, before.soft, before.hard));
        assert_eq!(now.tags().collect::<Vec<_>>(), before.tags().collect::<Vec<_>>());
        assert_eq!(now.with_body(Body::new("")).weight, before.weight - 5);
        assert_eq!(entry(None, 0, 0).with_body(body()).weight, entry(Some(body()), 0, 0).weight);
    }

    #[test]
    fn tags_stand_behind_namespace_scope_and_key() {
        let tags = |cells| entry(None, cells, 0).tags().collect::<Vec<_>>();
        assert_eq!(tags(3), []);
        assert_eq!(tags(5), [Id([3; 16]), Id([4; 16])]);
    }

    #[test]
    fn a_hit_tells_where_it_came_from_and_what_was_found() {
        let found = hit(Body::new("x").into());
        assert_eq!((found.level(), found.freshness()), (Level::L2, Freshness::Stale));
        assert_eq!(found.body().map(|body| &*body.bytes), Some(&b"x"[..]));
        assert_eq!(hit(Loaded::absent()).body(), None);
        assert_eq!(hit(Some(Body::new("x")).into()).body(), Some(&Body::new("x")));
    }

    #[test]
    fn json_is_decoded_once_and_read_as_whatever_it_is() {
        let found = hit(Loaded::json(&[1, 2]).expect("numbers are JSON"));
        assert_eq!(found.body().map(|body| &*body.bytes), Some(&b"[1,2]"[..]));
        let first = found.json::<Vec<u8>>().expect("they are numbers").expect("there are some");
        assert_eq!(*first, [1, 2]);
        let again = found.json::<Vec<u8>>().expect("they are numbers").expect("there are some");
        assert!(Arc::ptr_eq(&first, &again));
        let wider = found.json::<[u64; 2]>().expect("they are numbers").expect("there are some");
        assert_eq!(*wider, [1, 2]);
        assert!(found.json::<String>().is_err());
        assert!(matches!(hit(Loaded::absent()).json::<String>(), Ok(None)));
    }
}
