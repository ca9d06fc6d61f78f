//! A file of Zentrade that comes in any pieces.

#![no_main]

// The text stands first, so that a file is a seed as it is; its last bytes are sizes of pieces as well.
libfuzzer_sys::fuzz_target!(|text: &str| {
    let sizes = &text.as_bytes()[text.len().saturating_sub(3)..];
    jebi_batch::fuzz::zentrade_file(text, sizes);
    jebi_batch::fuzz::zentrade_file(text, &[0]);
});
