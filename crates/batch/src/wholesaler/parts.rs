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
