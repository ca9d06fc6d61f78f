//! Items of Domeggook.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    jebi_batch::fuzz::domeggook_view(text);
});
