//! What streams give: pages, and where they go on.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use serde::{Deserialize, Serialize};

use crate::wholesaler::error::Error;
use crate::wholesaler::key::Key;
use crate::wholesaler::product::{Reason, Rejected, WholesaleProduct};

/// Pages, one after another.
pub type Pages = BoxStream<'static, Result<Page, Error>>;

/// A stream that ends before it begins.
pub(super) fn failed(error: Error) -> Pages {
    stream::iter([Err(error)]).boxed()
}

/// A stream from a checkpoint of another one.
pub(super) fn foreign() -> Pages {
    failed(Error::ForeignCheckpoint)
}

/// Some items of a catalogue. How many there were is [`Page::read`]: what is new, what is rejected and
/// what came again.
#[derive(Debug, Default)]
pub struct Page {
    /// What can be used.
    pub products: Vec<WholesaleProduct>,
    /// What cannot, and why.
    pub rejected: Vec<Rejected>,
    /// What was asked for and is not there.
    pub missing: Vec<Key>,
    /// How many items, or events about items, were read.
    pub read: usize,
    /// How many of them the stream had told before.
    pub repeated: usize,
    /// How many items there are, the wholesaler says. It may lie.
    pub total: Option<u64>,
    /// Where it goes on after this page; `None` after the last.
    pub next: Option<Checkpoint>,
}

impl Page {
    /// Takes in what came of some keys that were asked for. Who is not there is missing, but where it
    /// cannot be told which of them came broken.
    pub(super) fn sort(
        &mut self,
        asked: &[Key],
        items: impl Iterator<Item = Result<WholesaleProduct, Rejected>>,
    ) {
        let asked_for: HashSet<&Key> = asked.iter().collect();
        let (mut told, mut is_sure) = (HashSet::new(), true);
        for item in items {
            match item {
                Ok(product) if !asked_for.contains(&product.key) => {
                    is_sure = false;
                    let key = Some(product.key);
                    self.rejected.push(Rejected { key, reason: Reason::Contradictory("key") });
                }
                Ok(product) if told.insert(product.key.clone()) => self.products.push(product),
                Ok(_) => {}
                Err(rejected) => {
                    is_sure &= rejected.key.is_some();
                    told.extend(rejected.key.clone());
                    self.rejected.push(rejected);
                }
            }
        }
        let silent = asked.iter().filter(|key| !told.contains(*key)).cloned();
        if is_sure {
            self.missing.extend(silent);
        } else {
            let reason = Reason::Missing("item");
            self.rejected.extend(silent.map(|key| Rejected { key: Some(key), reason }));
        }
    }
}

/// From a moment to a later one, which must not lie in the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first moment.
    pub since: DateTime<Utc>,
    /// The last moment.
    pub until: DateTime<Utc>,
}

/// A place in a walk, or in the changes of a window. It can be stored, and resumed from by another
/// process: there nothing is lost, and what was read after it comes again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Checkpoint(pub(super) Place);

impl Checkpoint {
    /// Whether it leads to where a walk begins anyway: what was read up to it comes again.
    #[must_use]
    pub fn is_begin(&self) -> bool {
        matches!(self.0, Place::ZentradeNormal)
    }
}

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub(super) enum Place {
    OwnerclanItems {
        /// The cursor of the last item that was had.
        after: String,
    },
    OwnerclanHistory {
        /// Milliseconds since 1970, of the part of the window that is read.
        from: i64,
        to: i64,
        after: Option<String>,
    },
    /// The begin of the first of its two files. A file cannot be entered in the middle.
    ZentradeNormal,
    /// The begin of the second.
    ZentradeSoldOut,
    DomeggookItems {
        /// A page of 200, and how many of its items were had.
        page: u64,
        #[serde(default)]
        within: u64,
        /// The last items that were had.
        #[serde(default)]
        after: Vec<String>,
    },
    DomeggookChanges {
        /// Days since 1970, in Korea.
        day: i64,
        page: u64,
    },
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn key(text: &str) -> Key {
        Key::new(text).unwrap()
    }

    fn product(text: &str) -> WholesaleProduct {
        WholesaleProduct::nameless(key(text))
    }

    fn rejected(of: Option<&str>, reason: Reason) -> Rejected {
        Rejected { key: of.map(key), reason }
    }

    /// What came of items 1 to 4 that were asked for: products, rejected, missing.
    fn sorted(
        items: Vec<Result<WholesaleProduct, Rejected>>,
    ) -> (Vec<Key>, Vec<Rejected>, Vec<Key>) {
        let mut page = Page::default();
        page.sort(&["1", "2", "3", "4"].map(key), items.into_iter());
        (page.products.into_iter().map(|one| one.key).collect(), page.rejected, page.missing)
    }

    #[test]
    fn who_is_asked_for_and_not_there_is_missing() {
        let broken = rejected(Some("2"), Reason::Unreadable);
        let items = vec![Ok(product("1")), Ok(product("1")), Err(broken.clone())];
        assert_eq!(sorted(items), (vec![key("1")], vec![broken], vec![key("3"), key("4")]));
    }

    #[test]
    fn where_it_cannot_be_told_which_came_broken_nobody_is_missing() {
        let nameless = rejected(None, Reason::Unreadable);
        let named = rejected(Some("2"), Reason::Unreadable);
        let silent = |of| rejected(Some(of), Reason::Missing("item"));
        let items = vec![Err(nameless.clone()), Err(named.clone()), Ok(product("4"))];
        let expected = vec![nameless, named, silent("1"), silent("3")];
        assert_eq!(sorted(items), (vec![key("4")], expected, vec![]));
    }

    #[test]
    fn who_was_not_asked_for_is_nobodys_answer() {
        let items = vec![Ok(product("9")), Ok(product("1")), Ok(product("2")), Ok(product("3"))];
        let foreign = rejected(Some("9"), Reason::Contradictory("key"));
        let silent = rejected(Some("4"), Reason::Missing("item"));
        assert_eq!(
            sorted(items),
            (["1", "2", "3"].map(key).to_vec(), vec![foreign, silent], vec![])
        );
    }

    #[test]
    fn a_stream_that_cannot_begin_says_why_and_ends() {
        let mut pages = foreign();
        let first = pages.next().now_or_never().flatten();
        assert!(matches!(first, Some(Err(Error::ForeignCheckpoint))));
        assert!(matches!(pages.next().now_or_never(), Some(None)));
    }

    #[test]
    fn a_walk_over_two_files_begins_with_the_first_of_them() {
        assert!(Checkpoint(Place::ZentradeNormal).is_begin());
        assert!(!Checkpoint(Place::ZentradeSoldOut).is_begin());
    }

    #[test]
    fn a_checkpoint_is_stored_as_json() {
        let after = Some("aGlzdDo1".to_owned());
        for (place, json) in [
            (Place::ZentradeSoldOut, r#"{"of":"zentrade_sold_out"}"#),
            (
                Place::DomeggookItems { page: 7, within: 13, after: vec!["9".to_owned()] },
                r#"{"of":"domeggook_items","page":7,"within":13,"after":["9"]}"#,
            ),
            (
                Place::OwnerclanHistory { from: 1, to: 2, after },
                r#"{"of":"ownerclan_history","from":1,"to":2,"after":"aGlzdDo1"}"#,
            ),
        ] {
            let checkpoint = Checkpoint(place);
            assert_eq!(serde_json::to_string(&checkpoint).unwrap(), json);
            assert_eq!(serde_json::from_str::<Checkpoint>(json).unwrap(), checkpoint);
        }
        // As pages of 200 were counted first.
        let checkpoint: Checkpoint =
            serde_json::from_str(r#"{"of":"domeggook_items","page":7}"#).unwrap();
        assert_eq!(checkpoint.0, Place::DomeggookItems { page: 7, within: 0, after: vec![] });
        assert!(serde_json::from_str::<Checkpoint>(r#"{"of":"elsewhere"}"#).is_err());
    }
}
