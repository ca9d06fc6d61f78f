//! Keys that are asked for in parts, and in smaller ones where the answers are too large.

use crate::wholesaler::error::Error;
use crate::wholesaler::key::Key;
use crate::wholesaler::page::Page;
use crate::wholesaler::product::{Reason, Rejected, WholesaleProduct};

/// So many items may be too large each by itself. With one more it is not the items.
const MOST_TOO_LARGE: u32 = 3;

/// What is left of some keys.
pub(super) struct Parts<'a> {
    api: &'static str,
    rest: &'a [Key],
    size: usize,
    too_large: u32,
}

impl<'a> Parts<'a> {
    /// All of them, to be asked for at an API, at most `largest` at once.
    pub(super) const fn new(api: &'static str, keys: &'a [Key], largest: usize) -> Self {
        Self { api, rest: keys, size: largest, too_large: 0 }
    }

    /// Those to ask for; `None` where all have been.
    pub(super) fn asked(&self) -> Option<&'a [Key]> {
        let part = &self.rest[..self.size.min(self.rest.len())];
        (!part.is_empty()).then_some(part)
    }

    /// Takes in what came of [`Parts::asked`]: `None` where it was more than is read.
    ///
    /// # Errors
    /// [`Error::Stuck`] where one after another is too large alone.
    pub(super) fn answered(
        &mut self,
        page: &mut Page,
        items: Option<impl Iterator<Item = Result<WholesaleProduct, Rejected>>>,
    ) -> Result<(), Error> {
        let (asked, others) = self.rest.split_at(self.size.min(self.rest.len()));
        match (items, asked) {
            (Some(items), _) => page.sort(asked, items),
            (None, [key]) => {
                if self.too_large == MOST_TOO_LARGE {
                    return Err(Error::Stuck(self.api));
                }
                self.too_large += 1;
                let (key, reason) = (Some(key.clone()), Reason::TooLarge("item"));
                page.rejected.push(Rejected { key, reason });
            }
            (None, _) => {
                self.size = (asked.len() / 4).max(1);
                return Ok(());
            }
        }
        self.rest = others;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::new(text).unwrap()
    }

    fn product(text: &str) -> WholesaleProduct {
        WholesaleProduct::nameless(key(text))
    }

    fn keys(count: usize) -> Vec<Key> {
        (0..count).map(|at| key(&at.to_string())).collect()
    }

    /// Answers what is asked for, all of it or that it is too large; gives how many that were.
    fn answer(parts: &mut Parts<'_>, page: &mut Page, is_whole: bool) -> Result<usize, Error> {
        let asked = parts.asked().unwrap_or_default();
        let items = asked.iter().map(|key| Ok(product(key.as_str())));
        parts.answered(page, is_whole.then_some(items))?;
        Ok(asked.len())
    }

    #[test]
    fn keys_are_asked_for_in_parts_until_none_is_left() {
        let keys = keys(10);
        let (mut parts, mut page) = (Parts::new("items", &keys, 4), Page::default());
        for part in [&keys[..4], &keys[4..8], &keys[8..]] {
            assert_eq!(parts.asked(), Some(part));
            answer(&mut parts, &mut page, true).unwrap();
        }
        assert_eq!(parts.asked(), None);
        assert!(page.products.iter().map(|product| &product.key).eq(&keys));
    }

    #[test]
    fn what_is_too_large_together_is_asked_for_by_a_quarter_and_alone_it_is_rejected() {
        let keys = keys(8);
        let (mut parts, mut page) = (Parts::new("items", &keys, 8), Page::default());
        let mut answer = |is_whole| answer(&mut parts, &mut page, is_whole).unwrap();
        assert_eq!([false, false, false, true].map(&mut answer), [8, 2, 1, 1]);
        assert_eq!([true; 6].map(&mut answer), [1; 6]);
        assert_eq!(parts.asked(), None);
        let reason = Reason::TooLarge("item");
        assert_eq!(page.rejected, [Rejected { key: Some(key("0")), reason }]);
        assert_eq!(page.products.len(), 7);
    }

    #[test]
    fn where_one_after_another_is_too_large_it_is_not_the_items() {
        let keys = keys(5);
        let (mut parts, mut page) = (Parts::new("items", &keys, 1), Page::default());
        for _ in 0..MOST_TOO_LARGE {
            answer(&mut parts, &mut page, false).unwrap();
        }
        let ended = answer(&mut parts, &mut page, false);
        assert!(matches!(ended, Err(Error::Stuck("items"))));
        assert_eq!(page.rejected.len(), 3);
    }
}
