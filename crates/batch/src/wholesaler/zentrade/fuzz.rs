//! Answers of anybody.

use jebi_domain::{Currency, Money};

use super::frames::{Frame, Frames, NoList};
use super::{options, order, product};
use crate::wholesaler::fuzz::{assert_options, assert_sound};

/// Where no bound is met, which depends on how much is held at once.
const MAX_BYTES: usize = 16 << 10;

/// A file of products, or of orders, that comes in pieces of these sizes, over and over. Gives how
/// many products can be used.
///
/// # Panics
/// When what comes of it is not sound.
pub fn file(text: &str, sizes: &[u8]) -> usize {
    _ = order::read(text);
    if text.len() > MAX_BYTES {
        return 0;
    }
    let (whole, end) = framed([text]);
    let cut = framed(pieces(text, sizes));
    assert_eq!(cut, (whole.clone(), end), "{sizes:?}");
    let mut count = 0;
    for frame in whole {
        let Frame::Element(xml) = frame else { panic!("nothing is too large") };
        let item = product::read(&xml);
        count += assert_sound([item.as_ref()]);
        // It is known by the same code whether it can be used or not.
        if let Ok(product) = &item {
            assert_eq!(product::key_of(&xml).as_ref(), Some(&product.key));
        }
    }
    count
}

pub(crate) fn options(text: &str) {
    let price = Money::new(3_000, Currency::Krw).ok();
    for price in [price, None] {
        if let Ok(options) = options::read(text, price) {
            assert_options(&options);
        }
    }
}

/// The frames, and whether the list ended, or why it is none.
fn framed<'a>(pieces: impl IntoIterator<Item = &'a str>) -> (Vec<Frame>, Result<bool, NoList>) {
    let (mut frames, mut found) = (Frames::new("product"), Vec::new());
    for piece in pieces {
        frames.push(piece);
        loop {
            match frames.next() {
                Ok(Some(frame)) => found.push(frame),
                Ok(None) => break,
                Err(why) => return (found, Err(why)),
            }
        }
    }
    (found, Ok(frames.has_ended()))
}

fn pieces<'a>(text: &'a str, sizes: &[u8]) -> Vec<&'a str> {
    let (mut rest, mut pieces) = (text, Vec::new());
    for size in sizes.iter().cycle() {
        let end = rest.ceil_char_boundary(usize::from(*size) + 1);
        let (piece, others) = rest.split_at(end);
        pieces.push(piece);
        rest = others;
        if rest.is_empty() {
            break;
        }
    }
    // Without sizes it comes at once.
    pieces.extend((!rest.is_empty()).then_some(rest));
    pieces
}
