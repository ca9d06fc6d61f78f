//! A walk over what is on sale: pages by number, which move while one reads them.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{self, Header};
use super::product::Numbered;
use super::{Inner, view};
use crate::outcome::Failure;
use crate::wholesaler::error::{Error, unusable};
use crate::wholesaler::key::Key;
use crate::wholesaler::page::{Checkpoint, Page, Place};
use crate::wholesaler::product::{Reason, Rejected};
use crate::wholesaler::seen::{Progress, Seen};

const MODE: &str = "getItemList";
const LARGEST: usize = 200;
/// Numbers that are remembered: those of some pages, which is how far items move.
const REMEMBERED: usize = 5_000;
/// No list has more pages.
const MAX_PAGES: u64 = 1_000_000;

/// A walk.
pub(super) struct List {
    client: Arc<Inner>,
    page: u64,
    seen: Seen,
    progress: Progress,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    header: Option<&'a RawValue>,
    #[serde(borrow, default)]
    list: Option<&'a RawValue>,
}

/// A page of numbers.
struct Listed {
    header: Header,
    keys: Vec<Option<Key>>,
}

impl List {
    pub(super) fn new(client: Arc<Inner>, page: u64) -> Self {
        let (seen, progress) = (Seen::new(REMEMBERED), Progress::default());
        Self { client, page: page.max(1), seen, progress }
    }

    /// The next page, and the walk where it goes on.
    pub(super) async fn page(mut self) -> Result<(Page, Option<Self>), Error> {
        let Listed { header, keys } = self.listed().await?;
        let mut listed = Page { read: keys.len(), total: header.items, ..Page::default() };
        let mut new = Vec::new();
        for key in keys {
            match key {
                Some(key) if self.seen.insert(&key) => new.push(key),
                Some(_) => listed.repeated += 1,
                None => {
                    let reason = Reason::Missing("no");
                    listed.rejected.push(Rejected { key: None, reason });
                }
            }
        }
        let goes_on = goes_on(&listed, LARGEST, self.page, header.pages);
        if goes_on && (!self.progress.is_made(&listed) || self.page >= MAX_PAGES) {
            return Err(Error::Stuck(MODE));
        }
        let found = view::find(&self.client, &new).await?;
        let Page { read, total, repeated, .. } = listed;
        let mut page = Page { read, total, repeated, ..found };
        page.rejected.extend(listed.rejected);
        if !goes_on {
            return Ok((page, None));
        }
        self.page += 1;
        page.next = Some(Checkpoint(Place::DomeggookItems { page: self.page }));
        Ok((page, Some(self)))
    }

    async fn listed(&self) -> Result<Listed, Error> {
        let (page, size) = (self.page.to_string(), LARGEST.to_string());
        let parameters = [
            ("market", self.client.market.word()),
            // There must be a condition, and 0 may count as none.
            ("mnp", "1"),
            ("sz", &size),
            ("pg", &page),
            ("so", "rd"),
        ];
        let listed = self.client.call(MODE, "4.1", &parameters, read).await?;
        listed.ok_or(Error::Stuck(MODE))
    }
}

/// Whether a page is not the last. Totals lie: a page that is full has one behind it, whatever they
/// say, and one with nothing has none.
pub(super) fn goes_on(page: &Page, size: usize, number: u64, pages: Option<u64>) -> bool {
    let is_told = pages.is_some_and(|pages| number < pages);
    // Some servers show the last page again, and again.
    let is_again = page.repeated == page.read;
    match page.read {
        0 => false,
        read => is_told || (read >= size && !is_again),
    }
}

fn read(json: &str) -> Result<Listed, Failure> {
    let body: Body<'_> = serde_json::from_str(json).map_err(|_| unusable("no list"))?;
    let entries = answer::entries(body.list)?;
    if entries.len() > LARGEST {
        return Err(unusable("more items than were asked for"));
    }
    let key = |entry: &RawValue| serde_json::from_str::<Numbered>(entry.get()).ok()?.key();
    let keys = entries.into_iter().map(key).collect();
    Ok(Listed { header: Header::read(body.header), keys })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_believed_only_where_they_say_more() {
        let page = |read, repeated| Page { read, repeated, ..Page::default() };
        let is_last = |page: Page, number, pages| !goes_on(&page, 200, number, pages);
        assert!(is_last(page(0, 0), 1, Some(9)));
        assert!(is_last(page(7, 0), 3, Some(3)) && is_last(page(7, 0), 3, None));
        assert!(!is_last(page(200, 0), 3, Some(3)) && !is_last(page(200, 0), 3, None));
        assert!(!is_last(page(100, 0), 2, Some(3)));
        assert!(is_last(page(200, 200), 3, Some(3)));
    }

    #[test]
    fn one_item_is_no_list_and_its_number_may_be_text() {
        let json = r#"{"header":{"numberOfItems":"1"},"list":{"item":{"no":"30000001","title":"\ud83d"}}}"#;
        let listed = read(json).unwrap();
        assert_eq!(listed.header.items, Some(1));
        assert_eq!(listed.keys, [Key::new("30000001")]);
        assert_eq!(read(r#"{"header":{}}"#).unwrap().keys, []);
    }
}
