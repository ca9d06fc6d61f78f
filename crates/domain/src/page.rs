use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::word::words;

/// Items on a page: 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(u16);

impl PageSize {
    /// The most items that one page shows.
    pub const MAX: u16 = 100;

    /// `None` outside 1 ..= [`PageSize::MAX`].
    #[must_use]
    pub const fn new(items: u64) -> Option<Self> {
        if items == 0 || items > Self::MAX as u64 {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "it is at most 100")]
        Some(Self(items as u16))
    }

    /// The number of items.
    #[must_use]
    pub const fn items(self) -> u16 {
        self.0
    }

    /// How many pages hold `total` items.
    #[must_use]
    pub fn pages(self, total: u64) -> u64 {
        total.div_ceil(u64::from(self.0))
    }
}

/// The number of a page, from 1, and how many rows lie before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageNumber {
    number: u64,
    skip: u64,
}

impl PageNumber {
    /// The most rows a page may lie behind: 2⁵³, what a JSON number still counts exactly.
    pub const MAX_SKIP: u64 = 1 << 53;

    /// `None` for page 0 and for pages beyond [`PageNumber::MAX_SKIP`] rows.
    #[must_use]
    pub fn new(number: u64, size: PageSize) -> Option<Self> {
        let skip = number.checked_sub(1)?.checked_mul(u64::from(size.items()))?;
        (skip <= Self::MAX_SKIP).then_some(Self { number, skip })
    }

    /// The first page.
    #[must_use]
    pub const fn first() -> Self {
        Self { number: 1, skip: 0 }
    }

    /// The number, from 1.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.number
    }

    /// How many rows lie before the page.
    #[must_use]
    pub const fn skip(self) -> u64 {
        self.skip
    }
}

/// Where a row stands in a list that runs newest first: its instant, then its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The buyer's time of an order, the time a product was first seen.
    pub created_at: DateTime<Utc>,
    /// Breaks ties between rows of one instant.
    pub id: Uuid,
}

/// Which page of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// By its number.
    Page(PageNumber),
    /// The rows after this one.
    After(Position),
}

/// A half-open range of time, `[from, to)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
}

impl Bounds {
    /// `None` where `from` is after `to`.
    #[must_use]
    pub fn new(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Option<Self> {
        match (from, to) {
            (Some(from), Some(to)) if from > to => None,
            _ => Some(Self { from, to }),
        }
    }

    /// The first instant inside, if the range has a beginning.
    #[must_use]
    pub const fn from(self) -> Option<DateTime<Utc>> {
        self.from
    }

    /// The first instant outside, if the range has an end.
    #[must_use]
    pub const fn to(self) -> Option<DateTime<Utc>> {
        self.to
    }
}

words! {
    /// How far a `total` can be trusted.
    pub enum TotalIs ("total_is") {
        /// The number of rows, counted.
        Exact = "exact",
        /// At least this many; counting stopped here.
        Capped = "capped",
        /// A guess; what it is made from, the list says.
        Estimated = "estimated",
    }
}

/// A page of a list that runs newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// At most as many as the page's size.
    pub items: Vec<T>,
    /// The rows that match, on all pages.
    pub total: u64,
    /// What `total` is.
    pub total_is: TotalIs,
    /// Where the next page begins; `None` on the last.
    pub next: Option<Position>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(items: u64) -> PageSize {
        PageSize::new(items).unwrap()
    }

    #[test]
    fn sizes_and_numbers_are_bounded() {
        assert_eq!(PageSize::new(0), None);
        assert_eq!(PageSize::new(101), None);
        assert_eq!(PageNumber::new(0, size(50)), None);
        assert_eq!(PageNumber::new(1, size(50)), Some(PageNumber::first()));
        let third = PageNumber::new(3, size(50)).unwrap();
        assert_eq!((third.number(), third.skip()), (3, 100));
        assert_eq!(PageNumber::new(u64::MAX, size(100)), None);
        let last = PageNumber::MAX_SKIP / 64 + 1;
        assert_eq!(PageNumber::new(last, size(64)).unwrap().skip(), PageNumber::MAX_SKIP);
        assert_eq!(PageNumber::new(last + 1, size(64)), None);
    }

    #[test]
    fn a_range_does_not_run_backwards() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0);
        assert_eq!(Bounds::new(at(2), at(1)), None);
        let instant = Bounds::new(at(1), at(1)).unwrap();
        assert_eq!((instant.from(), instant.to()), (at(1), at(1)));
        let open = Bounds::new(None, at(1)).unwrap();
        assert_eq!((open.from(), open.to()), (None, at(1)));
        assert_eq!(Bounds::new(at(1), None).unwrap().to(), None);
    }

    proptest! {
        #[test]
        fn the_last_page_is_the_one_that_holds_the_last_row(total in 1_u64..1 << 40, items in 1_u64..=100) {
            let last = PageNumber::new(size(items).pages(total), size(items)).unwrap();
            prop_assert!(last.skip() < total);
            prop_assert!(last.skip() + items >= total);
        }
    }
}
