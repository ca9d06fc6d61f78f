//! Orders that were placed: listed, shown, and called off.

use std::time::Duration;

use jebi_domain::Wholesaler;

use super::feed::day_of;
use super::tree::Tree;
use super::{Call, Failure, NOT_FOUND, session};
use crate::ledger::{PlacedLine, PlacedOrder, Progress};
use crate::world::World;

const DOMEGGOOK: Wholesaler = Wholesaler::Domeggook;
const DEFAULT_PAGE: u64 = 20;
const LARGEST_PAGE: u64 = 200;
/// Where the caller names no day.
const DEFAULT_DAYS: u64 = 30;

const TOO_LATE: Failure = Failure::new("ORDER_DENY_ERROR", "취소할 수 없는 주문입니다.");

pub(super) fn list(world: World<'_>, call: &Call) -> Result<Tree, Failure> {
    session::required(world, call)?;
    let day = call.word("day");
    let on = (day.len() == 8).then(|| day_of(&day)).flatten();
    let days = call.parameters.number("day").filter(|_| on.is_none()).unwrap_or(DEFAULT_DAYS);
    let since = world.now - Duration::from_hours(24).saturating_mul(days.min(3_650) as u32);
    let state = call.word("st");
    let is_wanted = |order: &PlacedOrder| {
        on.map_or(order.at >= since, |day| order.at.korean_day() == day)
            && (state.is_empty() || state == mode(order.progress(world.settings, world.now)).1)
    };
    let orders = world.ledger.list(DOMEGGOOK, &call.key(), is_wanted);
    let size = call.parameters.number("ic").filter(|size| *size > 0).unwrap_or(DEFAULT_PAGE);
    let size = size.min(LARGEST_PAGE);
    let page = call.parameters.number("pg").unwrap_or(1).max(1);
    let skipped = usize::try_from((page - 1).saturating_mul(size)).unwrap_or(usize::MAX);
    let count = usize::try_from(size).unwrap_or(usize::MAX);
    let shown = orders.iter().skip(skipped).take(count);
    let items = shown.map(|order| entry(world, order)).collect();
    let total = orders.len() as u64;
    let number = |value: u64| Tree::Number(i64::try_from(value).unwrap_or(i64::MAX));
    let header = Tree::Object(vec![
        ("numberOfItems", number(total)),
        ("numberOfPages", number(total.div_ceil(size))),
        ("currentPage", number(page)),
    ]);
    Ok(Tree::Object(vec![("header", header), ("items", Tree::List(items))]))
}

/// What an order's state is called, for people and for programs.
fn mode(progress: Progress) -> (&'static str, &'static str) {
    match progress {
        Progress::Paid | Progress::Preparing => ("배송준비중", "WAITDELI"),
        Progress::Shipped(_) => ("배송중", "WAITRCPT"),
        Progress::Delivered(_) => ("구매완료", "DONE"),
        Progress::Cancelled => ("구매취소", "DENYBUY"),
    }
}

/// A field of the address that was given with an order.
fn address(order: &PlacedOrder, place: usize) -> String {
    let given = order.received.get("deliinfo").and_then(serde_json::Value::as_str);
    given.unwrap_or_default().split('|').nth(place).unwrap_or_default().to_owned()
}

fn entry(world: World<'_>, order: &PlacedOrder) -> Tree {
    let (status, mode) = mode(order.progress(world.settings, world.now));
    let first = order.lines.first();
    let quantity: i64 = order.lines.iter().map(|line| i64::from(line.quantity)).sum();
    Tree::Object(vec![
        ("orderNo", Tree::text(order.key.clone())),
        ("itemNo", Tree::text(first.map(|line| line.item.clone()).unwrap_or_default())),
        ("title", Tree::text(first.map(|line| line.name.clone()).unwrap_or_default())),
        ("qty", Tree::text(quantity.to_string())),
        ("price", Tree::text(order.total().to_string())),
        ("date", Tree::text(order.at.korean_text())),
        ("status", Tree::text(status)),
        ("statusMode", Tree::text(mode)),
        ("getName", Tree::text(address(order, 0))),
    ])
}

fn found(world: World<'_>, call: &Call) -> Result<PlacedOrder, Failure> {
    session::required(world, call)?;
    world.ledger.find(DOMEGGOOK, &call.key(), &call.word("no")).ok_or(NOT_FOUND)
}

pub(super) fn view(world: World<'_>, call: &Call) -> Result<Tree, Failure> {
    let order = found(world, call)?;
    let progress = order.progress(world.settings, world.now);
    let (company, name, code) = match progress {
        Progress::Shipped(dispatch) | Progress::Delivered(dispatch) => {
            (dispatch.courier.code, dispatch.courier.name, dispatch.tracking_text())
        }
        Progress::Paid | Progress::Preparing | Progress::Cancelled => ("", "", String::new()),
    };
    let delivery = Tree::Object(vec![
        ("company", Tree::text(company)),
        ("companyName", Tree::text(name)),
        ("code", Tree::text(code)),
    ]);
    let (status, mode) = mode(progress);
    let consumer = Tree::Object(vec![
        ("name", Tree::text(address(&order, 0))),
        ("zipcode", Tree::text(address(&order, 2))),
        ("addr1", Tree::text(address(&order, 3))),
        ("addr2", Tree::text(address(&order, 4))),
        ("mobile", Tree::text(address(&order, 5))),
    ]);
    let pay = Tree::Object(vec![
        ("total", Tree::text(order.total().to_string())),
        ("deli", Tree::text(order.shipping_fee.to_string())),
    ]);
    let options = Tree::List(order.lines.iter().map(line).collect());
    let item = Tree::Object(vec![
        ("orderNo", Tree::text(order.key.clone())),
        ("status", Tree::text(status)),
        ("statusMode", Tree::text(mode)),
        ("delivery", delivery),
        ("selectOpt", Tree::Object(vec![("opt", options)])),
        ("pay", pay),
        ("consumer", consumer),
        ("log", Tree::text("")),
    ]);
    Ok(Tree::Object(vec![("items", Tree::List(vec![item]))]))
}

fn line(line: &PlacedLine) -> Tree {
    let values: Vec<&str> = line.attributes.iter().map(|(_, value)| value.as_str()).collect();
    Tree::Object(vec![
        ("name", Tree::text(values.join(" / "))),
        ("qty", Tree::text(line.quantity.to_string())),
        ("price", Tree::text(line.price.to_string())),
    ])
}

pub(super) fn deny(world: World<'_>, call: &Call) -> Result<Tree, Failure> {
    let order = found(world, call)?;
    let progress = order.progress(world.settings, world.now);
    if !call.is_post || !matches!(progress, Progress::Paid | Progress::Preparing) {
        return Err(TOO_LATE);
    }
    world.ledger.cancel(DOMEGGOOK, &call.key(), &order.key, world.now);
    Ok(Tree::Object(vec![("result", Tree::text("complete"))]))
}

/// Nothing ever comes back.
pub(super) fn returns(world: World<'_>, call: &Call) -> Result<Tree, Failure> {
    session::required(world, call)?;
    let header = Tree::Object(vec![("numberOfItems", Tree::Number(0))]);
    Ok(Tree::Object(vec![("header", header), ("items", Tree::List(Vec::new()))]))
}
