//! Prices by quantity.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    jebi_batch::fuzz::tiers(text);
});
