//! The products: all of them in one answer, made while it is sent.

use super::{attribute, cdata, xml};
use crate::catalogue::{Availability, Catalogue, Choice, Item};
use crate::charset::Charset;
use crate::request::Parameters;
use crate::response::{Body, SimResponse};
use crate::time::Time;
use crate::world::World;

const FIRST_CODE: u64 = 10_001;
/// About so much is made at once.
const PIECE: usize = 32 * 1024;

/// The code of an item.
#[must_use]
pub(crate) fn code_of(number: u64) -> String {
    (FIRST_CODE + number).to_string()
}

/// The number of an item's code.
pub(super) fn number_of(code: &str) -> Option<u64> {
    code.parse::<u64>().ok()?.checked_sub(FIRST_CODE)
}

/// An item that can be seen: on sale or sold out.
pub(super) fn runout(item: &Item<'_>) -> Option<bool> {
    match item.availability() {
        Availability::OnSale => Some(false),
        Availability::SoldOut => Some(true),
        Availability::Discontinued | Availability::Missing => None,
    }
}

/// Which products are wanted.
#[derive(Debug, Clone)]
struct Wanted {
    runout: Option<bool>,
    opened: Option<(String, String)>,
}

impl Wanted {
    fn is_met(&self, item: &Item<'_>) -> bool {
        let opened = || item.created_at().korean_date();
        runout(item).is_some_and(|is| self.runout.is_none_or(|wanted| wanted == is))
            && self.opened.as_ref().is_none_or(|(first, last)| {
                let opened = opened();
                *first <= opened && opened <= *last
            })
    }
}

pub(super) fn list(world: World<'_>, parameters: &Parameters) -> SimResponse {
    let word = |name| parameters.word(name);
    let runout = match word("runout").as_ref() {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    };
    // They work only together.
    let opened = (word("opendate_s"), word("opendate_e"));
    let opened = (!opened.0.is_empty() && !opened.1.is_empty())
        .then(|| (opened.0.into_owned(), opened.1.into_owned()));
    let first = world.distortion.shifted(0);
    let numbers = match word("goodsno").as_ref() {
        "" => first..world.size(),
        code => number_of(code).map_or(0..0, |number| number..number + 1),
    };
    let wanted = Wanted { runout, opened };
    let pieces = Pieces {
        catalogue: world.catalogue.clone(),
        now: world.now,
        wanted,
        numbers,
        part: Part::Head,
    };
    SimResponse { body: Body::Pieces(Box::new(pieces)), ..xml(world) }
}

/// The XML, piece by piece.
struct Pieces {
    catalogue: Catalogue,
    now: Time,
    wanted: Wanted,
    numbers: std::ops::Range<u64>,
    part: Part,
}

/// What comes next.
enum Part {
    Head,
    Products,
    Nothing,
}

impl Iterator for Pieces {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut text = String::new();
        match self.part {
            Part::Head => {
                text.push_str("<?xml version=\"1.0\" encoding=\"euc-kr\"?>\n");
                text.push_str("<zentrade version=\"ZENTRADE XML 1.0\" datetime=\"\">\n");
                self.part = Part::Products;
            }
            Part::Products => {}
            Part::Nothing => return None,
        }
        while text.len() < PIECE {
            let Some(number) = self.numbers.next() else {
                text.push_str("</zentrade>\n");
                self.part = Part::Nothing;
                break;
            };
            let item = self.catalogue.item(number, self.now);
            if let Some(item) = item.filter(|item| self.wanted.is_met(item)) {
                write(&item, &mut text);
            }
        }
        Some(Charset::EucKr.encode(&text))
    }
}

fn write(item: &Item<'_>, xml: &mut String) {
    let (number, category) = (item.number(), item.category());
    let consumer = consumer_price(item.price());
    // Many are empty or say nothing.
    let brand = if item.trait_of(1, 3) { "제비상사" } else { "" };
    let parts = [
        format!("    <product code=\"{}\">\n", code_of(number)),
        format!("    <dome_category dome_catecode=\"{:03}\">", category.place + 1),
        cdata(category.name),
        "</dome_category>\n".to_owned(),
        format!(
            "    <scategory emp_catecode=\"{}\" esellers_catecode=\"{}\" classcode=\"35\" />\n",
            18_120_000 + category.place,
            17_440_000 + category.place
        ),
        format!("    <prdtname>{}</prdtname>\n", cdata(&item.name())),
        format!(
            "    <baseinfo madein=\"상세정보참조\" productcom=\"테스트제조{}\" brand=\"{}\" model=\"\" />\n",
            item.vendor() % 7,
            attribute(brand)
        ),
        format!(
            "    <price buyprice=\"{}\" consumerprice=\"{consumer}\" taxmode=\"{}\" />\n",
            price_text(item),
            if item.trait_of(2, 50) { "N" } else { "Y" }
        ),
        format!(
            "    <listimg url1=\"https://img.example.com/{}_1.jpg\" url2=\"\" url3=\"\" url4=\"\" url5=\"\" />\n",
            code_of(number)
        ),
        options(item),
        format!("    <content>{}</content>\n", cdata(&item.description())),
        format!("    <keyword>{}</keyword>\n", cdata(&format!("{},테스트", category.name))),
        format!(
            "    <status runout=\"{}\" opendate=\"{}\" />\n    </product>\n",
            u8::from(runout(item) == Some(true)),
            item.created_at().korean_date()
        ),
    ];
    parts.iter().for_each(|part| xml.push_str(part));
}

/// 0 where there is none.
fn consumer_price(price: i64) -> i64 {
    if price % 3 == 0 { 0 } else { price.saturating_mul(16) / 100 * 10 }
}

/// Now and then with a comma, and empty where it is odd on purpose.
fn price_text(item: &Item<'_>) -> String {
    let price = item.price();
    match item.number() % 5 {
        _ if item.has_blank_price() => String::new(),
        1 if price >= 1_000 => format!("{},{:03}", price / 1_000, price % 1_000),
        _ => price.to_string(),
    }
}

fn options(item: &Item<'_>) -> String {
    if item.choice_count() == 1 {
        return format!("    <option opt1nm=\"\" opt2nm=\"\">{}</option>\n", cdata(" "));
    }
    // Rows of some items stop after the price; the separator closes the rows of some.
    let (is_short, is_closed) = (item.number() % 4 == 2, item.number().is_multiple_of(2));
    let row = |choice: Choice| {
        let price = item.price().saturating_add(choice.surcharge);
        let row = format!("{}^|^{price}", choice.label());
        if is_short {
            return row;
        }
        let image = if choice.surcharge == 0 { "https://img.example.com/o1.jpg" } else { "" };
        format!("{row}^|^{}^|^{image}", consumer_price(price))
    };
    let rows: Vec<String> = item.choices().map(row).collect();
    let mut text = rows.join("↑=↑\n                ");
    if is_closed {
        text.push_str("↑=↑\n");
    }
    format!("    <option opt1nm=\"색상\" opt2nm=\"\">{}</option>\n", cdata(&text))
}
