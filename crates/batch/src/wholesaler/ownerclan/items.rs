//! All items by cursors, and those of given keys.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{Ownerclan, answer, product};
use crate::outcome::Failure;
use crate::wholesaler::error::{Error, unusable};
use crate::wholesaler::key::Key;
use crate::wholesaler::page::{Checkpoint, Page, Place};
use crate::wholesaler::parts::Parts;
use crate::wholesaler::product::{Reason, Rejected, WholesaleProduct};
use crate::wholesaler::seen::{Progress, Seen};

const ALL: &str = "allItems";
const BY_KEYS: &str = "itemsByKeys";

/// The largest page that is given.
pub(super) const LARGEST: usize = 1_000;
/// Keys that are asked for at once; up to 5,000 would be taken.
pub(super) const KEYS: usize = 500;
/// Keys that are remembered: those of some pages, which is how far items move.
pub(super) const REMEMBERED: usize = 5_000;

pub(super) type Item = Result<Box<WholesaleProduct>, Rejected>;

/// A walk over all items.
pub(super) struct Items {
    client: Ownerclan,
    after: Option<String>,
    size: usize,
    seen: Seen,
    progress: Progress,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PageInfo {
    pub(super) has_next_page: bool,
    #[serde(default)]
    pub(super) end_cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Connection<'a> {
    pub(super) page_info: PageInfo,
    #[serde(borrow)]
    pub(super) edges: Vec<Option<Edge<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct Edge<'a> {
    #[serde(borrow, default)]
    pub(super) node: Option<&'a RawValue>,
}

/// A page, read.
pub(super) struct Listed {
    info: PageInfo,
    pub(super) items: Vec<Item>,
}

impl Items {
    pub(super) fn new(client: Ownerclan, after: Option<String>) -> Self {
        let (seen, mut progress) = (Seen::new(REMEMBERED), Progress::default());
        // Where it begins it has been.
        after.iter().for_each(|after| _ = progress.advances(after));
        Self { client, after, size: LARGEST, seen, progress }
    }

    /// The next page, and the walk where it goes on.
    pub(super) async fn page(mut self) -> Result<(Page, Option<Self>), Error> {
        let listed = loop {
            match self.list().await? {
                Some(listed) => break listed,
                // Alone it is too large as well: nobody can use it.
                None if self.size == 1 => break self.skip().await?,
                None => self.size = (self.size / 4).max(1),
            }
        };
        // A page that is full and says it is the last is not believed.
        let is_full = listed.items.len() >= self.size;
        self.size = (self.size * 2).min(LARGEST);
        let mut page = Page { read: listed.items.len(), ..Page::default() };
        for item in listed.items {
            match item {
                Ok(product) if self.seen.insert(&product.key) => page.products.push(*product),
                Ok(_) => page.repeated += 1,
                Err(rejected) => page.rejected.push(rejected),
            }
        }
        let PageInfo { has_next_page, end_cursor } = listed.info;
        let goes_on = has_next_page || is_full;
        let next = end_cursor.filter(|after| goes_on && self.progress.advances(after));
        if has_next_page && (next.is_none() || !self.progress.is_made(&page)) {
            return Err(Error::Stuck(ALL));
        }
        let Some(after) = next else { return Ok((page, None)) };
        page.next = Some(Checkpoint(Place::OwnerclanItems { after: after.clone() }));
        self.after = Some(after);
        Ok((page, Some(self)))
    }

    /// What comes next; `None` where it is more than is read.
    async fn list(&self) -> Result<Option<Listed>, Error> {
        let query = format!(
            "query ($first: Int, $after: String) {{ allItems(first: $first, after: $after) {{
            pageInfo {{ hasNextPage endCursor }} edges {{ node {{ {} }} }} }} }}",
            product::FIELDS
        );
        let variables = json!({ "first": self.size, "after": self.after });
        self.client.query(&query, ALL, variables, |text| listed(text, product::read)).await
    }

    /// One item that is too large, by its key alone.
    async fn skip(&self) -> Result<Listed, Error> {
        const QUERY: &str = "query ($after: String) { allItems(first: 1, after: $after) {
            pageInfo { hasNextPage endCursor } edges { node { key } } } }";
        let too_large = |json: &str| {
            let key = product::key_of(json);
            Err(Rejected { key, reason: Reason::TooLarge("item") })
        };
        let variables = json!({ "after": self.after });
        let listed = self.client.query(QUERY, ALL, variables, |text| listed(text, too_large));
        listed.await?.ok_or(Error::Stuck(ALL))
    }
}

pub(super) fn listed(
    text: &str,
    read: impl Fn(&str) -> Result<WholesaleProduct, Rejected>,
) -> Result<Listed, Failure> {
    const LEAD: &[&str] = &["edges"];
    let field = answer::field(text, ALL, LEAD)?;
    let connection: Connection<'_> =
        serde_json::from_str(field.json).map_err(|_| unusable("no connection"))?;
    if connection.edges.len() > LARGEST {
        return Err(unusable("more items than were asked for"));
    }
    let nodes = connection.edges.into_iter().map(|edge| edge.and_then(|edge| edge.node));
    let item = |(at, node): (usize, Option<&RawValue>)| {
        let missing = Rejected { key: None, reason: Reason::Missing("item") };
        let node = node.ok_or(missing)?.get();
        judged(node, field.is_broken(LEAD, at), &read)
    };
    Ok(Listed { items: nodes.enumerate().map(item).collect(), info: connection.page_info })
}

/// An item, where no error tells that something of it is missing.
fn judged(
    json: &str,
    is_broken: bool,
    read: impl Fn(&str) -> Result<WholesaleProduct, Rejected>,
) -> Item {
    if is_broken {
        return Err(Rejected { key: product::key_of(json), reason: Reason::Failed });
    }
    read(json).map(Box::new)
}

/// The items of some keys.
pub(super) async fn find(client: &Ownerclan, keys: &[Key]) -> Result<Page, Error> {
    let query =
        format!("query ($keys: [ID!]!) {{ itemsByKeys(keys: $keys) {{ {} }} }}", product::FIELDS);
    let mut page = Page { read: keys.len(), ..Page::default() };
    let mut parts = Parts::new(BY_KEYS, keys, KEYS);
    while let Some(asked) = parts.asked() {
        let words: Vec<&str> = asked.iter().map(Key::as_str).collect();
        let variables = json!({ "keys": words });
        let read = |text: &str| found(text, asked.len());
        let items = client.query(&query, BY_KEYS, variables, read).await?;
        let items = items.map(|items| items.into_iter().map(|item| item.map(|item| *item)));
        parts.answered(&mut page, items)?;
    }
    Ok(page)
}

pub(super) fn found(text: &str, most: usize) -> Result<Vec<Item>, Failure> {
    let field = answer::field(text, BY_KEYS, &[])?;
    let nodes: Vec<Option<&RawValue>> =
        serde_json::from_str(field.json).map_err(|_| unusable("no items"))?;
    if nodes.len() > most {
        return Err(unusable("more items than were asked for"));
    }
    let item = |(at, node): (usize, Option<&RawValue>)| match node {
        Some(node) => Some(judged(node.get(), field.is_broken(&[], at), product::read)),
        None if field.is_broken(&[], at) => {
            Some(Err(Rejected { key: None, reason: Reason::Failed }))
        }
        // Not there.
        None => None,
    };
    Ok(nodes.into_iter().enumerate().filter_map(item).collect())
}
