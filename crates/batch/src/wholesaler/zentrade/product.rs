//! A `product` element becomes a product.

use serde_json::Value;

use super::element;
use super::options;
use crate::wholesaler::fields::Fields;
use crate::wholesaler::key::Key;
use crate::wholesaler::number;
use crate::wholesaler::product::{
    Availability, Category, Reason, Rejected, Stock, WholesaleProduct,
};
use crate::wholesaler::text;

/// The product of an element.
pub(super) fn read(xml: &str) -> Result<WholesaleProduct, Rejected> {
    let rejected = |reason| Rejected { key: key_of(xml), reason };
    let mut fields = element::read(xml).map_err(rejected)?;
    let code = fields.word("@code").map_err(rejected)?.unwrap_or_default();
    let key = Key::of_digits(&code).ok_or_else(|| rejected(Reason::Missing("code")))?;
    product(key, fields).map_err(rejected)
}

/// The code, also of what cannot be read besides.
pub(super) fn key_of(xml: &str) -> Option<Key> {
    let (head, _) = xml.split_once('>')?;
    let (_, rest) = head.split_once("code=")?;
    let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (code, _) = rest[1..].split_once(quote)?;
    Key::of_digits(code)
}

fn product(key: Key, mut fields: Fields) -> Result<WholesaleProduct, Reason> {
    let name = fields.text("prdtname")?;
    let price = fields.number("price@buyprice")?;
    let price = price.map(|price| number::price(price, "buyprice")).transpose()?;
    let rows = fields.word("option")?;
    let options = options::read(rows.as_deref().unwrap_or_default(), price)?;
    if let (None, Some(rows)) = (price, rows) {
        // What they cost is told, but not by how much they differ.
        fields.keep("option", rows);
    }
    let availability = match fields.word("status@runout")?.as_deref().map(str::trim) {
        Some("0") => Availability::OnSale,
        Some("1") => Availability::SoldOut,
        Some(other) => {
            fields.keep("status@runout", other);
            Availability::Unknown
        }
        None => return Err(Reason::Missing("runout")),
    };
    let code = fields.word("dome_category@dome_catecode")?;
    let category = code.zip(fields.word("dome_category")?);
    let category = category.map(|(code, name)| Category::new(code, name)).transpose()?;
    let images = images(&mut fields)?;
    let description = fields.word("content")?.map_or(Ok(None), text::description)?;
    let (tiers, changed_at, raw) = (Vec::new(), None, said(fields).rest()?);
    // No number is ever told.
    let stock = Stock::Unknown;
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

fn images(fields: &mut Fields) -> Result<Vec<String>, Reason> {
    let mut images = Vec::new();
    for name in ["listimg@url1", "listimg@url2", "listimg@url3", "listimg@url4", "listimg@url5"] {
        match fields.word(name)? {
            Some(image) if text::is_image(image.trim()) => images.push(image.trim().to_owned()),
            Some(other) => fields.keep(name, other),
            None => {}
        }
    }
    Ok(images)
}

/// Empty attributes say nothing.
fn said(fields: Fields) -> Fields {
    let is_said = |value: &Value| value.as_str().is_none_or(|text| !text.trim().is_empty());
    fields.only(is_said)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PRODUCT: &str = "<product code=\"00731\">
        <dome_category dome_catecode=\"004\"><![CDATA[ 욕실  ]]></dome_category>
        <scategory emp_catecode=\"11\" esellers_catecode=\"\" classcode=\"35\" />
        <prdtname><![CDATA[ [한정] 펭귄 비누받침 (뷁)  ]]></prdtname>
        <baseinfo madein=\"\" productcom=\"한빛\" brand=\"\" model=\"\" />
        <price buyprice=\"1,250\" consumerprice=\"0\" taxmode=\"Y\" />
        <listimg url1=\"https://img.example.com/1.jpg?a=1&b=2\" url2=\"\" url3=\"x.jpg\" url4=\"\" url5=\"\" />
        <option opt1nm=\"색상\" opt2nm=\"\"><![CDATA[ 하양^|^1250↑=↑\n 파랑^|^1400^|^^|^ ]]></option>
        <content><![CDATA[ <p>&amp; 뽀송</p> ]]></content>
        <status runout=\"0\" opendate=\"2026-05-06\" />
    </product>";

    fn with(from: &str, to: &str) -> Result<WholesaleProduct, Rejected> {
        assert!(PRODUCT.contains(from));
        read(&PRODUCT.replace(from, to))
    }

    #[test]
    fn an_element_becomes_a_product() {
        let product = read(PRODUCT).unwrap();
        assert_eq!(product.key.as_str(), "00731");
        assert_eq!(product.name.unwrap().as_str(), "[한정] 펭귄 비누받침 (뷁)");
        assert_eq!(product.price.unwrap().amount(), 1_250);
        let options: Vec<_> = product.options.iter().map(|option| option.key.as_str()).collect();
        assert_eq!(options, ["하양", "파랑"]);
        assert_eq!(product.options[1].difference.unwrap().amount(), 150);
        let category = Category { code: "004".to_owned(), name: "욕실".to_owned() };
        assert_eq!(product.category, Some(category));
        assert_eq!(product.images, ["https://img.example.com/1.jpg?a=1&b=2"]);
        assert_eq!(product.description.as_deref(), Some("<p>&amp; 뽀송</p>"));
        assert_eq!((product.stock, product.availability), (Stock::Unknown, Availability::OnSale));
        let raw = json!({
            "baseinfo@productcom": "한빛", "listimg@url3": "x.jpg", "option@opt1nm": "색상",
            "price@consumerprice": "0", "price@taxmode": "Y", "scategory@classcode": "35",
            "scategory@emp_catecode": "11", "status@opendate": "2026-05-06",
        });
        assert_eq!(Value::Object(product.raw), raw);
    }

    #[test]
    fn a_blank_price_is_unknown_and_its_options_are_kept_as_they_were_told() {
        let product = with("1,250", "").unwrap();
        assert_eq!((product.price, product.options[1].difference), (None, None));
        assert!(product.raw["option"].as_str().unwrap().contains("파랑^|^1400"));
    }

    #[test]
    fn what_cannot_be_is_rejected_with_its_reason() {
        for (from, to, reason) in [
            ("1,250", "-1,250", Reason::OutOfRange("buyprice")),
            ("1,250", "0", Reason::OutOfRange("buyprice")),
            ("1,250", "1,25", Reason::Malformed("price@buyprice")),
            ("runout=\"0\"", "", Reason::Missing("runout")),
            ("펭귄", "\u{fffd}", Reason::Malformed("prdtname")),
            ("펭귄", "펭 ]]> 귄", Reason::Malformed("CDATA")),
            ("</content>", "", Reason::Unreadable),
            ("<p>&amp;", &"x".repeat(1 << 21), Reason::TooLarge("description")),
        ] {
            let rejected = with(from, to).unwrap_err();
            assert_eq!((rejected.key.unwrap().as_str(), rejected.reason), ("00731", reason));
        }
        let nameless = with("code=\"00731\"", "code=\"7a\"").unwrap_err();
        assert_eq!(nameless, Rejected { key: None, reason: Reason::Missing("code") });
    }

    #[test]
    fn a_word_that_nobody_knows_is_kept() {
        let product = with("runout=\"0\"", "runout=\"2\"").unwrap();
        assert_eq!(
            (product.availability, &product.raw["status@runout"]),
            (Availability::Unknown, &json!("2"))
        );
    }
}
