//! Bytes made smaller, and made whole again within bounds.

use std::cell::RefCell;

use bytes::Bytes;

/// How values are made smaller in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    /// Shorter values are stored as they are. Default 1,024 bytes.
    pub threshold_bytes: usize,
    /// 0 is off, 1–3 are lz4, 4–9 are zstd of the class that the number usually means. Default 6.
    pub level: u8,
}

impl Default for Compression {
    fn default() -> Self {
        Self { threshold_bytes: 1_024, level: 6 }
    }
}

/// How bytes are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Plain = 0,
    Lz4 = 1,
    Zstd = 2,
}

impl Codec {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Plain, Self::Lz4, Self::Zstd].into_iter().find(|codec| *codec as u8 == byte)
    }
}

thread_local! {
    // Making a context costs more than compressing a page with it.
    static INTO: RefCell<(i32, Option<zstd::bulk::Compressor<'static>>)> =
        const { RefCell::new((0, None)) };
    static OUT_OF: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

impl Compression {
    /// The bytes as they are stored: as they are where making them smaller saves less than a tenth.
    pub(crate) fn compress(self, bytes: &Bytes) -> (Codec, Bytes) {
        if bytes.len() < self.threshold_bytes {
            return (Codec::Plain, bytes.clone());
        }
        let packed = match self.level {
            0 => None,
            1..=3 => Some((Codec::Lz4, lz4_flex::block::compress(bytes))),
            4.. => {
                packed_by_zstd(bytes, zstd_level(self.level)).map(|packed| (Codec::Zstd, packed))
            }
        };
        match packed {
            Some((codec, packed)) if packed.len() <= bytes.len() / 10 * 9 => (codec, packed.into()),
            Some(_) | None => (Codec::Plain, bytes.clone()),
        }
    }
}

/// The scale of 1 to 9 is gzip's; zstd reaches the sizes of its upper end with much less work.
fn zstd_level(level: u8) -> i32 {
    match level {
        ..=4 => 1,
        5 => 2,
        6 => 3,
        7 => 5,
        8 => 7,
        9.. => 9,
    }
}

fn packed_by_zstd(bytes: &[u8], level: i32) -> Option<Vec<u8>> {
    INTO.with_borrow_mut(|(known, context)| {
        if *known != level || context.is_none() {
            *context = zstd::bulk::Compressor::new(level).ok();
            *known = level;
        }
        context.as_mut()?.compress(bytes).ok()
    })
}

/// The bytes as they were; `None` where they do not come to `len` bytes. Allocates `len` bytes and no more:
/// the caller has seen that they are not too many.
pub(crate) fn decompress(codec: Codec, stored: Bytes, len: usize) -> Option<Bytes> {
    let bytes: Bytes = match codec {
        Codec::Plain => stored,
        Codec::Lz4 => {
            let mut bytes = vec![0; len];
            let written = lz4_flex::block::decompress_into(&stored, &mut bytes).ok()?;
            bytes.truncate(written);
            bytes.into()
        }
        Codec::Zstd => OUT_OF
            .with_borrow_mut(|context| {
                if context.is_none() {
                    *context = zstd::bulk::Decompressor::new().ok();
                }
                context.as_mut()?.decompress(&stored, len).ok()
            })?
            .into(),
    };
    (bytes.len() == len).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_packed_comes_out_as_it_was(
            text in prop::collection::vec(0_u8..4, 0..5_000),
            level in 0_u8..=9,
        ) {
            let bytes = Bytes::from(text);
            let compression = Compression { threshold_bytes: 1_024, level };
            let (codec, packed) = compression.compress(&bytes);
            prop_assert!(packed.len() <= bytes.len());
            prop_assert_eq!(decompress(codec, packed, bytes.len()), Some(bytes));
        }
    }

    #[test]
    fn what_saves_less_than_a_tenth_is_not_worth_it() {
        let blanks_and_noise = |blanks: usize| {
            let noise = (0..).flat_map(|_| crate::random::bits());
            let text: Vec<u8> =
                std::iter::repeat_n(b' ', blanks).chain(noise).take(1_000).collect();
            Bytes::from(text)
        };
        for level in [1, 6] {
            let compression = Compression { threshold_bytes: 0, level };
            assert_eq!(compression.compress(&blanks_and_noise(60)).0, Codec::Plain);
            let (codec, packed) = compression.compress(&blanks_and_noise(300));
            assert_ne!(codec, Codec::Plain);
            assert!((700..900).contains(&packed.len()), "{}", packed.len());
        }
    }

    #[test]
    fn levels_grow_with_the_number_that_says_so() {
        assert_eq!([4, 5, 6, 7, 8, 9].map(zstd_level), [1, 2, 3, 5, 7, 9]);
        let text: String = (0..2_000).map(|n: u32| format!("{} ", n * n % 1_009)).collect();
        let text = Bytes::from(text);
        let packed = |level| Compression { threshold_bytes: 0, level }.compress(&text).1;
        // What a thread has packed before makes no difference.
        let alone = std::thread::scope(|scope| {
            let alone = [4, 9].map(|level| scope.spawn(move || packed(level)).join());
            alone.map(|packed| packed.expect("no panic"))
        });
        assert_eq!([packed(4), packed(9)], alone);
        assert_eq!([packed(4), packed(9)], alone);
        assert_ne!(alone[0], alone[1]);
    }

    #[test]
    fn what_does_not_get_smaller_stays_as_it_is() {
        let noise: Vec<u8> = (0..512).flat_map(|_| crate::random::bits()).collect();
        let noise = Bytes::from(noise);
        for level in 0..=9 {
            let compression = Compression { threshold_bytes: 0, level };
            assert_eq!(compression.compress(&noise), (Codec::Plain, noise.clone()));
        }
        let text = Bytes::from(vec![b'a'; 1_023]);
        assert_eq!(Compression::default().compress(&text).0, Codec::Plain);
        let text = Bytes::from(vec![b'a'; 1_024]);
        assert_eq!(Compression::default().compress(&text).0, Codec::Zstd);
    }
}
