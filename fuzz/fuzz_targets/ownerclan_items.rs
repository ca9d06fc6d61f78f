//! Answers of Ownerclan: pages of items, items by their keys, events.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    jebi_batch::fuzz::ownerclan_items(text);
});
