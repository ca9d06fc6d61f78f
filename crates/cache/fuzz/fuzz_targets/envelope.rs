//! Whatever lies in Redis is a value or none: no panic, and no memory beyond the largest value.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run envelope -s none` in `crates/cache`.

#![no_main]

use jebi_cache::internals::Slot;
use libfuzzer_sys::fuzz_target;

const MAX_VALUE_BYTES: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let slot = Slot::new(MAX_VALUE_BYTES);
    // As anybody could write them: the signature is wrong.
    assert!(slot.open(&bytes.to_vec().into()).is_none());
    // As somebody could write them who knows the secret: what stands behind the signature is read.
    for slot in [slot, Slot::new(MAX_VALUE_BYTES).encrypted()] {
        if let Some(body) = slot.open_signed(bytes) {
            let gzip = body.gzip.as_ref().map_or(0, |gzip| gzip.len());
            assert!(body.bytes.len() + gzip <= MAX_VALUE_BYTES);
        }
    }
});
