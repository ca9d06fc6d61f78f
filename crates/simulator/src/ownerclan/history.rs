//! The change feed: events of at most seven days at a time, at most three months back.

use std::time::Duration;

use super::graphql::Field;
use super::item::{key_of, number_of};
use super::page::{self, Page, write_object};
use super::root::Failure;
use crate::catalogue::{Availability, Change, Item, Stock, What};
use crate::json::Json;
use crate::random::mix;
use crate::time::Time;
use crate::world::World;

const LONGEST: Duration = Duration::from_hours(7 * 24);
/// So old a beginning is refused.
const TOO_OLD: Duration = Duration::from_hours(92 * 24);

/// An event as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Event {
    key: String,
    kind: &'static str,
    title: String,
    before: String,
    after: String,
    at: Time,
}

pub(super) fn page(world: World<'_>, field: &Field, json: &mut Json) -> Result<(), Failure> {
    page_of(world, field)?.write(field, json, |event, fields, json| {
        write_object(fields, json, |field, json| match field.name.as_str() {
            "itemKey" => json.text(&event.key),
            "kind" => json.text(event.kind),
            "title" => json.text(&event.title),
            "valueBefore" => json.text(&event.before),
            "valueAfter" => json.text(&event.after),
            _ => json.number(event.at.unix_ms()),
        });
    });
    Ok(())
}

fn page_of(world: World<'_>, field: &Field) -> Result<Page<Event>, Failure> {
    let item_key = field.text("itemKey");
    let (from, to) = range(world, field)?;
    let after = field.text("after").map(read_cursor).transpose()?;
    let size = page::first(world, field)?;
    let start = after.map_or(from, |(at, ..)| at.max(from));
    let number = item_key.map(|key| number_of(key).unwrap_or(u64::MAX));
    let is_wanted = |change: &Change| {
        after.is_none_or(|after| (change.at, change.what, change.ordinal) > after)
            && number.is_none_or(|number| change.number == number)
    };
    let changes = world.catalogue.changes(start, to).filter(is_wanted);
    let events = changes.filter_map(|change| {
        let event = event_of(world, &change)?;
        let is_of_kind = field.text("kind").is_none_or(|kind| kind == event.kind);
        is_of_kind.then(|| (write_cursor(&change), event))
    });
    let shift = usize::try_from(world.distortion.shift.unsigned_abs()).unwrap_or(usize::MAX);
    let mut events = events.skip(if world.distortion.shift > 0 { shift } else { 0 });
    let mut edges: Vec<(String, Event)> = events.by_ref().take(size).collect();
    let mut has_next = events.next().is_some();
    let mut end = None;
    if let Some(first) = repeated(world, &edges, size) {
        // The page is not larger for it: where it is full, its last event comes with the next one.
        if edges.len() == size {
            edges.pop();
            has_next = true;
        }
        end = edges.last().map(|(cursor, _)| cursor.clone());
        edges.push(first);
    }
    let stuck = world.distortion.is_stuck;
    if stuck {
        end = field.text("after").map(str::to_owned).or_else(|| Some(edges.first()?.0.clone()));
    }
    Ok(Page {
        edges,
        has_next: world.distortion.lie.map_or(has_next || stuck, |by| by > 0),
        has_previous: after.is_some(),
        end,
    })
}

fn range(world: World<'_>, field: &Field) -> Result<(Time, Time), Failure> {
    let now = world.now;
    let time = |name| field.number(name).map(Time::from_unix_ms);
    let to = time("dateTo").unwrap_or(now);
    let from = time("dateFrom").unwrap_or_else(|| to.min(now) - LONGEST);
    if now.since(from) >= TOO_OLD {
        return Err("변경 이력은 최대 3개월 전까지만 조회할 수 있습니다.".to_owned());
    }
    if from > to {
        return Err("dateFrom은 dateTo보다 이전이어야 합니다.".to_owned());
    }
    if field.text("itemKey").is_none() && to.since(from) > LONGEST {
        return Err("변경 이력은 최대 7일 범위까지만 조회할 수 있습니다.".to_owned());
    }
    // Nothing is told before it has happened.
    Ok((from, to.min(now)))
}

/// The first event once more, on every other page.
fn repeated(world: World<'_>, edges: &[(String, Event)], size: usize) -> Option<(String, Event)> {
    let (cursor, event) = edges.first()?;
    let chance = mix(world.settings.seed, &[event.at.unix_ms().unsigned_abs()]);
    let is_repeated = world.settings.quirks.repeated_events
        && edges.len() > 1
        && size > 2
        && chance.is_multiple_of(2);
    is_repeated.then(|| (cursor.clone(), event.clone()))
}

fn write_cursor(change: &Change) -> String {
    let what = match change.what {
        What::Price => 0,
        What::Stock => 1,
        What::Gone => 2,
        What::Back => 3,
        What::Added => 4,
    };
    page::cursor("hist", format!("{}-{what}-{}", change.at.unix_ms(), change.ordinal))
}

fn read_cursor(cursor: &str) -> Result<(Time, What, u64), Failure> {
    let text = page::opened(cursor, "hist")?;
    let mut parts = text.split('-').map(str::parse::<i64>);
    let parts = (parts.next(), parts.next(), parts.next());
    let (Some(Ok(at)), Some(Ok(what)), Some(Ok(ordinal))) = parts else {
        return Err(format!("Invalid cursor: {cursor}"));
    };
    let what = match what {
        0 => What::Price,
        1 => What::Stock,
        2 => What::Gone,
        3 => What::Back,
        _ => What::Added,
    };
    Ok((Time::from_unix_ms(at), what, ordinal.unsigned_abs()))
}

/// None for what is not told: there is no kind for new items.
fn event_of(world: World<'_>, change: &Change) -> Option<Event> {
    let item = world.catalogue.item(change.number, change.at)?;
    let (kind, title, before, after) = match change.what {
        What::Price => price_event(&item, change),
        What::Stock => stock_event(&item, change),
        What::Gone if item.availability() == Availability::SoldOut => {
            ("soldout", "품절".to_owned(), String::new(), String::new())
        }
        What::Gone => ("discontinued", "단종".to_owned(), String::new(), String::new()),
        What::Back => ("restocked", "재입고".to_owned(), String::new(), String::new()),
        What::Added => return None,
    };
    Some(Event { key: key_of(change.number), kind, title, before, after, at: change.at })
}

type Told = (&'static str, String, String, String);

fn price_event(item: &Item<'_>, change: &Change) -> Told {
    let (before, after) = item.prices_at(change);
    let (kind, title) = if after > before {
        ("priceIncreased", "가격 인상")
    } else {
        ("priceDecreased", "가격 인하")
    };
    (kind, title.to_owned(), before.to_string(), after.to_string())
}

fn stock_event(item: &Item<'_>, change: &Change) -> Told {
    let (place, before, after) = item.stock_at(change);
    let units = |stock| match stock {
        Stock::Units(units) => units.to_string(),
        Stock::Untracked => "재고파악안함".to_owned(),
    };
    if item.choice_count() == 1 {
        return ("stockChanged", "재고 변경".to_owned(), units(before), units(after));
    }
    let place = usize::try_from(place).unwrap_or(usize::MAX);
    let label = item.choices().nth(place).map(|choice| choice.label()).unwrap_or_default();
    let nothing = String::new;
    if after == Stock::Units(0) {
        return ("optionSoldout", format!("옵션 품절: {label}"), nothing(), nothing());
    }
    if before == Stock::Units(0) {
        return ("optionRestocked", format!("옵션 재입고: {label}"), nothing(), nothing());
    }
    ("optionStockChanged", format!("옵션 재고 변경: {label}"), units(before), units(after))
}
