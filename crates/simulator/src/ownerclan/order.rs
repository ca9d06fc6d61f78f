//! Orders that were placed: looked up, cancelled, annotated.

use std::time::Duration;

use jebi_domain::Wholesaler;
use serde_json::Value;

use super::graphql::Field;
use super::item::{number_of, shipping_type, write_attribute};
use super::page::{Page, write_object};
use super::placing;
use super::root::{Ask, Failure, required};
use crate::json::Json;
use crate::ledger::{Dispatch, PlacedLine, PlacedOrder, Progress};
use crate::time::Time;
use crate::world::World;

const OWNERCLAN: Wholesaler = Wholesaler::Ownerclan;
/// Where the caller names no beginning.
const DEFAULT_RANGE: Duration = Duration::from_hours(90 * 24);

fn found(Ask { world, account, field }: Ask<'_>) -> Result<PlacedOrder, Failure> {
    let key = required(field, "key")?;
    let order = world.ledger.find(OWNERCLAN, account, key);
    order.ok_or_else(|| "해당 주문을 찾을 수 없습니다.".to_owned())
}

pub(super) fn one(ask: Ask<'_>, json: &mut Json) -> Result<(), Failure> {
    let order = found(ask)?;
    write(ask.world, &order, &ask.field.fields, json);
    Ok(())
}

pub(super) fn all(ask: Ask<'_>, json: &mut Json) -> Result<(), Failure> {
    let Ask { world, account, field } = ask;
    let time = |name| field.number(name).map(Time::from_unix_ms);
    let from = time("dateFrom").unwrap_or_else(|| world.now - DEFAULT_RANGE);
    let to = time("dateTo").unwrap_or(world.now);
    let shipped = (time("shippedAfter"), time("shippedBefore"));
    let is_wanted = |order: &PlacedOrder| {
        let given = |name, value: &Option<String>| {
            field.text(name).is_none_or(|wanted| value.as_deref() == Some(wanted))
        };
        let progress = order.progress(world.settings, world.now);
        let dispatched = dispatch(progress).map(|dispatch| dispatch.at);
        (from..=to).contains(&order.at)
            && given("note", &order.reference)
            && given("sellerNote", &order.second_reference)
            && field.text("status").is_none_or(|status| status_of(progress) == status)
            && shipped.0.is_none_or(|after| dispatched.is_some_and(|at| at >= after))
            && shipped.1.is_none_or(|before| dispatched.is_some_and(|at| at <= before))
    };
    let orders = world.ledger.list(OWNERCLAN, account, is_wanted);
    let page = Page::of_list(orders, "order", field)?;
    page.write(field, json, |order, fields, json| write(world, order, fields, json));
    Ok(())
}

pub(super) fn cancel(ask: Ask<'_>, json: &mut Json) -> Result<(), Failure> {
    end(ask, json, Progress::Paid)
}

/// What the vendor has to agree to is agreed to at once.
pub(super) fn request_cancellation(ask: Ask<'_>, json: &mut Json) -> Result<(), Failure> {
    let input = ask.field.argument("input");
    let reason = input.and_then(|input| input.get("cancelReason")).and_then(Value::as_str);
    if reason.is_none_or(str::is_empty) {
        return Err("취소 사유를 입력해 주세요.".to_owned());
    }
    end(ask, json, Progress::Preparing)
}

/// Cancels an order that is just so far.
fn end(ask: Ask<'_>, json: &mut Json, only: Progress) -> Result<(), Failure> {
    let Ask { world, account, .. } = ask;
    let order = found(ask)?;
    if order.progress(world.settings, world.now) != only {
        return Err("취소할 수 없는 주문 상태입니다.".to_owned());
    }
    world.ledger.cancel(OWNERCLAN, account, &order.key, world.now);
    one(ask, json)
}

pub(super) fn update_notes(ask: Ask<'_>, json: &mut Json) -> Result<(), Failure> {
    let Ask { world, account, field } = ask;
    let order = found(ask)?;
    let given = |name| {
        let value = field.argument("input").and_then(|input| input.get(name));
        value.and_then(Value::as_str).map(str::to_owned)
    };
    world.ledger.amend(OWNERCLAN, account, &order.key, |order| {
        order.reference = given("note").or(order.reference.take());
        order.second_reference = given("sellerNotes").or(order.second_reference.take());
    });
    one(ask, json)
}

fn status_of(progress: Progress) -> &'static str {
    match progress {
        Progress::Paid => "paid",
        Progress::Preparing => "preparing",
        Progress::Shipped(_) | Progress::Delivered(_) => "shipped",
        Progress::Cancelled => "cancelled",
    }
}

fn dispatch(progress: Progress) -> Option<Dispatch> {
    match progress {
        Progress::Shipped(dispatch) | Progress::Delivered(dispatch) => Some(dispatch),
        Progress::Paid | Progress::Preparing | Progress::Cancelled => None,
    }
}

pub(super) fn write(world: World<'_>, order: &PlacedOrder, fields: &[Field], json: &mut Json) {
    let progress = order.progress(world.settings, world.now);
    let updated_at = order.updated_at(world.settings, world.now).unix_ms();
    let input = placing::read(&order.received).ok();
    write_object(fields, json, |field, json| match field.name.as_str() {
        "key" | "id" => json.text(&order.key),
        "status" => json.text(status_of(progress)),
        "createdAt" => json.number(order.at.unix_ms()),
        "updatedAt" => json.number(updated_at),
        "note" => json.text(order.reference.as_deref().unwrap_or_default()),
        "sellerNote" => json.text(order.second_reference.as_deref().unwrap_or_default()),
        "ordererNote" => {
            let note = input.as_ref().and_then(|input| input.orderer_note.as_deref());
            json.text(note.unwrap_or_default());
        }
        "isBeingMediated" => json.boolean(false),
        "products" => json.list((1..).zip(&order.lines), |(place, line), json| {
            write_line(world, place, line, dispatch(progress), &field.fields, json);
        }),
        "shippingInfo" => match &input {
            Some(input) => write_shipping(order, input, &field.fields, json),
            None => json.null(),
        },
        "transactions" => json.list([order], |order, json| {
            write_transaction(order, updated_at, &field.fields, json);
        }),
        _ => json.raw("[]"),
    });
}

fn write_line(
    world: World<'_>,
    place: i64,
    line: &PlacedLine,
    dispatch: Option<Dispatch>,
    fields: &[Field],
    json: &mut Json,
) {
    let number = number_of(&line.item).unwrap_or(u64::MAX);
    let item = || world.catalogue.item(number, world.now);
    write_object(fields, json, |field, json| match field.name.as_str() {
        "key" => json.text(&place.to_string()),
        "quantity" => json.number(line.quantity.into()),
        "price" => json.number(line.price),
        "shippingType" => match item() {
            Some(item) => json.text(shipping_type(item.shipping_type())),
            None => json.null(),
        },
        "itemKey" => json.text(&line.item),
        "productName" => json.text(&line.name),
        "itemOptionInfo" => {
            write_object(&field.fields, json, |field, json| match field.name.as_str() {
                "price" => json.number(line.price),
                _ => json.list(&line.attributes, |(name, value), json| {
                    write_attribute(name, value, &field.fields, json);
                }),
            });
        }
        "trackingNumber" => {
            json.maybe_text(dispatch.map(Dispatch::tracking_text).as_deref());
        }
        "shippingCompanyCode" => json.maybe_text(dispatch.map(|dispatch| dispatch.courier.code)),
        "shippingCompanyName" => json.maybe_text(dispatch.map(|dispatch| dispatch.courier.name)),
        "shippedDate" => json.maybe_number(dispatch.map(|dispatch| dispatch.at.unix_ms())),
        "additionalAttributes" => json.raw("[]"),
        "taxFree" => json.boolean(item().is_some_and(|item| item.trait_of(2, 50))),
        _ => json.text(""),
    });
}

fn write_shipping(order: &PlacedOrder, input: &placing::Input, fields: &[Field], json: &mut Json) {
    let (sender, recipient) = (input.sender.as_ref(), &input.recipient);
    let address = &recipient.destination_address;
    write_object(fields, json, |field, json| match field.name.as_str() {
        "shippingFee" => json.number(order.shipping_fee),
        "sender" => {
            let fallback =
                placing::Sender { name: "오너클랜".to_owned(), ..Default::default() };
            let sender = sender.unwrap_or(&fallback);
            write_object(&field.fields, json, |field, json| match field.name.as_str() {
                "name" => json.text(&sender.name),
                "phoneNumber" => json.text(&sender.phone_number),
                _ => json.text(&sender.email),
            });
        }
        _ => write_object(&field.fields, json, |field, json| match field.name.as_str() {
            "name" => json.text(&recipient.name),
            "phoneNumber" => json.text(&recipient.phone_number),
            _ => write_object(&field.fields, json, |field, json| match field.name.as_str() {
                "addr1" => json.text(&address.addr1),
                "addr2" => json.maybe_text(address.addr2.as_deref()),
                _ => json.maybe_text(address.postal_code.as_deref()),
            }),
        }),
    });
}

fn write_transaction(order: &PlacedOrder, updated_at: i64, fields: &[Field], json: &mut Json) {
    write_object(fields, json, |field, json| match field.name.as_str() {
        "key" => json.text(&format!("T{}", order.key)),
        "id" => json.number(1),
        "kind" => json.text("payment"),
        "status" => json.text("closed"),
        "amount" => write_object(&field.fields, json, |field, json| match field.name.as_str() {
            "currency" => json.text("KRW"),
            _ => json.number(order.total()),
        }),
        "createdAt" => json.number(order.at.unix_ms()),
        "updatedAt" => json.number(updated_at),
        "closedAt" => json.maybe_number(order.cancelled_at.map(Time::unix_ms)),
        _ => json.text(""),
    });
}
