//! A view becomes a product.

use serde::Deserialize;
use serde_json::Value;

use super::{Market, options, tiers};
use crate::wholesaler::fields::{Fields, is_true, many};
use crate::wholesaler::key::Key;
use crate::wholesaler::number;
use crate::wholesaler::product::{
    Availability, Category, Reason, Rejected, Stock, WholesaleProduct,
};
use crate::wholesaler::text;

/// The product of a view, as it is sold in a market.
pub(super) fn read(json: &str, market: Market) -> Result<WholesaleProduct, Rejected> {
    let Some(key) = key_of(json) else {
        return Err(Rejected { key: None, reason: Reason::Missing("no") });
    };
    let product = Fields::parse(json).and_then(|fields| product(key.clone(), fields, market));
    product.map_err(|reason| Rejected { key: Some(key), reason })
}

/// The number, also of what cannot be read besides.
pub(super) fn key_of(json: &str) -> Option<Key> {
    #[derive(Deserialize)]
    struct View {
        basis: Numbered,
    }
    let view: View = serde_json::from_str(json).ok()?;
    view.basis.key()
}

/// What has a number: an integer, or digits in a text.
#[derive(Deserialize)]
pub(super) struct Numbered {
    no: Value,
}

impl Numbered {
    pub(super) fn key(&self) -> Option<Key> {
        match &self.no {
            Value::Number(number) => Key::of_digits(&number.as_u64()?.to_string()),
            Value::String(text) => Key::of_digits(text),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

fn product(key: Key, mut fields: Fields, market: Market) -> Result<WholesaleProduct, Reason> {
    let basis = fields.within("basis", |basis| {
        basis.take("no");
        Ok((basis.text("title")?, availability(basis)?))
    })?;
    let (name, on_sale) = basis.ok_or(Reason::Missing("basis"))?;
    let price = fields.within("price", |price| match price.take(market.word()) {
        Some(told) => tiers::read(&told),
        None => Ok((None, Vec::new())),
    })?;
    let (price, tiers) = price.unwrap_or_default();
    let stock = fields.within("qty", |quantities| match quantities.number("inventory")? {
        None => Ok(Stock::Unknown),
        Some(number) => number::units(number, "inventory"),
    })?;
    let is_sold =
        fields.within("channel", |channel| Ok(channel.look(market.word()).is_none_or(is_true)))?;
    // What is not sold here cannot be had here, whatever else is said of it.
    let availability = if is_sold.unwrap_or(true) { on_sale } else { Availability::Unavailable };
    let options = match fields.take("selectOpt") {
        None => Vec::new(),
        Some(Value::String(text)) => options::read(&text)?,
        Some(Value::Array(list)) if list.is_empty() => Vec::new(),
        Some(_) => return Err(Reason::Malformed("selectOpt")),
    };
    let description = fields.within("desc", |desc| {
        let contents = desc.within("contents", |contents| contents.word("item"))?;
        contents.flatten().map_or(Ok(None), text::description)
    })?;
    let images = fields.within("thumb", |thumb| {
        let image = thumb.word("original")?;
        Ok(image.filter(|image| text::is_image(image)).into_iter().collect())
    })?;
    let category = fields.within("category", category)?.flatten();
    Ok(WholesaleProduct {
        key,
        name,
        price,
        tiers,
        options,
        stock: stock.unwrap_or(Stock::Unknown),
        availability,
        category,
        images: images.unwrap_or_default(),
        description: description.flatten(),
        changed_at: None,
        raw: fields.rest()?,
    })
}

fn availability(basis: &mut Fields) -> Result<Availability, Reason> {
    const NAME: &str = "status";
    let word = basis.word(NAME)?.ok_or(Reason::Missing(NAME))?;
    Ok(match word.trim() {
        "판매중" => Availability::OnSale,
        "판매종료" => Availability::SoldOut,
        "기간종료" => Availability::Discontinued,
        "기간미지정" | "승인대기" | "승인거부" | "아웃벌점 제재" => {
            Availability::Unavailable
        }
        _ => {
            basis.keep(NAME, word);
            Availability::Unknown
        }
    })
}

fn category(category: &mut Fields) -> Result<Option<Category>, Reason> {
    let above = category.within("parents", |parents| Ok(many(parents.take("elem"))))?;
    let mut names = Vec::new();
    for level in above.unwrap_or_default() {
        let Value::Object(level) = level else { return Err(Reason::Malformed("category")) };
        names.extend(Fields::new(level).word("name")?);
    }
    let current = category.within("current", |current| {
        current.take("depth");
        Ok(current.word("code")?.zip(current.word("name")?))
    })?;
    let Some((code, name)) = current.flatten() else { return Ok(None) };
    names.push(name);
    let name = names.join(" > ");
    Category::new(code, name).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wholesaler::product::Tier;

    fn view(change: &Value) -> Value {
        let mut view = json!({
            "basis": { "no": 30_000_007, "status": "판매중", "title": "접이식 우산", "nego": "false" },
            "price": { "dome": "1+5200|30+4900", "supply": "6100", "resale": { "minumum": 9000 } },
            "qty": { "inventory": "88", "domeMoq": 1 },
            "channel": { "dome": "true", "supply": "TRUE" },
            "thumb": { "original": "https://img.example.com/u.jpg", "lastUpdate": "2026-10-01 00:00:00" },
            "desc": { "license": { "usable": "true" }, "contents": { "item": "<p>우산</p>", "deli": "" } },
            "selectOpt": "{\"data\":{\"00\":{\"name\":\"검정\",\"qty\":\"88\",\"domPrice\":\"0\"}}}",
            "category": { "parents": { "elem": { "name": "잡화", "code": "02_00", "depth": 1 } },
                          "current": { "name": "우산", "code": "02_07", "depth": 2 } },
            "deli": { "wating": "2" },
        });
        for (name, value) in change.as_object().unwrap() {
            view[name] = value.clone();
        }
        view
    }

    fn read(change: &Value, market: Market) -> Result<WholesaleProduct, Reason> {
        super::read(&view(change).to_string(), market).map_err(|rejected| {
            assert_eq!(rejected.key.unwrap().as_str(), "30000007");
            rejected.reason
        })
    }

    #[test]
    fn a_view_becomes_a_product_of_the_market() {
        let product = read(&json!({}), Market::Supply).unwrap();
        assert_eq!(product.name.unwrap().as_str(), "접이식 우산");
        assert_eq!((product.price.unwrap().amount(), product.tiers.len()), (6_100, 0));
        assert_eq!((product.stock, product.options.len()), (Stock::Units(88), 1));
        let category = Category { code: "02_07".to_owned(), name: "잡화 > 우산".to_owned() };
        assert_eq!(product.category, Some(category));
        let raw = json!({
            "basis": { "nego": "false" }, "qty": { "domeMoq": 1 }, "deli": { "wating": "2" },
            "price": { "dome": "1+5200|30+4900", "resale": { "minumum": 9000 } },
            "channel": { "dome": "true", "supply": "TRUE" },
            "thumb": { "lastUpdate": "2026-10-01 00:00:00" },
            "desc": { "license": { "usable": "true" }, "contents": { "deli": "" } },
        });
        assert_eq!(Value::Object(product.raw), raw);

        let product = read(&json!({}), Market::Dome).unwrap();
        let tiers: Vec<_> = product
            .tiers
            .iter()
            .map(|Tier { min_quantity, price }| (*min_quantity, price.amount()))
            .collect();
        assert_eq!(
            (product.price.unwrap().amount(), tiers),
            (5_200, vec![(1, 5_200), (30, 4_900)])
        );
    }

    #[test]
    fn what_is_not_said_is_unknown() {
        let change =
            json!({ "price": "", "qty": {}, "selectOpt": "", "thumb": null, "category": [] });
        let product = read(&change, Market::Supply).unwrap();
        assert_eq!((product.price, product.stock, product.category), (None, Stock::Unknown, None));
        assert!(product.options.is_empty() && product.images.is_empty());
        let product = read(&json!({ "selectOpt": [] }), Market::Supply).unwrap();
        assert!(product.options.is_empty());
    }

    #[test]
    fn what_is_not_sold_in_the_market_cannot_be_had() {
        let status = |word: &str| json!({ "basis": { "no": "30000007", "status": word } });
        for (change, expected) in [
            (json!({}), Availability::OnSale),
            (status("기간미지정"), Availability::Unavailable),
            (status("승인거부"), Availability::Unavailable),
            (status("아웃벌점 제재"), Availability::Unavailable),
            (json!({ "channel": {} }), Availability::OnSale),
            (json!({ "channel": { "supply": "false" } }), Availability::Unavailable),
            (json!({ "basis": { "no": "30000007", "status": "판매종료" } }), Availability::SoldOut),
            (
                json!({ "basis": { "no": "30000007", "status": "기간종료" } }),
                Availability::Discontinued,
            ),
            (
                json!({ "basis": { "no": "30000007", "status": "승인대기" } }),
                Availability::Unavailable,
            ),
            (json!({ "basis": { "no": "30000007", "status": "휴가" } }), Availability::Unknown),
        ] {
            assert_eq!(read(&change, Market::Supply).unwrap().availability, expected);
        }
    }

    #[test]
    fn what_cannot_be_is_rejected_with_its_reason() {
        for (change, reason) in [
            (json!({ "price": { "supply": -1000 } }), Reason::OutOfRange("price")),
            (json!({ "price": { "supply": "1+100|x" } }), Reason::Malformed("price")),
            (json!({ "qty": { "inventory": 4_294_967_295_u32 } }), Reason::OutOfRange("inventory")),
            (json!({ "qty": { "inventory": "많음" } }), Reason::Malformed("inventory")),
            (json!({ "basis": { "no": 30_000_007 } }), Reason::Missing("status")),
            (json!({ "selectOpt": 7 }), Reason::Malformed("selectOpt")),
            (json!({ "selectOpt": [7] }), Reason::Malformed("selectOpt")),
            (json!({ "category": { "parents": { "elem": 7 } } }), Reason::Malformed("category")),
            (json!({ "selectOpt": "{" }), Reason::Malformed("selectOpt")),
        ] {
            assert_eq!(read(&change, Market::Supply), Err(reason), "{change}");
        }
        for text in ["", "[]", "{}", r#"{"basis":{"no":-1}}"#, r#"{"basis":{"no":1.5}}"#] {
            assert_eq!(super::read(text, Market::Dome).unwrap_err().key, None, "{text}");
        }
    }
}
