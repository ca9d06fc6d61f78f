//! Orders that are placed: a form with a field for each product.

use std::collections::BTreeMap;

use jebi_domain::Wholesaler;
use serde_json::Value;

use super::tree::Tree;
use super::view::{self, Market};
use super::{Call, Failure, option, session};
use crate::catalogue::{Availability, Item, Stock};
use crate::ledger::{NotPlaced, PlacedLine, PlacedOrder};
use crate::log::shown;
use crate::world::World;

const FAILED: Failure = Failure::new("ORDER_ERROR", "주문에 실패했습니다.");
const TOO_POOR: Failure = FAILED.because("TOO_LESS_EMONEY_ERROR", "이머니가 부족합니다.");
const OWN_ITEM: Failure = FAILED.because("SELF_ORDER", "본인의 상품은 주문할 수 없습니다.");
const NO_ITEM: Failure = FAILED.because("ITEM_ERROR", "판매 중인 상품이 아닙니다.");
const NO_OPTION: Failure = FAILED.because("OPTION_ERROR", "옵션이 올바르지 않습니다.");
const NO_QUANTITY: Failure = FAILED.because("QTY_ERROR", "수량이 올바르지 않습니다.");
const NO_ADDRESS: Failure = FAILED.because("DELIINFO_ERROR", "배송지 정보가 올바르지 않습니다.");
const FULL: Failure = FAILED.because("SYSTEM_ERROR", "주문을 더 이상 받을 수 없습니다.");

/// Fields of an address.
const ADDRESS_FIELDS: usize = 9;

/// The products of one field.
struct Wanted<'a> {
    item: Item<'a>,
    lines: Vec<PlacedLine>,
    fee: i64,
}

pub(super) fn place(world: World<'_>, call: &Call) -> Result<Tree, Failure> {
    session::required(world, call)?;
    if !call.is_post {
        return Err(FAILED);
    }
    let address = call.text("deliinfo");
    let address: Vec<&str> = address.split('|').collect();
    let is_given = |place: usize| address.get(place).is_some_and(|text| !text.trim().is_empty());
    // Name, first line of the address, and a mobile number.
    if address.len() > ADDRESS_FIELDS || ![0, 3, 5].into_iter().all(is_given) {
        return Err(NO_ADDRESS);
    }
    let mut wanted = Vec::new();
    let names: Vec<&String> = call.parameters.iter().map(|(name, _)| name).collect();
    for name in names {
        let number = name.strip_prefix("item[").and_then(|rest| rest.strip_suffix(']'));
        if let Some(number) = number {
            wanted.push(read(world, call, number, &call.text(name))?);
        }
    }
    if wanted.is_empty() {
        return Err(NO_ITEM);
    }
    let received = received(call);
    let drafts = |first: u64| {
        let orders = (first..).zip(&wanted);
        orders
            .map(|(number, wanted)| PlacedOrder {
                number,
                request: 0,
                wholesaler: Wholesaler::Domeggook,
                account: call.key(),
                key: (20_000_000 + number).to_string(),
                reference: None,
                second_reference: None,
                at: world.now,
                lines: wanted.lines.clone(),
                shipping_fee: wanted.fee,
                received: received.clone(),
                cancelled_at: None,
            })
            .collect()
    };
    let orders = world.ledger.place(world.settings, &drafts).map_err(|why| match why {
        NotPlaced::TooPoor => TOO_POOR,
        NotPlaced::Full => FULL,
    })?;
    let told = orders.iter().zip(&wanted).map(|(order, wanted)| {
        Tree::Object(vec![
            ("orderNo", Tree::text(order.key.clone())),
            ("itemNo", Tree::text(view::number_text(wanted.item.number()))),
            ("getName", Tree::text(address[0])),
        ])
    });
    let told = Tree::Many(told.collect());
    Ok(Tree::Object(vec![("result", Tree::text("SUCCESS")), ("order", told)]))
}

/// All fields of the form, as they were received; the session masked.
fn received(call: &Call) -> Value {
    let fields: BTreeMap<String, String> = call
        .parameters
        .iter()
        .map(|(name, _)| {
            (name.clone(), if name == "sId" { shown(name, "") } else { call.text(name) })
        })
        .collect();
    serde_json::to_value(fields).unwrap_or_default()
}

/// Reads `market||payer||code|quantity|code|quantity||memo||request`.
fn read<'a>(
    world: World<'a>,
    call: &Call,
    number: &str,
    text: &str,
) -> Result<Wanted<'a>, Failure> {
    let item = view::known(world, number).ok_or(NO_ITEM)?;
    let parts: Vec<&str> = text.split("||").collect();
    let (Some(market), Some(payer), Some(choices)) = (parts.first(), parts.get(1), parts.get(2))
    else {
        return Err(FAILED);
    };
    let market = Market::of(market).filter(|market| market.sells(&item)).ok_or(NO_ITEM)?;
    if item.availability() != Availability::OnSale {
        return Err(NO_ITEM);
    }
    if view::seller_id(&item) == call.word("id") {
        return Err(OWN_ITEM);
    }
    if !["S", "B", "P"].contains(payer) {
        return Err(FAILED);
    }
    let choices: Vec<&str> = choices.split('|').collect();
    let lines: Result<Vec<PlacedLine>, Failure> =
        choices.chunks(2).map(|pair| line(&item, market, pair)).collect();
    let lines = lines?;
    let total: u64 = lines.iter().map(|line| u64::from(line.quantity)).sum();
    if !total.is_multiple_of(view::least(&item, market)) {
        return Err(NO_QUANTITY);
    }
    let fee = if *payer == "P" { item.shipping_fee() } else { 0 };
    Ok(Wanted { item, lines, fee })
}

fn line(item: &Item<'_>, market: Market, pair: &[&str]) -> Result<PlacedLine, Failure> {
    let [code, quantity] = pair else { return Err(NO_OPTION) };
    let choice = option::chosen(item, code).ok_or(NO_OPTION)?;
    let quantity: u32 = quantity.parse().map_err(|_| NO_QUANTITY)?;
    let is_there = match choice.stock {
        Stock::Units(units) => quantity <= units,
        Stock::Untracked => true,
    };
    if quantity == 0 || !is_there {
        return Err(NO_QUANTITY);
    }
    let attributes =
        choice.attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    Ok(PlacedLine {
        item: view::number_text(item.number()),
        name: item.name(),
        attributes: attributes.collect(),
        quantity,
        price: view::price(item, market).saturating_add(choice.surcharge),
    })
}
