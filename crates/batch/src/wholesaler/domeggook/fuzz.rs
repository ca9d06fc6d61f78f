//! Answers of anybody.

use serde_json::Value;

use super::{Market, answer, feed, list, options, tiers, view};
use crate::wholesaler::fuzz::{assert_options, assert_price, assert_sound, assert_tiers};

/// A page of the list, or of the changes.
///
/// # Panics
/// When what comes of it is not sound.
pub fn list(text: &str) {
    let Ok(body) = answer::body(text) else { return };
    let span = list::Span::from(0);
    if let Ok(listed) = list::read(body, span) {
        assert!(listed.keys.len() <= 200);
        for key in listed.keys.iter().flatten() {
            assert!(key.as_str().bytes().all(|byte| byte.is_ascii_digit()), "{key}");
        }
    }
    if let Ok((_, rows)) = feed::read(body) {
        assert!(rows.len() <= 500);
    }
}

/// Items, in both markets. Gives how many can be used.
///
/// # Panics
/// When what comes of it is not sound.
pub fn view(text: &str) -> usize {
    let Ok(body) = answer::body(text) else { return 0 };
    let mut count = 0;
    for market in [Market::Dome, Market::Supply] {
        let Ok(items) = view::items(market, body, view::LARGEST) else { continue };
        assert!(items.len() <= view::LARGEST);
        count += assert_sound(items.iter().map(Result::as_ref));
    }
    count
}

/// A price, or prices by quantity.
///
/// # Panics
/// When what comes of it is not sound.
pub fn tiers(text: &str) {
    let Ok((price, tiers)) = tiers::read(&Value::String(text.to_owned())) else { return };
    price.into_iter().for_each(assert_price);
    assert_tiers(price, &tiers);
}

pub(crate) fn options(text: &str) {
    if let Ok(options) = options::read(text) {
        assert_options(&options);
    }
}
