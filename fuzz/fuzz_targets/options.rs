//! Options in one text: JSON of Domeggook, rows of Zentrade.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    jebi_batch::fuzz::options(text);
});
