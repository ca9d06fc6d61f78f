//! What has changed: rows of a day, and the items that they are about.

use std::sync::Arc;

use chrono::{DateTime, FixedOffset, NaiveDateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::{self, Header};
use super::product::Numbered;
use super::{Inner, session, view};
use crate::outcome::Failure;
use crate::wholesaler::error::{Error, unusable};
use crate::wholesaler::key::Key;
use crate::wholesaler::page::{Checkpoint, Page, Place, Window};
use crate::wholesaler::product::{Reason, Rejected};
use crate::wholesaler::seen::Seen;

const MODE: &str = "getAllSupplyChk";
const LARGEST: usize = 500;
/// Everything that is told, joined as it wants it.
const STATUS: &str = "OPEN_RESTART_CLOSE_SOLDOUT_DEL_AMT_OPTAMT_OPTSOLDOUT_OPTRESTART";
const REMEMBERED: usize = 20_000;
/// No day has more pages.
const MAX_PAGES: u64 = 100_000;
const DAY_SECONDS: i64 = 24 * 60 * 60;
const KOREA_SECONDS: i32 = 9 * 60 * 60;

/// The rows of a window's days.
pub(super) struct Feed {
    client: Arc<Inner>,
    window: Window,
    /// Days since 1970, in Korea.
    day: i64,
    last_day: i64,
    page: u64,
    seen: Seen,
    previous: Vec<Row>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    header: Option<&'a RawValue>,
    #[serde(borrow, default)]
    items: Option<&'a RawValue>,
}

/// What is read of a row: the item itself is asked for the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: Option<Key>,
    /// Where it can be read.
    at: Option<DateTime<Utc>>,
    status: String,
}

impl Feed {
    /// `None` where the window ends before it begins.
    pub(super) fn new(
        client: Arc<Inner>,
        window: Window,
        begun: Option<(i64, u64)>,
    ) -> Option<Self> {
        if window.since > window.until {
            return None;
        }
        let (day, page) = begun.unwrap_or((day_of(window.since), 1));
        let last_day = day_of(window.until);
        let (seen, previous) = (Seen::new(REMEMBERED), Vec::new());
        Some(Self { client, window, day, last_day, page, seen, previous })
    }

    /// The items of the next page of rows, and the feed where it goes on.
    pub(super) async fn page(mut self) -> Result<(Page, Option<Self>), Error> {
        let (header, rows) = self.rows().await?;
        let mut told = Page { read: rows.len(), total: header.items, ..Page::default() };
        let is_same = !rows.is_empty() && rows == self.previous;
        self.previous.clone_from(&rows);
        let (mut changed, mut moments) = (Vec::new(), Vec::new());
        for Row { key, at, .. } in rows {
            match key {
                Some(_) if at.is_some_and(|at| !self.is_inside(at)) => {}
                Some(key) if self.seen.insert(&key) => {
                    moments.extend(at.map(|at| (key.clone(), at)));
                    changed.push(key);
                }
                Some(_) => told.repeated += 1,
                None => {
                    let reason = Reason::Missing("no");
                    told.rejected.push(Rejected { key: None, reason });
                }
            }
        }
        let Page { read, total, repeated, .. } = told;
        // Totals lie: a page that is full has one behind it, and one with nothing has none.
        let is_told = header.pages.is_some_and(|pages| self.page < pages);
        let goes_on = read > 0 && (is_told || read >= LARGEST);
        if goes_on && (is_same || self.page >= MAX_PAGES) {
            return Err(Error::Stuck(MODE));
        }
        let found = view::find(&self.client, &changed).await?;
        let mut page = Page { read, total, repeated, ..found };
        page.rejected.extend(told.rejected);
        for product in &mut page.products {
            let moment = moments.iter().find(|(key, _)| *key == product.key);
            product.changed_at = moment.map(|(_, at)| *at);
        }
        if goes_on {
            self.page += 1;
        } else if self.day < self.last_day {
            (self.day, self.page) = (self.day + 1, 1);
            self.previous.clear();
        } else {
            return Ok((page, None));
        }
        let (day, number) = (self.day, self.page);
        page.next = Some(Checkpoint(Place::DomeggookChanges { day, page: number }));
        Ok((page, Some(self)))
    }

    /// Rows are told to the second.
    fn is_inside(&self, at: DateTime<Utc>) -> bool {
        let second = at.timestamp();
        (self.window.since.timestamp()..=self.window.until.timestamp()).contains(&second)
    }

    async fn rows(&self) -> Result<(Header, Vec<Row>), Error> {
        let client = &*self.client;
        let (page, size) = (self.page.to_string(), LARGEST.to_string());
        let (id, date) = (client.login.id.expose(), date_of(self.day));
        let call = async |session: Arc<str>| {
            let parameters = [
                ("id", id),
                ("sId", &*session),
                ("type", "all"),
                ("status", STATUS),
                ("date", &date),
                ("ic", &size),
                ("pg", &page),
            ];
            client.call(MODE, "1.1", &parameters, read).await
        };
        let rows = client.session.call(|| session::log_in(client), call).await?;
        rows.ok_or(Error::Stuck(MODE))
    }
}

pub(super) fn read(json: &str) -> Result<(Header, Vec<Row>), Failure> {
    let body: Body<'_> = serde_json::from_str(json).map_err(|_| unusable("no feed"))?;
    let entries = answer::entries(body.items)?;
    if entries.len() > LARGEST {
        return Err(unusable("more rows than were asked for"));
    }
    let rows = entries.into_iter().map(|entry| row(entry.get())).collect();
    Ok((Header::read(body.header), rows))
}

fn row(json: &str) -> Row {
    #[derive(Deserialize)]
    struct Told {
        #[serde(default)]
        date: Value,
        #[serde(default)]
        status: Value,
    }
    let numbered: Option<Numbered> = serde_json::from_str(json).ok();
    let told: Option<Told> = serde_json::from_str(json).ok();
    let key = numbered.and_then(|numbered| numbered.key());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let at = told.as_ref().and_then(|told| moment(told.date.as_str()?));
    Row { key, at, status: told.map(|told| text(&told.status)).unwrap_or_default() }
}

/// `2026-11-23 09:00:01`, as the clocks in Korea show it.
fn moment(text: &str) -> Option<DateTime<Utc>> {
    let moment = NaiveDateTime::parse_from_str(text.trim(), "%Y-%m-%d %H:%M:%S").ok()?;
    Some(moment.and_local_timezone(korea()).single()?.to_utc())
}

fn korea() -> FixedOffset {
    FixedOffset::east_opt(KOREA_SECONDS).expect("nine hours are less than a day")
}

/// The day in Korea, counted from 1970.
fn day_of(moment: DateTime<Utc>) -> i64 {
    (moment.timestamp() + i64::from(KOREA_SECONDS)).div_euclid(DAY_SECONDS)
}

/// `20261123`.
fn date_of(day: i64) -> String {
    let noon = DateTime::from_timestamp(day.saturating_mul(DAY_SECONDS), 0).unwrap_or_default();
    noon.format("%Y%m%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_one_of_korea() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(date_of(day_of(at("2026-11-22T14:59:59Z"))), "20261122");
        assert_eq!(date_of(day_of(at("2026-11-22T15:00:00Z"))), "20261123");
        assert_eq!(moment("2026-11-23 00:00:01"), Some(at("2026-11-22T15:00:01Z")));
        assert_eq!(moment("어제"), None);
    }

    #[test]
    fn a_row_tells_which_item_and_when() {
        let json = r#"{"header":{"numberOfPages":1},
            "items":{"item":{"no":"30000009","status":"AMT","date":"2026-12-01 08:00:00","qty":"1"}}}"#;
        let (header, rows) = read(json).unwrap();
        assert_eq!((header.pages, rows.len()), (Some(1), 1));
        assert_eq!(rows[0].key, Key::new("30000009"));
        assert_eq!(rows[0].at.unwrap().to_rfc3339(), "2026-11-30T23:00:00+00:00");
        assert_eq!(row("[]"), Row { key: None, at: None, status: String::new() });
    }
}
