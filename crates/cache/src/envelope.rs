//! A value as it lies in Redis, and back: whatever lies there, the answer is a value or none.
//!
//! ```text
//! "JBC" version | codec | kind | schema u32 | written u64 | fresh_for u64 | keep_for u64
//! n u16 | n × (id 16, generation 10)
//! etag u16 | plain u32 | stored u32 | gzip u32 | etag, stored, gzip | signature 16
//! ```
//!
//! Numbers are big-endian, times are milliseconds of Redis's clock. `etag, stored, gzip` are encrypted where
//! the namespace is. The signature covers all that stands before it and the slot that it lies in.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::compression::{Codec, Compression, decompress};
use crate::key::{Id, Secret};
use crate::value::Body;

const MAGIC: &[u8; 4] = b"JBC\x01";
const SIGNATURE: usize = 16;

/// Which of its lives a tag or a key is in. Random, so that none comes twice.
pub(crate) type Generation = [u8; 10];

/// A value with what it hangs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) value: Option<Body>,
    /// When it was loaded, on Redis's clock.
    pub(crate) written: u64,
    pub(crate) fresh_for: u64,
    pub(crate) keep_for: u64,
    pub(crate) generations: Vec<(Id, Generation)>,
}

/// Where an envelope lies, and how values are read and written there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) secret: &'a Secret,
    pub(crate) slot: Id,
    pub(crate) schema: u32,
    pub(crate) is_encrypted: bool,
    pub(crate) max_value_bytes: usize,
}

impl Envelope {
    /// The bytes to be stored. `None` where it is too large.
    pub(crate) fn seal(&self, place: &Place<'_>, compression: Compression) -> Option<Bytes> {
        let nothing = Body::default();
        let body = self.value.as_ref().unwrap_or(&nothing);
        if body.weight() > place.max_value_bytes {
            return None;
        }
        let (codec, stored) = compression.compress(&body.bytes);
        let etag = body.etag.as_deref().unwrap_or_default();
        let gzip = body.gzip.clone().unwrap_or_default();
        let mut out = BytesMut::with_capacity(
            96 + self.generations.len() * 26 + etag.len() + stored.len() + gzip.len(),
        );
        out.put_slice(MAGIC);
        out.put_u8(codec as u8);
        out.put_u8(u8::from(self.value.is_some()));
        out.put_u32(place.schema);
        out.put_u64(self.written);
        out.put_u64(self.fresh_for);
        out.put_u64(self.keep_for);
        out.put_u16(u16::try_from(self.generations.len()).ok()?);
        for (id, generation) in &self.generations {
            out.put_slice(&id.0);
            out.put_slice(generation);
        }
        out.put_u16(u16::try_from(etag.len()).ok()?);
        for len in [body.bytes.len(), stored.len(), gzip.len()] {
            out.put_u32(u32::try_from(len).ok()?);
        }
        let begin = out.len();
        for part in [etag.as_bytes(), &stored, &gzip] {
            out.put_slice(part);
        }
        if place.is_encrypted {
            let sealed = place.secret.encrypt(place.slot, &out[begin..])?;
            out.truncate(begin);
            out.put_slice(&sealed);
        }
        let signature = place.secret.sign(place.slot, &[&out]);
        out.put_slice(&signature.0);
        Some(out.freeze())
    }

    /// The envelope in these bytes; `None` where they are anything else. Allocates no more than
    /// `max_value_bytes` beyond a few bytes for each tag that really is there.
    pub(crate) fn open(bytes: &Bytes, place: &Place<'_>) -> Option<Self> {
        let signed = bytes.len().checked_sub(SIGNATURE)?;
        let signature = place.secret.sign(place.slot, &[&bytes[..signed]]);
        if !is_same(&signature.0, &bytes[signed..]) {
            return None;
        }
        let mut reader = Reader { bytes: bytes.slice(..signed) };
        if reader.array()? != *MAGIC {
            return None;
        }
        let codec = Codec::from_byte(reader.array::<1>()?[0])?;
        let is_found = match reader.array::<1>()?[0] {
            0 => false,
            1 => true,
            2.. => return None,
        };
        if reader.u32()? != place.schema {
            return None;
        }
        let (written, fresh_for, keep_for) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let count = reader.u16()?;
        let mut generations = Vec::new();
        for _ in 0..count {
            generations.push((Id(reader.array()?), reader.array()?));
        }
        let etag = usize::from(reader.u16()?);
        let (plain, stored, gzip) = (reader.len()?, reader.len()?, reader.len()?);
        if plain.saturating_add(gzip) > place.max_value_bytes {
            return None;
        }
        if place.is_encrypted {
            reader.bytes = place.secret.decrypt(place.slot, &reader.bytes)?.into();
        }
        let etag = String::from_utf8(reader.take(etag)?.to_vec()).ok()?;
        let (stored, gzip) = (reader.take(stored)?, reader.take(gzip)?);
        if !reader.bytes.is_empty() {
            return None;
        }
        let value = if is_found {
            Some(Body {
                bytes: decompress(codec, stored, plain)?,
                gzip: (!gzip.is_empty()).then_some(gzip),
                etag: (!etag.is_empty()).then(|| etag.into()),
            })
        } else {
            None
        };
        Some(Self { value, written, fresh_for, keep_for, generations })
    }
}

/// In constant time: how far a forgery is right is nobody's business.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

/// Takes fields off the front; `None` where there are too few bytes.
struct Reader {
    bytes: Bytes,
}

impl Reader {
    fn take(&mut self, len: usize) -> Option<Bytes> {
        (len <= self.bytes.len()).then(|| self.bytes.split_to(len))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.as_ref().try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn len(&mut self) -> Option<usize> {
        self.u32().and_then(|len| usize::try_from(len).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(secret: &Secret, slot: u8) -> Place<'_> {
        let slot = Id([slot; 16]);
        Place { secret, slot, schema: 7, is_encrypted: false, max_value_bytes: 1 << 20 }
    }

    fn envelope(text: &str, tags: u8) -> Envelope {
        let body = Body::new(text.to_owned()).with_gzip(vec![1, 2, 3]).with_etag("abc");
        Envelope {
            value: Some(body),
            written: 1,
            fresh_for: 2,
            keep_for: 3,
            generations: (0..tags).map(|n| (Id([n; 16]), [n; 10])).collect(),
        }
    }

    proptest! {
        #[test]
        fn what_is_sealed_can_be_opened_in_its_slot_alone(text in ".{0,3000}", tags in 0_u8..200) {
            let secret = Secret::new(b"secret");
            let envelope = envelope(&text, tags);
            let sealed = envelope.seal(&place(&secret, 1), Compression::default()).expect("small");
            prop_assert_eq!(Envelope::open(&sealed, &place(&secret, 1)), Some(envelope));
            prop_assert_eq!(Envelope::open(&sealed, &place(&secret, 2)), None);
            let other = Secret::new(b"other");
            prop_assert_eq!(Envelope::open(&sealed, &place(&other, 1)), None);
            let encrypted = Place { is_encrypted: true, ..place(&secret, 1) };
            prop_assert_eq!(Envelope::open(&sealed, &encrypted), None);
            let newer = Place { schema: 8, ..place(&secret, 1) };
            prop_assert_eq!(Envelope::open(&sealed, &newer), None);
        }

        #[test]
        fn one_changed_bit_is_no_envelope(text in ".{0,300}", at in any::<prop::sample::Index>()) {
            let secret = Secret::new(b"secret");
            let sealed = envelope(&text, 3).seal(&place(&secret, 1), Compression::default());
            let mut sealed = sealed.expect("small").to_vec();
            let bit = at.index(sealed.len() * 8);
            sealed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Envelope::open(&sealed.into(), &place(&secret, 1)), None);
        }

        /// Whoever can sign still cannot make the reader panic or allocate.
        #[test]
        fn signed_nonsense_is_no_envelope(
            mut bytes in prop::collection::vec(any::<u8>(), 0..400),
            is_ours in any::<bool>(),
        ) {
            let secret = Secret::new(b"secret");
            if is_ours && bytes.len() > 10 {
                bytes[..4].copy_from_slice(MAGIC);
                bytes[4] %= 3;
                bytes[5] = 1;
                bytes[6..10].copy_from_slice(&7_u32.to_be_bytes());
            }
            let signature = secret.sign(Id([1; 16]), &[&bytes]);
            bytes.extend(signature.0);
            let _ = Envelope::open(&bytes.into(), &place(&secret, 1));
        }
    }

    #[test]
    fn what_is_encrypted_shows_nothing() {
        let secret = Secret::new(b"secret");
        let place = Place { is_encrypted: true, ..place(&secret, 1) };
        let envelope = envelope("김제비 010-1234-5678", 3);
        let sealed = envelope.seal(&place, Compression::default()).expect("small");
        assert!(!sealed.windows(4).any(|bytes| bytes == b"5678"));
        assert_eq!(Envelope::open(&sealed, &place), Some(envelope));
    }

    #[test]
    fn a_declared_size_of_gigabytes_is_refused_before_it_is_allocated() {
        let secret = Secret::new(b"secret");
        let sealed = envelope(&"가".repeat(4_000), 0);
        let sealed = sealed.seal(&place(&secret, 1), Compression::default()).expect("small");
        let at = 4 + 2 + 4 + 24 + 2 + 2;
        let mut forged = sealed[..sealed.len() - SIGNATURE].to_vec();
        forged[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        let signature = secret.sign(Id([1; 16]), &[&forged]);
        forged.extend(signature.0);
        assert_eq!(Envelope::open(&forged.into(), &place(&secret, 1)), None);
    }

    #[test]
    fn a_value_over_the_maximum_is_neither_sealed_nor_opened() {
        let secret = Secret::new(b"secret");
        // With three bytes of gzip and three of its tag.
        let value = envelope(&"x".repeat(100), 0);
        let [less, enough] =
            [105, 106].map(|bytes| Place { max_value_bytes: bytes, ..place(&secret, 1) });
        assert_eq!(value.seal(&less, Compression::default()), None);
        let sealed = value.seal(&enough, Compression::default()).expect("it has room");
        assert_eq!(Envelope::open(&sealed, &enough), Some(value.clone()));
        // A tag takes no room that is worth asking for.
        let [less, enough] =
            [102, 103].map(|bytes| Place { max_value_bytes: bytes, ..place(&secret, 1) });
        assert_eq!(Envelope::open(&sealed, &less), None);
        assert_eq!(Envelope::open(&sealed, &enough), Some(value));
    }

    #[test]
    fn nothing_is_sealed_as_nothing_and_an_empty_body_as_a_body() {
        let secret = Secret::new(b"secret");
        for value in [None, Some(Body::default())] {
            let envelope = Envelope { value, ..envelope("", 1) };
            let sealed = envelope.seal(&place(&secret, 1), Compression::default()).expect("small");
            assert_eq!(Envelope::open(&sealed, &place(&secret, 1)), Some(envelope));
        }
    }

    #[test]
    fn what_is_signed_and_not_exactly_an_envelope_is_none() {
        let secret = Secret::new(b"secret");
        let sealed = envelope("text", 2).seal(&place(&secret, 1), Compression::default());
        let sealed = sealed.expect("small");
        let body = &sealed[..sealed.len() - SIGNATURE];
        let open = |body: &[u8]| {
            let signature = secret.sign(Id([1; 16]), &[body]);
            let bytes = [body, &signature.0].concat();
            Envelope::open(&bytes.into(), &place(&secret, 1)).is_some()
        };
        let with = |at: usize, byte: u8| {
            let mut changed = body.to_vec();
            changed[at] = byte;
            open(&changed)
        };
        assert!(open(body) && with(5, 0));
        // Another version, a codec and a kind that there are not, a byte more, a byte less.
        assert!(!with(3, 2) && !with(4, 3) && !with(5, 2));
        assert!(!open(&[body, b"x"].concat()) && !open(&body[..body.len() - 1]));
        assert!(
            !open(&[])
                && Envelope::open(&Bytes::from_static(&[0; 15]), &place(&secret, 1)).is_none()
        );
    }
}
