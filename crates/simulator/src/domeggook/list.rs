//! Searching: pages by number over what is on sale.

use super::tree::Tree;
use super::view::{self, Market, number_of};
use super::{Call, Failure};
use crate::catalogue::{Availability, CATEGORIES, Catalogue, Category, Item, ShippingType};
use crate::settings::EmptyList;
use crate::time::Time;
use crate::world::World;

const DEFAULT_SIZE: u64 = 20;
const LARGEST_SIZE: u64 = 200;

const NO_CONDITION: Failure =
    Failure::new("SEARCH_CONDITION_REQUIRED", "검색 조건을 하나 이상 입력해 주세요.");
const NO_MARKET: Failure = Failure::new("INVALID_MARKET", "market 값이 올바르지 않습니다.");

/// What is searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    market: Market,
    keyword: Option<String>,
    /// A category, or all of a parent.
    category: Option<(u32, Option<u32>)>,
    seller: Option<u64>,
    prices: (Option<u64>, Option<u64>),
    quantities: Option<(u64, u64)>,
    payer: Option<char>,
}

impl Filter {
    fn of(call: &Call) -> Result<Self, Failure> {
        let market = Market::of(&call.word("market")).ok_or(NO_MARKET)?;
        let given = |name: &str| Some(call.text(name)).filter(|text| !text.trim().is_empty());
        let number = |name| call.parameters.number(name);
        let conditions =
            ["kw", "ca", "id", "nick", "mnp", "mxp", "mnq", "mxq", "who", "org", "ev", "sgd"];
        if conditions.iter().all(|name| given(name).is_none()) {
            return Err(NO_CONDITION);
        }
        let seller = given("id").map(|id| view::vendor_of_id(&id));
        let seller = seller.or_else(|| given("nick").map(|nick| view::vendor_of_nick(&nick)));
        let (least, most) = (number("mnq").unwrap_or(0), number("mxq").unwrap_or(u64::MAX));
        Ok(Self {
            market,
            keyword: given("kw"),
            // One that is not there is silently ignored.
            category: category_of(&call.word("ca")),
            // A seller whom nobody knows has nothing.
            seller: seller.map(|vendor| vendor.unwrap_or(u64::MAX)),
            prices: (number("mnp"), number("mxp")),
            // Ignored when it is upside down.
            quantities: (least <= most).then_some((least, most)),
            payer: given("who").and_then(|who| who.chars().next()),
        })
    }

    /// Whether what is found depends on prices.
    pub(super) fn is_of_prices(&self) -> bool {
        self.prices != (None, None)
    }

    /// Whether an item is on sale and searched for.
    pub(super) fn finds(&self, catalogue: &Catalogue, number: u64, now: Time) -> bool {
        let Some(item) = catalogue.item(number, now) else { return false };
        let is_in = |category: &Category| {
            self.category.is_none_or(|(parent, place)| {
                category.parent_place == parent && place.is_none_or(|place| category.place == place)
            })
        };
        let costs = || u64::try_from(view::price(&item, self.market)).unwrap_or(0);
        let quantity = view::least(&item, self.market);
        self.market.sells(&item)
            && item.availability() == Availability::OnSale
            && is_in(item.category())
            && self.seller.is_none_or(|seller| item.vendor() == seller)
            && self.payer.is_none_or(|payer| self::payer(&item) == payer)
            && self.quantities.is_none_or(|(least, most)| (least..=most).contains(&quantity))
            && self.prices.0.is_none_or(|least| costs() >= least)
            && self.prices.1.is_none_or(|most| costs() <= most)
            && self.keyword.as_ref().is_none_or(|keyword| {
                let name = item.name();
                keyword.split_whitespace().all(|word| name.contains(word))
            })
    }
}

/// `02_04_00_00_00`.
pub(super) fn category_code(parent: u32, place: Option<u32>) -> String {
    format!("{:02}_{:02}_00_00_00", parent + 1, place.map_or(0, |place| place + 1))
}

fn category_of(code: &str) -> Option<(u32, Option<u32>)> {
    let is = |category: &&Category| {
        let (parent, place) = (category.parent_place, category.place);
        code == category_code(parent, Some(place)) || code == category_code(parent, None)
    };
    let category = CATEGORIES.iter().find(is)?;
    let is_parent = code == category_code(category.parent_place, None);
    Some((category.parent_place, (!is_parent).then_some(category.place)))
}

/// Who pays the delivery.
fn payer(item: &Item<'_>) -> char {
    match item.shipping_type() {
        ShippingType::InAdvance => 'P',
        ShippingType::UponArrival => 'B',
        ShippingType::Free => 'S',
    }
}

pub(super) fn page(world: World<'_>, call: &Call) -> Result<Tree, Failure> {
    let filter = Filter::of(call)?;
    let size = call.parameters.number("sz").filter(|size| *size > 0).unwrap_or(DEFAULT_SIZE);
    let size = size.min(LARGEST_SIZE);
    let page = call.parameters.number("pg").unwrap_or(1).max(1);
    let found = world.listings.search(world.catalogue, &filter, world.size(), world.now);
    let total = found.total();
    let first = (page - 1).saturating_mul(size);
    let shifted = world.distortion.shifted(first);
    let count = usize::try_from(size).unwrap_or(usize::MAX);
    let numbers = found.newest(shifted, count);
    let items: Vec<Tree> = numbers
        .into_iter()
        .filter_map(|number| world.catalogue.item(number, world.now))
        .map(|item| entry(world, &item, filter.market))
        .collect();
    let shown = items.len() as u64;
    let told = total.saturating_add_signed(world.distortion.lie.unwrap_or(0));
    let is_text = world.settings.quirks.numbers.is_text(u64::from(shown != 1));
    let number = |value: u64| Tree::number(i64::try_from(value).unwrap_or(i64::MAX), is_text);
    let header = Tree::Object(vec![
        ("numberOfItems", number(told)),
        ("firstItem", number(if shown == 0 { 0 } else { first + 1 })),
        ("lastItem", number(if shown == 0 { 0 } else { first + shown })),
        ("currentPage", number(page)),
        ("itemsPerPage", number(size)),
        ("numberOfPages", number(told.div_ceil(size))),
        ("sort", Tree::text("rd")),
    ]);
    let mut answer = vec![("header", header)];
    match (items.is_empty(), world.settings.quirks.empty_list) {
        (true, EmptyList::Text) => answer.push(("list", Tree::text(""))),
        (true, EmptyList::List) => answer.push(("list", Tree::List(Vec::new()))),
        (true, EmptyList::Absent) => {}
        (false, _) => answer.push(("list", Tree::Object(vec![("item", Tree::Many(items))]))),
    }
    Ok(Tree::Object(answer))
}

fn entry(world: World<'_>, item: &Item<'_>, market: Market) -> Tree {
    let number = item.number();
    let form = world.settings.quirks.numbers;
    let url = |ending: &str| format!("https://img.example.com/{}{ending}", number_of(number));
    let deli = Tree::Object(vec![
        ("who", Tree::text(payer(item))),
        ("fee", Tree::number(item.shipping_fee(), form.is_text(number))),
        ("fromOversea", Tree::flag(item.trait_of(6, 20))),
    ]);
    let markets = Tree::Object(vec![
        ("domeggook", Tree::flag(Market::Dome.sells(item))),
        ("supply", Tree::flag(Market::Supply.sells(item))),
    ]);
    Tree::Object(vec![
        ("no", Tree::number(number_of(number), form.is_text(number + 1))),
        ("title", Tree::text(item.name())),
        ("thumb", Tree::text(url(".jpg"))),
        ("url", Tree::text(format!("https://domeggook.com/{}", number_of(number)))),
        ("id", Tree::text(view::seller_id(item))),
        ("nick", Tree::text(view::seller_nick(item))),
        ("price", Tree::number(view::price(item, market), form.is_text(number + 1))),
        ("unitQty", Tree::number(view::least(item, market).cast_signed(), false)),
        ("comOnly", Tree::flag(false)),
        ("adultOnly", Tree::flag(item.trait_of(3, 100))),
        ("deli", deli),
        ("market", markets),
    ])
}

pub(super) fn categories() -> Tree {
    let mut entries = Vec::new();
    let mut entry = |name: &str, code: String, depth| {
        entries.push(Tree::Object(vec![
            ("name", Tree::text(name)),
            ("code", Tree::text(code)),
            ("depth", Tree::Number(depth)),
        ]));
    };
    let mut parent = None;
    for category in CATEGORIES {
        if parent.replace(category.parent_place) != Some(category.parent_place) {
            entry(category.parent, category_code(category.parent_place, None), 1);
        }
        let code = category_code(category.parent_place, Some(category.place));
        entry(category.name, code, 2);
    }
    Tree::Object(vec![("list", Tree::Object(vec![("item", Tree::Many(entries))]))])
}
