//! A walk over what is on sale: pages by number, which move while one reads them.
//!
//! What is sold out leaves the list, and all that stands behind it moves forward, also out of a page
//! that comes next into one that was read. A total does not tell: meanwhile others come. So each page
//! begins with the last items of the one before, which prove that nothing has slipped through between
//! them; where they are not there, the walk goes back until it finds what it knows.

use std::collections::VecDeque;
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
/// Items of a page.
const LARGEST: u64 = 200;
/// Items that a page shares with the one before. So many may leave the list meanwhile before the walk
/// has to go back.
const SHARED: u64 = 4;
/// How far it goes back at once.
const BACK: u64 = 100;
/// Steps back in a row. Where these do not help, the list has lost more than one can follow.
const MOST_BACK: usize = 10;
/// The same where a walk is resumed, which knows little: as many new items in front of it move what it
/// knows out of its sight as well, and then it need not go back at all.
const MOST_BACK_RESUMED: usize = 5;
/// Keys that a checkpoint remembers. A seller who leaves takes many neighbours along.
const KEPT: usize = 20;
/// Numbers that are remembered: those of some pages, which is how far items move.
const REMEMBERED: usize = 5_000;
/// No list has more pages.
const MAX_PAGES: u64 = 1_000_000;

/// A page, as the list is cut by its size: it begins at a multiple of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    page: u64,
    size: u64,
}

impl Span {
    /// The one that gets farthest of those that begin at a place or before.
    pub(super) fn from(place: u64) -> Self {
        let spans = (1..=LARGEST).map(|size| Self { page: place / size + 1, size });
        spans.max_by_key(|span| span.end()).expect("there are sizes")
    }

    const fn begin(self) -> u64 {
        (self.page - 1) * self.size
    }

    const fn end(self) -> u64 {
        self.page * self.size
    }
}

/// A walk.
pub(super) struct List {
    client: Arc<Inner>,
    span: Span,
    pages: u64,
    seen: Seen,
    progress: Progress,
    /// What is to be asked for, and where in the list it stood: it waits until there are as many as
    /// are asked for at once.
    waiting: VecDeque<(u64, Key)>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    header: Option<&'a RawValue>,
    #[serde(borrow, default)]
    list: Option<&'a RawValue>,
}

/// A page of numbers.
pub(super) struct Listed {
    header: Header,
    pub(super) keys: Vec<Option<Key>>,
}

impl List {
    /// From the beginning, or behind a page of [`LARGEST`], some items of the next, and these keys.
    pub(super) fn new(client: Arc<Inner>, page: u64, within: u64, after: &[String]) -> Self {
        let place = (page.clamp(1, MAX_PAGES) - 1) * LARGEST + within.min(LARGEST);
        let mut seen = Seen::new(REMEMBERED);
        after.iter().filter_map(|key| Key::new(key)).for_each(|key| _ = seen.insert(&key));
        // Where nothing is known nothing can be proven.
        let back = if seen.is_empty() { LARGEST } else { SHARED };
        let span = Span::from(place.saturating_sub(back));
        let (progress, waiting) = (Progress::default(), VecDeque::new());
        Self { client, span, pages: 0, seen, progress, waiting }
    }

    /// The next page, and the walk where it goes on.
    pub(super) async fn page(mut self) -> Result<(Page, Option<Self>), Error> {
        let Listed { header, keys } = self.following().await?;
        let mut listed = Page { read: keys.len(), total: header.items, ..Page::default() };
        for (key, place) in keys.into_iter().zip(self.span.begin()..) {
            match key {
                Some(key) if self.seen.insert(&key) => self.waiting.push_back((place, key)),
                Some(_) => listed.repeated += 1,
                None => {
                    let reason = Reason::Missing("no");
                    listed.rejected.push(Rejected { key: None, reason });
                }
            }
        }
        let goes_on = goes_on(self.span, &listed, header.pages);
        if goes_on && (!self.progress.is_made(&listed) || self.pages >= MAX_PAGES) {
            return Err(Error::Stuck(MODE));
        }
        let later = if goes_on { self.waiting.len() % view::LARGEST } else { 0 };
        let asked = self.waiting.len() - later;
        let asked: Vec<Key> = self.waiting.drain(..asked).map(|(_, key)| key).collect();
        let found = view::find(&self.client, &asked).await?;
        let Page { total, repeated, rejected, .. } = listed;
        let read = found.read + repeated + rejected.len();
        let mut page = Page { read, total, repeated, ..found };
        page.rejected.extend(rejected);
        if !goes_on {
            return Ok((page, None));
        }
        page.next = Some(self.checkpoint());
        self.span = Span::from(self.span.end().saturating_sub(SHARED));
        Ok((page, Some(self)))
    }

    /// Behind all that was asked for.
    fn checkpoint(&self) -> Checkpoint {
        let place = self.waiting.front().map_or(self.span.end(), |(place, _)| *place);
        let after = self.seen.latest(self.waiting.len()).take(KEPT);
        let after = after.map(|key| key.as_str().to_owned()).collect();
        let (page, within) = (place / LARGEST + 1, place % LARGEST);
        Checkpoint(Place::DomeggookItems { page, within, after })
    }

    /// A page on which something stands that was read: nothing is between them.
    async fn following(&mut self) -> Result<Listed, Error> {
        let is_first = self.pages == 0;
        let mut steps = 0..if is_first { MOST_BACK_RESUMED } else { MOST_BACK };
        loop {
            let listed = self.listed().await?;
            self.pages += 1;
            let mut keys = listed.keys.iter().flatten();
            let knows_nothing = self.seen.is_empty() && !listed.keys.is_empty();
            let follows = knows_nothing || keys.any(|key| self.seen.contains(key));
            if follows || self.span.begin() == 0 {
                return Ok(listed);
            }
            match steps.next() {
                Some(_) => self.span = Span::from(self.span.begin().saturating_sub(BACK)),
                // All that the checkpoint knew may be gone: that ends no walk.
                None if is_first => return Ok(listed),
                None => return Err(Error::Stuck(MODE)),
            }
        }
    }

    async fn listed(&self) -> Result<Listed, Error> {
        let Span { page, size } = self.span;
        let (number, size) = (page.to_string(), size.to_string());
        let parameters = [
            ("market", self.client.market.word()),
            // There must be a condition, and 0 may count as none.
            ("mnp", "1"),
            ("sz", &size),
            ("pg", &number),
            ("so", "rd"),
        ];
        let read = |json: &str| read(json, self.span);
        let listed = self.client.call(MODE, "4.1", &parameters, read).await?;
        listed.ok_or(Error::Stuck(MODE))
    }
}

/// Whether there is something behind a page. Totals lie: a page that is full has one behind it,
/// whatever they say. Where nothing on it is new, both must say so: some servers show the last page
/// again, and again.
fn goes_on(span: Span, page: &Page, pages: Option<u64>) -> bool {
    let is_new = page.read > page.repeated;
    let is_full = page.read as u64 >= span.size;
    let is_told = pages.is_some_and(|pages| span.page < pages);
    if is_new { is_full || is_told } else { is_full && is_told }
}

pub(super) fn read(json: &str, span: Span) -> Result<Listed, Failure> {
    let body: Body<'_> = serde_json::from_str(json).map_err(|_| unusable("no list"))?;
    let header = Header::read(body.header);
    // The next one would begin elsewhere.
    let is_other = header.size.is_some_and(|size| size != span.size);
    if is_other && header.pages.is_some_and(|pages| span.page < pages) {
        return Err(unusable("pages of another size than was asked for"));
    }
    let entries = answer::entries(body.list)?;
    if entries.len() as u64 > span.size {
        return Err(unusable("more items than were asked for"));
    }
    let key = |entry: &RawValue| serde_json::from_str::<Numbered>(entry.get()).ok()?.key();
    let keys = entries.into_iter().map(key).collect();
    Ok(Listed { header, keys })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_believed_only_where_they_say_more() {
        let is_last = |read, repeated, page, pages| {
            !goes_on(Span { page, size: 200 }, &Page { read, repeated, ..Page::default() }, pages)
        };
        assert!(is_last(0, 0, 1, Some(9)));
        assert!(is_last(7, 0, 3, Some(3)) && is_last(7, 0, 3, None));
        assert!(!is_last(200, 0, 3, Some(3)) && !is_last(200, 0, 3, None));
        assert!(!is_last(100, 0, 2, Some(3)) && is_last(100, 100, 2, Some(3)));
        assert!(is_last(200, 200, 3, Some(3)) && !is_last(200, 200, 2, Some(3)));
    }

    #[test]
    fn a_page_reaches_back_to_the_one_before_and_costs_few_calls_more() {
        let (mut span, mut pages) = (Span::from(0), 1);
        assert_eq!(span, Span { page: 1, size: LARGEST });
        while span.end() < 100_000 {
            let next = Span::from(span.end() - SHARED);
            assert!(next.begin() + SHARED <= span.end() && next.end() > span.end() + 100);
            (span, pages) = (next, pages + 1);
        }
        assert!(pages < 560, "{pages} for 500 that share nothing");
    }

    #[test]
    fn one_item_is_no_list_and_its_number_may_be_text() {
        let json = r#"{"header":{"numberOfItems":"1"},"list":{"item":{"no":"30000001","title":"\ud83d"}}}"#;
        let span = Span { page: 1, size: 200 };
        let listed = read(json, span).unwrap();
        assert_eq!(listed.header.items, Some(1));
        assert_eq!(listed.keys, [Key::new("30000001")]);
        assert_eq!(read(r#"{"header":{}}"#, span).unwrap().keys, []);
        let read = |pages| {
            read(&format!(r#"{{"header":{{"itemsPerPage":"20","numberOfPages":{pages}}}}}"#), span)
        };
        assert!(read(1).is_ok() && read(2).is_err());
    }
}
