//! For the crate's own benches and fuzz targets. Changes without notice.

use bytes::Bytes;

use crate::cache::Namespace;
use crate::compression::Compression;
use crate::envelope::{Envelope, Place};
use crate::key::{CacheKey, Id, Secret};
use crate::value::{Body, Hit};

/// [`Namespace::try_get`] without its counters.
#[inline]
pub fn try_get_uncounted<K: CacheKey + ?Sized>(namespace: &Namespace, key: &K) -> Option<Hit> {
    namespace.try_get_uncounted(key)
}

/// The place of one value in Redis.
#[derive(Debug)]
pub struct Slot {
    secret: Secret,
    max_value_bytes: usize,
    is_encrypted: bool,
}

impl Slot {
    /// A slot that takes values up to this size.
    #[must_use]
    pub fn new(max_value_bytes: usize) -> Self {
        Self { secret: Secret::new(b"internals"), max_value_bytes, is_encrypted: false }
    }

    /// The same in an encrypted namespace.
    #[must_use]
    pub fn encrypted(self) -> Self {
        Self { is_encrypted: true, ..self }
    }

    /// A body as it is stored, hanging on six generations as an entry with three tags does.
    #[must_use]
    pub fn seal(&self, body: Body, compression: Compression) -> Option<Bytes> {
        let generations = (0..6).map(|n| (Id([n; 16]), [n; 10])).collect();
        let envelope = Envelope {
            value: Some(body),
            written: 1,
            fresh_for: 300_000,
            keep_for: 300_000,
            generations,
        };
        envelope.seal(&self.place(), compression)
    }

    /// The body in these bytes, where they are an envelope of this slot.
    #[must_use]
    pub fn open(&self, bytes: &Bytes) -> Option<Body> {
        Envelope::open(bytes, &self.place())?.value
    }

    /// The same for bytes that somebody who knows the secret has made: signs them first, so that what
    /// stands behind the signature is reached.
    #[must_use]
    pub fn open_signed(&self, bytes: &[u8]) -> Option<Body> {
        let signature = self.secret.sign(self.place().slot, &[bytes]);
        self.open(&[bytes, &signature.0].concat().into())
    }

    fn place(&self) -> Place<'_> {
        Place {
            secret: &self.secret,
            slot: Id([1; 16]),
            schema: 1,
            is_encrypted: self.is_encrypted,
            max_value_bytes: self.max_value_bytes,
        }
    }
}
