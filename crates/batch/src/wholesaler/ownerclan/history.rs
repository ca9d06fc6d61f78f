//! What has changed: events of a window, and the items that they are about.

use serde::Deserialize;
use serde_json::json;

use super::items::{Connection, Edge, LARGEST, PageInfo, REMEMBERED, find};
use super::{Ownerclan, answer};
use crate::outcome::Failure;
use crate::wholesaler::error::{Error, unusable};
use crate::wholesaler::key::Key;
use crate::wholesaler::page::{Checkpoint, Page, Place, Window};
use crate::wholesaler::product::{Reason, Rejected};
use crate::wholesaler::seen::{Progress, Seen};

const API: &str = "itemHistories";
/// The longest window that is answered: a week, in milliseconds.
const LONGEST: i64 = 7 * 24 * 60 * 60 * 1_000;

/// The events of a window.
pub(super) struct History {
    client: Ownerclan,
    /// Milliseconds since 1970: the part of the window that is read, and the end of the whole.
    from: i64,
    to: i64,
    until: i64,
    after: Option<String>,
    seen: Seen,
    progress: Progress,
}

/// What is read of an event. Its values are words in many shapes: the item itself is asked.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "itemKey")]
    item_key: String,
}

pub(super) struct Told {
    info: PageInfo,
    pub(super) keys: Vec<Option<Key>>,
}

impl History {
    /// `None` where the window ends before it begins.
    pub(super) fn new(
        client: Ownerclan,
        window: Window,
        begun: Option<(i64, i64, Option<String>)>,
    ) -> Option<Self> {
        let (since, until) = (window.since.timestamp_millis(), window.until.timestamp_millis());
        if since > until {
            return None;
        }
        let (from, to, after) =
            begun.unwrap_or_else(|| (since, until.min(since.saturating_add(LONGEST)), None));
        let (seen, mut progress) = (Seen::new(REMEMBERED), Progress::default());
        after.iter().for_each(|after: &String| _ = progress.advances(after));
        Some(Self { client, from, to, until, after, seen, progress })
    }

    /// The items of the next page of events, and the history where it goes on.
    pub(super) async fn page(mut self) -> Result<(Page, Option<Self>), Error> {
        let Told { info, keys } = self.events().await?;
        let mut events = Page { read: keys.len(), ..Page::default() };
        let mut changed = Vec::new();
        for key in keys {
            match key {
                Some(key) if self.seen.insert(&key) => changed.push(key),
                Some(_) => events.repeated += 1,
                None => {
                    let reason = Reason::Missing("itemKey");
                    events.rejected.push(Rejected { key: None, reason });
                }
            }
        }
        let PageInfo { has_next_page, end_cursor } = info;
        let is_full = events.read >= LARGEST;
        let goes_on = has_next_page || is_full;
        let next = end_cursor.filter(|after| goes_on && self.progress.advances(after));
        // Many events may be about few items, so that what comes again says nothing.
        let is_made = self.progress.is_made(&Page { read: events.read, ..Page::default() });
        if has_next_page && (next.is_none() || !is_made) {
            return Err(Error::Stuck(API));
        }
        let found = find(&self.client, &changed).await?;
        let mut page = Page { read: events.read, repeated: events.repeated, ..found };
        page.rejected.extend(events.rejected);
        let goes_on = match next {
            Some(after) => {
                self.after = Some(after);
                true
            }
            None => self.next_part(),
        };
        if !goes_on {
            return Ok((page, None));
        }
        let (from, to, after) = (self.from, self.to, self.after.clone());
        page.next = Some(Checkpoint(Place::OwnerclanHistory { from, to, after }));
        Ok((page, Some(self)))
    }

    /// The next week; false where the window has ended.
    fn next_part(&mut self) -> bool {
        if self.to >= self.until {
            return false;
        }
        // Both ends belong to a window.
        self.from = self.to.saturating_add(1);
        self.to = self.until.min(self.from.saturating_add(LONGEST));
        self.after = None;
        // Another query: its cursors are not those of the one before.
        self.progress = Progress::default();
        true
    }

    async fn events(&self) -> Result<Told, Error> {
        const QUERY: &str =
            "query ($first: Int, $from: Timestamp, $to: Timestamp, $after: String) {
            itemHistories(first: $first, dateFrom: $from, dateTo: $to, after: $after) {
            pageInfo { hasNextPage endCursor } edges { node { itemKey } } } }";
        let variables = json!({
            "first": LARGEST, "from": self.from, "to": self.to, "after": self.after,
        });
        self.client.query(QUERY, API, variables, told).await?.ok_or(Error::Stuck(API))
    }
}

pub(super) fn told(text: &str) -> Result<Told, Failure> {
    let field = answer::field(text, API, &["edges"])?;
    let connection: Connection<'_> =
        serde_json::from_str(field.json).map_err(|_| unusable("no connection"))?;
    // A page may tell one event twice.
    if connection.edges.len() > LARGEST + 1 {
        return Err(unusable("more events than were asked for"));
    }
    let key = |edge: Option<Edge<'_>>| {
        let event: Event = serde_json::from_str(edge?.node?.get()).ok()?;
        Key::new(&event.item_key)
    };
    Ok(Told { info: connection.page_info, keys: connection.edges.into_iter().map(key).collect() })
}
