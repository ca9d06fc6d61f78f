//! Answers of anybody.

use super::{history, items, product};
use crate::wholesaler::fuzz::assert_sound;

/// A page of items, items of some keys, or a page of events. Gives how many items can be used.
///
/// # Panics
/// When what comes of it is not sound.
pub fn items(text: &str) -> usize {
    let mut count = 0;
    if let Ok(listed) = items::listed(text, product::read) {
        assert!(listed.items.len() <= items::LARGEST);
        count += sound(&listed.items);
    }
    if let Ok(found) = items::found(text, items::KEYS) {
        assert!(found.len() <= items::KEYS);
        count += sound(&found);
    }
    if let Ok(told) = history::told(text) {
        assert!(told.keys.len() <= items::LARGEST + 1);
    }
    count
}

fn sound(items: &[items::Item]) -> usize {
    assert_sound(items.iter().map(|item| item.as_ref().map(|product| &**product)))
}
