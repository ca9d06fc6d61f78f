//! Items by their numbers, a hundred at once.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Inner, Market, answer, product};
use crate::outcome::Failure;
use crate::wholesaler::error::{Error, unusable};
use crate::wholesaler::key::Key;
use crate::wholesaler::page::Page;
use crate::wholesaler::parts::Parts;
use crate::wholesaler::product::{Rejected, WholesaleProduct};

const MODE: &str = "getItemView";
/// Numbers of a call.
pub(super) const LARGEST: usize = 100;
/// Calls at once.
const AT_ONCE: usize = 5;

pub(super) type Item = Result<WholesaleProduct, Rejected>;

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    item: Option<&'a RawValue>,
    #[serde(borrow, default)]
    basis: Option<&'a RawValue>,
}

/// The items of some numbers.
pub(super) async fn find(client: &Inner, keys: &[Key]) -> Result<Page, Error> {
    let parts: Vec<Vec<Key>> = keys.chunks(LARGEST).map(<[Key]>::to_vec).collect();
    let views = stream::iter(parts).map(|part| views(client, part)).buffered(AT_ONCE);
    let views: Vec<Page> = views.try_collect().await?;
    let mut page = Page { read: keys.len(), ..Page::default() };
    for view in views {
        page.products.extend(view.products);
        page.rejected.extend(view.rejected);
        page.missing.extend(view.missing);
    }
    Ok(page)
}

/// Those of a hundred, by fewer at once where they are too large together.
async fn views(client: &Inner, keys: Vec<Key>) -> Result<Page, Error> {
    let mut page = Page::default();
    let mut parts = Parts::new(MODE, &keys, LARGEST);
    while let Some(asked) = parts.asked() {
        let numbers: Vec<&str> = asked.iter().map(Key::as_str).collect();
        let numbers = numbers.join(",");
        let read = |body: &str| items(client.market, body, asked.len());
        let items = client.call(MODE, "4.6", &[("multiple", &numbers)], read).await?;
        parts.answered(&mut page, items.map(Vec::into_iter))?;
    }
    Ok(page)
}

/// Below `item`, or, where it is one, the body itself.
pub(super) fn items(market: Market, json: &str, most: usize) -> Result<Vec<Item>, Failure> {
    if !json.starts_with('{') {
        // None of them is there.
        let nothing: &RawValue = serde_json::from_str(json).map_err(|_| unusable("no items"))?;
        answer::many(nothing)?;
        return Ok(Vec::new());
    }
    let body: Body<'_> = serde_json::from_str(json).map_err(|_| unusable("no items"))?;
    let read = |json: &str| product::read(json, market);
    match (body.item, body.basis) {
        (Some(items), _) => {
            let items = answer::many(items)?;
            if items.len() > most {
                return Err(unusable("more items than were asked for"));
            }
            Ok(items.into_iter().map(|item| read(item.get())).collect())
        }
        (None, Some(_)) => Ok(vec![read(json)]),
        // That none of them is there is said in another way.
        (None, None) => Err(unusable("no items")),
    }
}
