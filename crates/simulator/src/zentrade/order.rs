//! Orders: registered as on the web site, looked up by the shop's number or the seller's own.

use jebi_domain::Wholesaler;
use serde::{Deserialize, Serialize};

use super::product::{code_of, number_of, runout};
use super::{attribute, cdata, xml};
use crate::charset::Charset;
use crate::ledger::{PlacedLine, PlacedOrder, Progress};
use crate::request::Parameters;
use crate::response::{Body, SimResponse};
use crate::world::World;

/// An order as a seller enters it on the web site: there is no interface for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The member.
    pub account: String,
    /// The seller's own number, by which it is looked up.
    pub pordno: String,
    /// Who gets it.
    pub receiver: Receiver,
    /// What is ordered.
    pub items: Vec<RegisteredItem>,
}

/// Who gets an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// The name.
    pub name: String,
    /// A number of a fixed line.
    #[serde(default)]
    pub phone: String,
    /// A number of a mobile.
    pub mobile: String,
    /// All of the address.
    pub address: String,
}

/// An item of a registered order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisteredItem {
    /// The product's code.
    pub code: String,
    /// The name of the option; empty where there is none.
    #[serde(default)]
    pub option: String,
    /// How many.
    pub quantity: u32,
}

/// Registers an order: its number, or why not.
pub(crate) fn register(
    world: World<'_>,
    registration: &Registration,
) -> Result<PlacedOrder, String> {
    if registration.items.is_empty() {
        return Err("there is nothing in it".to_owned());
    }
    let lines: Result<Vec<PlacedLine>, String> =
        registration.items.iter().map(|item| line(world, item)).collect();
    let lines = lines?;
    let received = serde_json::to_value(registration).map_err(|error| error.to_string())?;
    let day = world.now.korean_date().replace('-', "");
    let draft = |number| {
        vec![PlacedOrder {
            number,
            request: 0,
            wholesaler: Wholesaler::Zentrade,
            account: registration.account.clone(),
            key: format!("{day}{:05}", number % 100_000),
            reference: Some(registration.pordno.clone()),
            second_reference: None,
            at: world.now,
            lines: lines.clone(),
            shipping_fee: 0,
            received: received.clone(),
            cancelled_at: None,
        }]
    };
    let placed = world.ledger.place(world.settings, &draft);
    let placed = placed.map_err(|why| format!("the order is refused: {why:?}"))?;
    placed.into_iter().next().ok_or_else(|| "nothing was placed".to_owned())
}

fn line(world: World<'_>, wanted: &RegisteredItem) -> Result<PlacedLine, String> {
    let (code, option) = (&wanted.code, &wanted.option);
    let item = number_of(code).and_then(|number| world.catalogue.item(number, world.now));
    let item = item.filter(|item| runout(item) == Some(false));
    let item = item.ok_or_else(|| format!("product {code} is not for sale"))?;
    let choice = item.choices().find(|choice| choice.label() == *option);
    let choice = choice.ok_or_else(|| format!("product {code} has no option \"{option}\""))?;
    if wanted.quantity == 0 {
        return Err(format!("none of product {code} is wanted"));
    }
    let attribute = |(name, value): &(&str, String)| ((*name).to_owned(), value.clone());
    Ok(PlacedLine {
        item: code_of(item.number()),
        name: item.name(),
        attributes: choice.attributes.iter().map(attribute).collect(),
        quantity: wanted.quantity,
        price: item.price().saturating_add(choice.surcharge),
    })
}

pub(super) fn find(world: World<'_>, account: &str, parameters: &Parameters) -> SimResponse {
    let number = parameters.word("ordno");
    let reference = parameters.text("pordno", Charset::EucKr).unwrap_or_default();
    let is_wanted = |order: &PlacedOrder| {
        (!number.is_empty() && order.key == number)
            || (!reference.is_empty() && order.reference.as_deref() == Some(reference.as_ref()))
    };
    let orders = world.ledger.list(Wholesaler::Zentrade, account, is_wanted);
    let mut text = "<?xml version=\"1.0\" encoding=\"euc-kr\"?>\n".to_owned();
    text.push_str("<zentrade version=\"ZENTRADE ORDER XML 1.0\" datetime=\"\">\n");
    orders.iter().for_each(|order| write(world, order, &mut text));
    text.push_str("</zentrade>\n");
    let is_mistake = number.is_empty() && reference.is_empty();
    let body = Body::Whole(Charset::EucKr.encode(&text));
    SimResponse { body, is_mistake, ..xml(world) }
}

fn write(world: World<'_>, order: &PlacedOrder, xml: &mut String) {
    let registration: Option<Registration> = serde_json::from_value(order.received.clone()).ok();
    let Some(Registration { receiver, pordno, .. }) = registration else { return };
    let (courier, tracking) = match order.progress(world.settings, world.now) {
        Progress::Shipped(dispatch) | Progress::Delivered(dispatch) => {
            (dispatch.courier.name, dispatch.tracking_text())
        }
        Progress::Paid | Progress::Preparing | Progress::Cancelled => ("", String::new()),
    };
    let (number, reference) = (&order.key, attribute(&pordno));
    let mut parts = vec![
        format!("    <ord_info ordno=\"{number}\" pordno=\"{reference}\">\n"),
        format!("    <ord_date>{}</ord_date>\n", order.at.korean_text()),
        format!("    <nameReceiver>{}</nameReceiver>\n", cdata(&receiver.name)),
        format!("    <phoneReceiver>{}</phoneReceiver>\n", cdata(&receiver.phone)),
        format!("    <mobileReceiver>{}</mobileReceiver>\n", cdata(&receiver.mobile)),
        format!("    <address>{}</address>\n", cdata(&receiver.address)),
    ];
    for (place, line) in (1..).zip(&order.lines) {
        let values: Vec<&str> = line.attributes.iter().map(|(_, value)| value.as_str()).collect();
        let option = if values.is_empty() { "기본".to_owned() } else { values.join(" / ") };
        let text = cdata(&format!("{} - {} / {option}", line.item, line.name));
        parts.push(format!("    <ord_item{place}>{text}</ord_item{place}>\n"));
    }
    parts.push(format!("    <deli_info delicom=\"{courier}\" delinum=\"{tracking}\" />\n"));
    parts.push(format!("    <zentrade_msg>{}</zentrade_msg>\n    </ord_info>\n", cdata(" ")));
    parts.iter().for_each(|part| xml.push_str(part));
}
