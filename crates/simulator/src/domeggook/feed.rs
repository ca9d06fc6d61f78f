//! The change feed: one day at a time, by pages.

use super::tree::Tree;
use super::view::{self, Market, number_of, seller_id};
use super::{Call, Failure, option, session};
use crate::catalogue::{Availability, Change, Item, Stock, What};
use crate::time::{DAY_MS, Time};
use crate::world::World;

const LARGEST_PAGE: u64 = 500;

const BAD_DATE: Failure = Failure::new("INVALID_DATE", "date 값이 올바르지 않습니다.");

pub(super) fn page(world: World<'_>, call: &Call) -> Result<Tree, Failure> {
    if call.word("ver") != "1.0" {
        session::required(world, call)?;
    }
    let day = day_of(&call.word("date")).ok_or(BAD_DATE)?;
    let wanted = call.word("status").into_owned();
    let generation = world.catalogue.generation(world.now);
    let changes = world.listings.day(generation, day, &wanted, || changes(world, day, &wanted));
    let only = (call.word("sc") == "no").then(|| call.word("sw").into_owned());
    let is_it = |change: &&Change| {
        only.as_ref().is_none_or(|only| *only == number_of(change.number).to_string())
    };
    let total = match &only {
        None => changes.len() as u64,
        Some(_) => changes.iter().filter(is_it).count() as u64,
    };
    let size = call.parameters.number("ic").filter(|size| *size > 0).unwrap_or(LARGEST_PAGE);
    let size = size.min(LARGEST_PAGE);
    let page = call.parameters.number("pg").unwrap_or(1).max(1);
    let first = world.distortion.shifted((page - 1).saturating_mul(size));
    let (first, count) = (usize::try_from(first), usize::try_from(size));
    let rows: Vec<Tree> = changes
        .iter()
        .filter(is_it)
        .skip(first.unwrap_or(usize::MAX))
        .take(count.unwrap_or(usize::MAX))
        .filter_map(|change| row(world, change))
        .collect();
    let told = total.saturating_add_signed(world.distortion.lie.unwrap_or(0));
    let number = |value: u64| Tree::number(i64::try_from(value).unwrap_or(i64::MAX), false);
    let header = Tree::Object(vec![
        ("numberOfItems", number(told)),
        ("numberOfPages", number(told.div_ceil(size))),
        ("currentPage", number(page)),
    ]);
    let items = if rows.is_empty() {
        Tree::text("")
    } else {
        Tree::Object(vec![("item", Tree::Many(rows))])
    };
    Ok(Tree::Object(vec![("header", header), ("items", items)]))
}

/// A day in Korea that is written `20261123`.
pub(super) fn day_of(text: &str) -> Option<i64> {
    let date = chrono::NaiveDate::parse_from_str(text, "%Y%m%d").ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis() / DAY_MS)
}

fn changes(world: World<'_>, day: i64, wanted: &str) -> Vec<Change> {
    let from = Time::start_of_korean_day(day);
    let last = Time::from_unix_ms(Time::start_of_korean_day(day + 1).unix_ms() - 1);
    let wanted: Vec<&str> = wanted.split('_').collect();
    let is_wanted = |change: &Change| {
        let item = world.catalogue.item(change.number, change.at);
        item.is_some_and(|item| wanted.contains(&status(&item, change)))
    };
    world.catalogue.changes(from, last.min(world.now)).filter(is_wanted).collect()
}

/// What a change is called. A change of the number that is there is told as one of the amount.
fn status(item: &Item<'_>, change: &Change) -> &'static str {
    match change.what {
        What::Price => "AMT",
        What::Stock if item.choice_count() == 1 => "AMT",
        What::Stock => match item.stock_at(change) {
            (_, _, Stock::Units(0)) => "OPTSOLDOUT",
            (_, Stock::Units(0), _) => "OPTRESTART",
            _ => "OPTAMT",
        },
        What::Gone => match item.availability() {
            Availability::SoldOut => "SOLDOUT",
            Availability::Discontinued => "CLOSE",
            Availability::OnSale | Availability::Missing => "DEL",
        },
        What::Back => "RESTART",
        What::Added => "OPEN",
    }
}

fn row(world: World<'_>, change: &Change) -> Option<Tree> {
    let item = world.catalogue.item(change.number, change.at)?;
    let number = |value: i64| Tree::text(value.to_string());
    Some(Tree::Object(vec![
        ("no", number(number_of(change.number))),
        ("title", Tree::text(item.name())),
        ("status", Tree::text(status(&item, change))),
        ("qty", number(option::units(item.stock()))),
        ("price", number(view::price(&item, Market::Supply))),
        ("date", Tree::text(change.at.korean_text())),
        ("seller", Tree::text(seller_id(&item))),
    ]))
}
