//! Orders that are placed: one request becomes one order for each vendor and way of shipping.

use std::collections::BTreeMap;

use jebi_domain::Wholesaler;
use serde::Deserialize;
use serde_json::Value;

use super::graphql::Field;
use super::item::{self, key_of};
use super::order;
use super::page::write_object;
use super::root::{Ask, Failure};
use crate::catalogue::{Availability, Choice, Item, ShippingType, Stock};
use crate::json::Json;
use crate::ledger::{NotPlaced, PlacedLine, PlacedOrder};
use crate::world::World;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Input {
    pub(super) sender: Option<Sender>,
    pub(super) recipient: Recipient,
    products: Vec<Product>,
    note: Option<String>,
    seller_note: Option<String>,
    pub(super) orderer_note: Option<String>,
    #[serde(rename = "customsClearanceCode")]
    _customs_clearance_code: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Sender {
    pub(super) name: String,
    pub(super) phone_number: String,
    #[serde(default)]
    pub(super) email: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Recipient {
    pub(super) name: String,
    pub(super) phone_number: String,
    pub(super) destination_address: Address,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Address {
    pub(super) addr1: String,
    #[serde(default)]
    pub(super) addr2: Option<String>,
    #[serde(default)]
    pub(super) postal_code: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Product {
    quantity: u32,
    item_key: String,
    #[serde(default)]
    option_attributes: Vec<String>,
}

/// A product of an order with what is known of it.
struct Wanted<'a> {
    item: Item<'a>,
    choice: Choice,
    quantity: u32,
}

impl Wanted<'_> {
    fn price(&self) -> i64 {
        self.item.price().saturating_add(self.choice.surcharge)
    }

    fn amount(&self) -> i64 {
        self.price().saturating_mul(i64::from(self.quantity))
    }

    /// One fee, or one for each box that is begun.
    fn fee(&self) -> i64 {
        let boxes = match self.item.box_quantity() {
            0 => 1,
            size => self.quantity.div_ceil(size),
        };
        self.item.shipping_fee().saturating_mul(i64::from(boxes))
    }
}

/// What travels together.
type Shipments<'a> = BTreeMap<(u64, ShippingType), Vec<Wanted<'a>>>;

/// The highest fee of the things that travel together.
fn fee(shipment: &[Wanted<'_>]) -> i64 {
    shipment.iter().map(Wanted::fee).max().unwrap_or(0)
}

pub(super) fn read(input: &Value) -> Result<Input, Failure> {
    serde_json::from_value(input.clone())
        .map_err(|error| format!("Variable \"$input\" got invalid value: {error}"))
}

fn shipments<'a>(world: World<'a>, input: &Input) -> Result<Shipments<'a>, Failure> {
    let recipient = &input.recipient;
    let must = [
        (&recipient.name, "받는 사람 이름을 입력해 주세요."),
        (&recipient.phone_number, "받는 사람 연락처를 입력해 주세요."),
        (&recipient.destination_address.addr1, "받는 사람 주소를 입력해 주세요."),
    ];
    if let Some((_, message)) = must.into_iter().find(|(text, _)| text.trim().is_empty()) {
        return Err(message.to_owned());
    }
    if input.products.is_empty() {
        return Err("주문할 상품이 없습니다.".to_owned());
    }
    let mut shipments = Shipments::new();
    for product in &input.products {
        let wanted = wanted(world, product)?;
        let way = (wanted.item.vendor(), wanted.item.shipping_type());
        shipments.entry(way).or_default().push(wanted);
    }
    Ok(shipments)
}

fn wanted<'a>(world: World<'a>, product: &Product) -> Result<Wanted<'a>, Failure> {
    let key = &product.item_key;
    let item = item::shown(world, key);
    let item = item.ok_or_else(|| format!("해당 상품을 찾을 수 없습니다. ({key})"))?;
    if item.availability() != Availability::OnSale {
        return Err(format!("판매 중인 상품이 아닙니다. ({key})"));
    }
    let is_chosen = |choice: &Choice| {
        let has = |(_, value): &(&str, String)| product.option_attributes.contains(value);
        choice.attributes.len() == product.option_attributes.len()
            && choice.attributes.iter().all(has)
    };
    let choice = item.choices().find(is_chosen);
    let choice = choice.ok_or_else(|| format!("옵션이 올바르지 않습니다. ({key})"))?;
    match choice.stock {
        _ if product.quantity == 0 => Err(format!("수량이 올바르지 않습니다. ({key})")),
        Stock::Units(units) if units < product.quantity => {
            Err(format!("재고가 부족합니다. ({key})"))
        }
        Stock::Units(_) | Stock::Untracked => {
            Ok(Wanted { item, choice, quantity: product.quantity })
        }
    }
}

fn input_of(field: &Field) -> Result<&Value, Failure> {
    field.argument("input").ok_or_else(|| "Argument \"input\" is required.".to_owned())
}

pub(super) fn simulate(world: World<'_>, field: &Field, json: &mut Json) -> Result<(), Failure> {
    let input = read(input_of(field)?)?;
    let shipments = shipments(world, &input)?;
    let postal_code = input.recipient.destination_address.postal_code.as_deref();
    // Those of the islands of Jeju.
    let costs_extra = postal_code.is_some_and(|code| code.starts_with("63"));
    json.list(shipments.values(), |shipment, json| {
        write_object(&field.fields, json, |part, json| match part.name.as_str() {
            "shippingAmount" => json.number(fee(shipment)),
            "extraShippingFeeExists" => json.boolean(costs_extra),
            _ => json.list(shipment, |wanted, json| {
                write_object(&part.fields, json, |part, json| match part.name.as_str() {
                    "amount" => json.number(wanted.amount()),
                    _ => json.text(&key_of(wanted.item.number())),
                });
            }),
        });
    });
    Ok(())
}

pub(super) fn create(ask: Ask<'_>, json: &mut Json) -> Result<(), Failure> {
    let Ask { world, account, field } = ask;
    let received = input_of(field)?;
    let input = read(received)?;
    let shipments = shipments(world, &input)?;
    let drafts = |first: u64| {
        let orders = (first..).zip(shipments.values());
        orders
            .map(|(number, shipment)| PlacedOrder {
                number,
                request: 0,
                wholesaler: Wholesaler::Ownerclan,
                account: account.to_owned(),
                key: format!("O{number:09}"),
                reference: input.note.clone(),
                second_reference: input.seller_note.clone(),
                at: world.now,
                lines: shipment.iter().map(line).collect(),
                shipping_fee: fee(shipment),
                received: received.clone(),
                cancelled_at: None,
            })
            .collect()
    };
    let orders = world.ledger.place(world.settings, &drafts).map_err(|why| match why {
        NotPlaced::TooPoor => "적립금이 부족합니다.".to_owned(),
        NotPlaced::Full => "주문을 더 이상 받을 수 없습니다.".to_owned(),
    })?;
    json.list(&orders, |placed, json| order::write(world, placed, &field.fields, json));
    Ok(())
}

fn line(wanted: &Wanted<'_>) -> PlacedLine {
    let attribute = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
    PlacedLine {
        item: key_of(wanted.item.number()),
        name: wanted.item.name(),
        attributes: wanted.choice.attributes.iter().map(attribute).collect(),
        quantity: wanted.quantity,
        price: wanted.price(),
    }
}
