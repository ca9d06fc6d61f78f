//! A walk finds every item once, as it is.

use std::collections::BTreeMap;

use jebi_batch::wholesaler::{Availability, Key, Market, Page, Stock, WholesaleProduct};
use jebi_domain::{Money, Wholesaler};
use jebi_simulator::{
    Availability as Standing, EmptyList, Form, Item, Market as SimMarket, Quirks, Settings,
    Stock as Units, TokenForm, item_key,
};

use crate::wholesalers::support::Outside;

/// Products by their keys; each comes once.
pub(crate) fn products(pages: Vec<Page>) -> BTreeMap<Key, WholesaleProduct> {
    let mut products = BTreeMap::new();
    for page in pages {
        assert_eq!(page.read, page.products.len() + page.rejected.len() + page.repeated);
        assert_eq!(page.rejected, []);
        for product in page.products {
            let known = products.insert(product.key.clone(), product);
            assert_eq!(known, None, "it came twice");
        }
    }
    products
}

fn units(stock: Units) -> Stock {
    match stock {
        Units::Units(units) => Stock::Units(units),
        Units::Untracked => Stock::NotTracked,
    }
}

fn amounts(product: &WholesaleProduct) -> (Option<i64>, Vec<(String, Option<i64>)>) {
    let option = |option: &jebi_batch::wholesaler::ProductOption| {
        (option.name.as_str().to_owned(), option.difference.map(Money::amount))
    };
    (product.price.map(Money::amount), product.options.iter().map(option).collect())
}

/// What is true of an item at a wholesaler, as a market sells it.
fn price(wholesaler: Wholesaler, market: Market, item: &Item<'_>) -> i64 {
    match (wholesaler, market) {
        (Wholesaler::Domeggook, Market::Supply) => item.price() * 12 / 100 * 10,
        (_, _) => item.price(),
    }
}

/// Holds a product against what the simulator says is so.
pub(crate) fn assert_true(
    wholesaler: Wholesaler,
    market: Market,
    product: &WholesaleProduct,
    item: &Item<'_>,
) {
    let key = &product.key;
    let expected = match item.availability() {
        Standing::OnSale => Availability::OnSale,
        Standing::SoldOut => Availability::SoldOut,
        Standing::Discontinued => Availability::Discontinued,
        Standing::Missing => panic!("{key} is shown nowhere"),
    };
    let is_ownerclan = wholesaler == Wholesaler::Ownerclan;
    let is_hollow = is_ownerclan && expected == Availability::Discontinued;
    let is_used_up = is_ownerclan && item.stock() == Units::Units(0);
    match product.availability {
        Availability::Unavailable if wholesaler == Wholesaler::Domeggook => {}
        Availability::SoldOut if is_used_up => {}
        availability => assert_eq!(availability, expected, "{key}"),
    }
    if is_hollow {
        assert_eq!((&product.name, product.price, product.stock), (&None, None, Stock::Unknown));
        return;
    }
    assert_eq!(product.name.as_ref().unwrap().as_str(), item.name().trim(), "{key}");
    let choices = item.choices().filter(|_| item.choice_count() > 1);
    let choices: Vec<_> = choices.map(|choice| (choice.label(), Some(choice.surcharge))).collect();
    let expected = (Some(price(wholesaler, market, item)), choices);
    assert_eq!(amounts(product), expected, "{key}");
    if wholesaler == Wholesaler::Zentrade {
        assert_eq!(product.stock, Stock::Unknown, "{key}");
        return;
    }
    assert_eq!(product.stock, units(item.stock()), "{key}");
    let stocks = item.choices().filter(|_| item.choice_count() > 1).map(|one| units(one.stock));
    let told = product.options.iter().map(|option| option.stock);
    assert_eq!(told.collect::<Vec<_>>(), stocks.collect::<Vec<_>>(), "{key}");
}

/// Whether a walk shows it.
fn is_shown(wholesaler: Wholesaler, market: Market, item: &Item<'_>) -> bool {
    let market = match market {
        Market::Dome => SimMarket::Dome,
        Market::Supply => SimMarket::Supply,
    };
    match item.availability() {
        Standing::OnSale => wholesaler != Wholesaler::Domeggook || market.sells(item),
        Standing::SoldOut => wholesaler != Wholesaler::Domeggook,
        Standing::Discontinued => wholesaler == Wholesaler::Ownerclan,
        Standing::Missing => false,
    }
}

/// A walk of everything agrees with what is so.
fn check(settings: Settings, market: Market) {
    let outside = Outside::with(settings).in_market(market);
    for &wholesaler in Wholesaler::ALL {
        let found = products(outside.walk(wholesaler, None));
        let catalogue = outside.simulator().catalogue(wholesaler);
        let items = catalogue.items(outside.now());
        let mut shown = 0;
        for item in items.filter(|item| is_shown(wholesaler, market, item)) {
            let key = Key::new(&item_key(wholesaler, item.number())).unwrap();
            let product = found.get(&key);
            let product = product.unwrap_or_else(|| panic!("{wholesaler:?} lacks {key}"));
            assert_true(wholesaler, market, product, &item);
            shown += 1;
        }
        assert_eq!(shown, found.len(), "{wholesaler:?}");
        assert_eq!(outside.simulator().blocks(), []);
    }
}

#[test]
fn a_walk_finds_every_item_once_as_it_is() {
    check(Settings::default().with_items(2_345), Market::Supply);
}

#[test]
fn a_walk_finds_every_item_once_in_each_spelling_of_the_documents() {
    let quirks = [
        Quirks {
            token_form: TokenForm::Quoted,
            metadata: Form::Text,
            numbers: Form::Text,
            ..Quirks::default()
        },
        Quirks {
            token_form: TokenForm::Object,
            metadata: Form::Native,
            numbers: Form::Native,
            empty_list: EmptyList::List,
            errors_below_root: true,
            declares_charset: false,
            ..Quirks::default()
        },
        Quirks { empty_list: EmptyList::Absent, ..Quirks::default() },
    ];
    for (seed, quirks) in (2..).zip(quirks) {
        // A page of Domeggook that is full and the last, and one with one item behind it.
        check(Settings { seed, quirks, ..Settings::default() }.with_items(401), Market::Dome);
    }
}

#[test]
fn catalogues_of_none_and_of_one_have_an_end() {
    for items in [0, 1] {
        let outside = Outside::of(items);
        for &wholesaler in Wholesaler::ALL {
            let found = products(outside.walk(wholesaler, None));
            assert!(found.len() as u64 <= items, "{wholesaler:?}");
        }
    }
}

#[test]
fn prices_by_quantity_are_those_of_the_market() {
    let outside = Outside::of(300).in_market(Market::Dome);
    let found = products(outside.walk(Wholesaler::Domeggook, None));
    let tiered = found.values().filter(|product| !product.tiers.is_empty());
    let mut count = 0;
    for product in tiered {
        let tiers: Vec<_> = product.tiers.iter().map(|tier| tier.min_quantity).collect();
        assert_eq!(tiers, [1, 20, 50]);
        assert_eq!(Some(product.tiers[0].price), product.price);
        assert!(product.tiers[2].price.amount() < product.tiers[0].price.amount());
        count += 1;
    }
    assert!((100..200).contains(&count), "{count}");
}

#[test]
fn items_are_found_by_their_keys_and_what_is_not_there_is_missing() {
    let outside = Outside::of(300);
    for &wholesaler in Wholesaler::ALL {
        let client = outside.client(wholesaler);
        let walked = products(outside.walk(wholesaler, None));
        let mut keys: Vec<Key> = walked.keys().take(12).cloned().collect();
        let nobody = match wholesaler {
            Wholesaler::Ownerclan => "WFFFFFF",
            Wholesaler::Zentrade => "99999",
            Wholesaler::Domeggook => "99999999",
        };
        keys.push(Key::new(nobody).unwrap());
        let page = outside.clock.run(client.find(&keys)).unwrap();
        assert_eq!(page.missing, [Key::new(nobody).unwrap()], "{wholesaler:?}");
        assert_eq!((page.read, page.rejected.len()), (13, 0));
        for product in &page.products {
            assert_eq!(walked.get(&product.key), Some(product));
        }
        assert_eq!(page.products.len(), 12);
        let none = outside.clock.run(client.find(&[])).unwrap();
        assert_eq!((none.read, none.products.len(), none.missing.len()), (0, 0, 0));
    }
}
