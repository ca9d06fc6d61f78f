//! One item, or up to a hundred, with everything.

use super::tree::Tree;
use super::{Call, Failure, NOT_FOUND, list, option, session};
use crate::catalogue::{Availability, Item, ShippingType};
use crate::time::Time;
use crate::world::World;

const FIRST_NUMBER: i64 = 10_000_001;
const MOST: usize = 100;

const TOO_MANY_NUMBERS: Failure =
    Failure::new("TOO_MANY_ITEMS", "상품번호는 최대 100개까지 가능합니다.");

/// Where something is sold: 도매꾹 in quantities, 도매매 one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Market {
    /// 도매꾹.
    Dome,
    /// 도매매.
    Supply,
}

impl Market {
    pub(super) fn of(word: &str) -> Option<Self> {
        match word {
            "dome" => Some(Self::Dome),
            "supply" => Some(Self::Supply),
            _ => None,
        }
    }

    /// Whether an item is sold there, while it is on sale.
    #[must_use]
    pub fn sells(self, item: &Item<'_>) -> bool {
        let (not_dome, not_supply) = (item.trait_of(8, 20), item.trait_of(9, 20));
        match self {
            Self::Dome => !not_dome,
            Self::Supply => !not_supply || not_dome,
        }
    }
}

/// The number that an item is known by.
pub(super) fn number_of(number: u64) -> i64 {
    FIRST_NUMBER.saturating_add_unsigned(number)
}

/// The same as text.
#[must_use]
pub(crate) fn number_text(number: u64) -> String {
    number_of(number).to_string()
}

/// An item that is there, by its number.
pub(super) fn known<'a>(world: World<'a>, text: &str) -> Option<Item<'a>> {
    let number = text.trim().parse::<i64>().ok()?.checked_sub(FIRST_NUMBER)?;
    let number = u64::try_from(number).ok().filter(|number| *number < world.size())?;
    let item = world.catalogue.item(number, world.now)?;
    (item.availability() != Availability::Missing).then_some(item)
}

/// What one costs in a market, in won.
pub(super) fn price(item: &Item<'_>, market: Market) -> i64 {
    match market {
        Market::Dome => item.price(),
        Market::Supply => item.price().saturating_mul(12) / 100 * 10,
    }
}

/// How many are sold at least.
pub(super) fn least(item: &Item<'_>, market: Market) -> u64 {
    if market == Market::Dome && item.trait_of(11, 5) { 10 } else { 1 }
}

pub(super) fn seller_id(item: &Item<'_>) -> String {
    format!("seller{:03}", item.vendor())
}

pub(super) fn seller_nick(item: &Item<'_>) -> String {
    format!("테스트판매자{}", item.vendor())
}

pub(super) fn vendor_of_id(id: &str) -> Option<u64> {
    id.strip_prefix("seller")?.parse().ok()
}

pub(super) fn vendor_of_nick(nick: &str) -> Option<u64> {
    nick.strip_prefix("테스트판매자")?.parse().ok()
}

pub(super) fn show(world: World<'_>, call: &Call, is_private: bool) -> Result<Tree, Failure> {
    if is_private {
        session::required(world, call)?;
    }
    let many = call.word("multiple");
    let many = if many.is_empty() && is_private { call.word("no") } else { many };
    if many.is_empty() {
        let item = known(world, &call.word("no")).ok_or(NOT_FOUND)?;
        return Ok(whole(world, &item));
    }
    let numbers: Vec<&str> = many.split(',').collect();
    if numbers.len() > MOST {
        return Err(TOO_MANY_NUMBERS);
    }
    let items = numbers.into_iter().filter_map(|number| known(world, number));
    let items = items.map(|item| whole(world, &item)).collect();
    Ok(Tree::Object(vec![("item", Tree::Many(items))]))
}

fn whole(world: World<'_>, item: &Item<'_>) -> Tree {
    let mut fields = vec![
        ("basis", basis(item)),
        ("price", prices(item)),
        ("qty", quantities(world, item)),
        ("deli", delivery(world, item)),
        (
            "channel",
            Tree::Object(vec![
                ("dome", Tree::flag(Market::Dome.sells(item))),
                ("supply", Tree::flag(Market::Supply.sells(item))),
            ]),
        ),
        ("thumb", thumbs(item)),
        ("desc", description(item)),
    ];
    match option::text(item) {
        Some(text) => fields.push(("selectOpt", Tree::Text(text))),
        None if item.number().is_multiple_of(2) => fields.push(("selectOpt", Tree::text(""))),
        None => {}
    }
    fields.push(("seller", seller(item)));
    fields.push(("category", category(item)));
    Tree::Object(fields)
}

fn basis(item: &Item<'_>) -> Tree {
    let keywords = [item.category().name, "테스트"];
    let keywords = &keywords[..if item.trait_of(12, 2) { 1 } else { 2 }];
    let keywords = Tree::Many(keywords.iter().copied().map(Tree::text).collect());
    let status = match item.availability() {
        Availability::OnSale => "판매중",
        Availability::SoldOut => "판매종료",
        Availability::Discontinued | Availability::Missing => "기간종료",
    };
    let created = item.created_at();
    let day = |time: Time| Tree::text(format!("{} 00:00:00", time.korean_date()));
    let end = created + std::time::Duration::from_hours(24 * 365 * 5);
    Tree::Object(vec![
        ("no", Tree::Number(number_of(item.number()))),
        ("status", Tree::text(status)),
        ("title", Tree::text(item.name())),
        ("keywords", Tree::Object(vec![("kw", keywords)])),
        ("nego", Tree::flag(false)),
        ("adult", Tree::flag(item.trait_of(3, 100))),
        ("dateStart", day(created)),
        ("dateEnd", day(end)),
        ("dateReg", Tree::text(created.korean_text())),
        ("tax", Tree::text(if item.trait_of(2, 50) { "면세" } else { "과세" })),
    ])
}

fn prices(item: &Item<'_>) -> Tree {
    let dome = price(item, Market::Dome);
    let dome = if item.trait_of(13, 2) {
        let less = |percent: i64| dome.saturating_mul(100 - percent) / 1_000 * 10;
        Tree::text(format!("1+{dome}|20+{}|50+{}", less(4), less(8)))
    } else {
        Tree::Number(dome)
    };
    let supply = price(item, Market::Supply);
    let resale = Tree::Object(vec![
        // So it is spelt.
        ("minumum", Tree::Number(supply.saturating_mul(125) / 1_000 * 10)),
        ("Recommand", Tree::Number(supply.saturating_mul(150) / 1_000 * 10)),
    ]);
    Tree::Object(vec![("dome", dome), ("supply", Tree::Number(supply)), ("resale", resale)])
}

fn quantities(world: World<'_>, item: &Item<'_>) -> Tree {
    let least = least(item, Market::Dome).cast_signed();
    let inventory = option::units(item.stock());
    let is_text = world.settings.quirks.numbers.is_text(item.number());
    Tree::Object(vec![
        ("inventory", Tree::number(inventory, is_text)),
        ("domeMoq", Tree::Number(least)),
        ("domeUnit", Tree::Number(least)),
        ("supplyUnit", Tree::Number(1)),
    ])
}

fn delivery(world: World<'_>, item: &Item<'_>) -> Tree {
    let is_text = world.settings.quirks.numbers.is_text(item.number());
    let (pay, kind) = match item.shipping_type() {
        ShippingType::InAdvance => ("선결제", "고정배송비"),
        ShippingType::UponArrival => ("착불", "고정배송비"),
        ShippingType::Free => ("선결제", "무료배송"),
    };
    let per_box = match item.box_quantity() {
        0 => String::new(),
        size => format!("1+{0}|{size}+{0}", item.shipping_fee()),
    };
    let of_market = || {
        Tree::Object(vec![
            ("type", Tree::text(kind)),
            ("fee", Tree::number(item.shipping_fee(), is_text)),
            ("tbl", Tree::text(per_box.clone())),
        ])
    };
    let extra = Tree::Object(vec![
        ("jeju", Tree::number(3_000, is_text)),
        ("islands", Tree::number(5_000, !is_text)),
    ]);
    Tree::Object(vec![
        ("method", Tree::text("택배")),
        ("pay", Tree::text(pay)),
        ("dome", of_market()),
        ("supply", of_market()),
        // So it is spelt.
        ("wating", Tree::text("2")),
        ("merge", Tree::flag(true)),
        ("feeExtra", extra),
        ("fromOversea", Tree::flag(item.trait_of(6, 20))),
        ("reqCcno", Tree::flag(item.trait_of(6, 20))),
    ])
}

fn thumbs(item: &Item<'_>) -> Tree {
    let url = format!("https://img.example.com/{}.jpg", number_of(item.number()));
    let changed = item.created_at().korean_text();
    Tree::Object(vec![("original", Tree::text(url)), ("lastUpdate", Tree::text(changed))])
}

fn description(item: &Item<'_>) -> Tree {
    let license =
        Tree::Object(vec![("usable", Tree::flag(!item.trait_of(14, 10))), ("msg", Tree::text(""))]);
    let contents = Tree::Object(vec![
        ("item", Tree::text(item.description())),
        ("deli", Tree::text("")),
        ("event", Tree::text("")),
    ]);
    Tree::Object(vec![("license", license), ("contents", contents)])
}

fn seller(item: &Item<'_>) -> Tree {
    let score = Tree::Object(vec![("avg", Tree::text("4.8")), ("cnt", Tree::text("12"))]);
    Tree::Object(vec![
        ("id", Tree::text(seller_id(item))),
        ("nick", Tree::text(seller_nick(item))),
        ("type", Tree::text("개인")),
        ("rank", Tree::Number(3)),
        ("score", score),
        ("vacation", Tree::text("")),
    ])
}

fn category(item: &Item<'_>) -> Tree {
    let category = item.category();
    let (parent, place) = (category.parent_place, category.place);
    let level = |name: &str, code: String, depth| {
        Tree::Object(vec![
            ("name", Tree::text(name)),
            ("code", Tree::text(code)),
            ("depth", Tree::Number(depth)),
        ])
    };
    let above = level(category.parent, list::category_code(parent, None), 1);
    Tree::Object(vec![
        ("parents", Tree::Object(vec![("elem", Tree::Many(vec![above]))])),
        ("current", level(category.name, list::category_code(parent, Some(place)), 2)),
    ])
}
