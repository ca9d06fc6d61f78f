//! An item becomes a product.

use chrono::{DateTime, Utc};
use jebi_domain::{Money, Text};
use serde::Deserialize;
use serde_json::Value;

use crate::wholesaler::fields::Fields;
use crate::wholesaler::key::Key;
use crate::wholesaler::number;
use crate::wholesaler::product::{
    Availability, Category, ProductOption, Reason, Rejected, Stock, WholesaleProduct,
};
use crate::wholesaler::text;

/// Stands for a stock that nobody counts.
const NOT_TRACKED: i64 = 9_999;

/// What is asked for of an item.
pub(super) const FIELDS: &str = "key name status price fixedPrice pricePolicy \
    options { key price quantity status optionAttributes { name value } } \
    shippingFee shippingType boxQuantity images(size: large) content \
    category { key name fullName } attributes metadata createdAt updatedAt model production origin \
    searchKeywords taxFree adultOnly returnable noReturnReason guaranteedShippingPeriod \
    openmarketSellable closingTime returnCriteria";

/// The product of an item that is written as JSON.
pub(super) fn read(json: &str) -> Result<WholesaleProduct, Rejected> {
    let key = key_of(json);
    let Some(key) = key else {
        return Err(Rejected { key: None, reason: Reason::Missing("key") });
    };
    let product = Fields::parse(json).and_then(|fields| product(key.clone(), fields));
    product.map_err(|reason| Rejected { key: Some(key), reason })
}

/// The key, also of what cannot be read besides.
pub(super) fn key_of(json: &str) -> Option<Key> {
    #[derive(Deserialize)]
    struct Named {
        key: Option<String>,
    }
    let named: Named = serde_json::from_str(json).ok()?;
    Key::new(&named.key?)
}

fn product(key: Key, mut fields: Fields) -> Result<WholesaleProduct, Reason> {
    fields.take("key");
    let name = fields.text("name")?;
    let price = fields.number("price")?;
    let price = price.map(|price| number::price(price, "price")).transpose()?;
    let availability = availability(&mut fields, "status")?;
    let options = options(&mut fields, price)?;
    let stock = stock(&options);
    let category = fields
        .within("category", |category| {
            let code = category.word("key")?;
            let (name, path) = (category.word("name")?, category.word("fullName")?);
            let both = code.zip(path.or(name));
            both.map(|(code, name)| Category::new(code, name)).transpose()
        })?
        .flatten();
    metadata(&mut fields);
    let images = images(&mut fields)?;
    let description = fields.word("content")?.map_or(Ok(None), text::description)?;
    let changed_at = moment(&mut fields, "updatedAt")?;
    // An item without anything to choose has one option that has no name.
    let options = options.into_iter().filter_map(|(option, _)| option).collect();
    let (tiers, raw) = (Vec::new(), fields.rest()?);
    Ok(WholesaleProduct {
        key,
        name,
        price,
        tiers,
        options,
        stock,
        availability,
        category,
        images,
        description,
        changed_at,
        raw,
    })
}

fn availability(fields: &mut Fields, name: &'static str) -> Result<Availability, Reason> {
    let word = fields.word(name)?.ok_or(Reason::Missing(name))?;
    Ok(match word.as_str() {
        "available" => Availability::OnSale,
        "soldout" => Availability::SoldOut,
        "unavailable" => Availability::Unavailable,
        "discontinued" => Availability::Discontinued,
        _ => {
            fields.keep(name, word);
            Availability::Unknown
        }
    })
}

/// Each option, where it can be chosen, and how much there is of it.
type Options = Vec<(Option<ProductOption>, Stock)>;

fn options(fields: &mut Fields, price: Option<Money>) -> Result<Options, Reason> {
    const WHAT: &str = "options";
    let list = match fields.take(WHAT) {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(Reason::Malformed(WHAT)),
    };
    if list.len() > WholesaleProduct::MAX_OPTIONS {
        return Err(Reason::TooLarge(WHAT));
    }
    let mut read = Vec::with_capacity(list.len());
    for option in list {
        let Value::Object(option) = option else { return Err(Reason::Malformed(WHAT)) };
        read.push(Told::read(Fields::new(option))?);
    }
    // Documents do not say whether an option's price is its own or added to the item's. Nothing costs
    // 0, so that where an option has 0 all of them are added.
    let are_added = read.iter().any(|option| option.price == Some(0));
    let (is_choice, mut keys) = (read.len() > 1, Vec::new());
    let mut options = Vec::with_capacity(read.len());
    for told in read {
        if keys.contains(&told.key) {
            return Err(Reason::Contradictory(WHAT));
        }
        keys.push(told.key.clone());
        let difference = told.difference(price, are_added)?;
        let Some(name) = told.name else {
            if is_choice {
                return Err(Reason::Missing("option name"));
            }
            options.push((None, told.stock));
            continue;
        };
        let Told { key, stock, availability, .. } = told;
        let option = ProductOption { key, name, difference, stock, availability };
        options.push((Some(option), stock));
    }
    Ok(options)
}

/// An option as it is told.
struct Told {
    key: String,
    name: Option<Text<300>>,
    price: Option<i64>,
    stock: Stock,
    availability: Availability,
}

impl Told {
    fn read(mut fields: Fields) -> Result<Self, Reason> {
        let key = fields.word("key")?.filter(|key| key.len() <= 100);
        let key = key.ok_or(Reason::Missing("option key"))?;
        text::legible(&key, "option key")?;
        let price = fields.number("price")?;
        let stock = match fields.number("quantity")? {
            None => Stock::Unknown,
            Some(NOT_TRACKED) => Stock::NotTracked,
            Some(number) => number::units(number, "quantity")?,
        };
        let availability = availability(&mut fields, "status")?;
        // What cannot be had is not there, whatever is counted.
        let stock = match availability {
            Availability::OnSale => stock,
            Availability::SoldOut | Availability::Unavailable | Availability::Discontinued => {
                Stock::Units(0)
            }
            Availability::Unknown => Stock::Unknown,
        };
        let name = values(&mut fields)?.join(" / ");
        let name = text::short(&name, "option name")?;
        Ok(Self { key, name, price, stock, availability })
    }

    fn difference(&self, of: Option<Money>, is_added: bool) -> Result<Option<Money>, Reason> {
        const WHAT: &str = "option price";
        match (self.price, of) {
            (None, _) => Ok(None),
            (Some(added), _) if is_added => number::difference(added, WHAT).map(Some),
            (Some(own), of) => {
                let own = number::price(own, WHAT)?;
                let of = of.map(|of| own.amount() - of.amount());
                of.map(|added| number::difference(added, WHAT)).transpose()
            }
        }
    }
}

/// What is chosen, such as a colour and a size. An order names an option by these.
fn values(fields: &mut Fields) -> Result<Vec<String>, Reason> {
    const WHAT: &str = "optionAttributes";
    let list = match fields.take(WHAT) {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) if list.len() <= 10 => list,
        Some(_) => return Err(Reason::Malformed(WHAT)),
    };
    let value = |attribute: Value| match attribute {
        Value::Object(attribute) => {
            Fields::new(attribute).word("value")?.ok_or(Reason::Missing(WHAT))
        }
        _ => Err(Reason::Malformed(WHAT)),
    };
    list.into_iter().map(value).collect()
}

/// Of all options together; of none nothing is known.
fn stock(options: &Options) -> Stock {
    let all = options.iter().map(|(_, stock)| *stock);
    all.reduce(Stock::plus).unwrap_or(Stock::Unknown)
}

/// An object, or the same as a text.
fn metadata(fields: &mut Fields) {
    const NAME: &str = "metadata";
    if let Some(Value::String(text)) = fields.look(NAME)
        && let Ok(object @ Value::Object(_)) = serde_json::from_str(text)
    {
        fields.keep(NAME, object);
    }
}

fn images(fields: &mut Fields) -> Result<Vec<String>, Reason> {
    const WHAT: &str = "images";
    let list = match fields.take(WHAT) {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err(Reason::Malformed(WHAT)),
    };
    if list.len() > WholesaleProduct::MAX_IMAGES {
        return Err(Reason::TooLarge(WHAT));
    }
    let image = |value: Value| match value {
        Value::String(text) if text::is_image(&text) => Ok(text),
        other => Err(other),
    };
    let (mut images, mut others) = (Vec::new(), Vec::new());
    for value in list {
        match image(value) {
            Ok(image) => images.push(image),
            Err(other) => others.push(other),
        }
    }
    if !others.is_empty() {
        fields.keep(WHAT, others);
    }
    Ok(images)
}

/// Milliseconds since 1970, or seconds: nobody is sure. What is in neither way between 2000 and 2100
/// is no moment of an item.
fn moment(fields: &mut Fields, name: &'static str) -> Result<Option<DateTime<Utc>>, Reason> {
    const YEARS: std::ops::Range<i64> = 946_684_800_000..4_102_444_800_000;
    let Some(told) = fields.number(name)? else { return Ok(None) };
    let in_seconds = told.saturating_mul(1_000);
    let milliseconds = if YEARS.contains(&told) { told } else { in_seconds };
    if !YEARS.contains(&milliseconds) {
        return Err(Reason::OutOfRange(name));
    }
    Ok(DateTime::from_timestamp_millis(milliseconds))
}

#[cfg(test)]
mod tests;
