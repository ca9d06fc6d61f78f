//! An item of a wholesaler, as the catalogue takes it.

use std::collections::HashSet;
use std::io::{self, Write};

use chrono::{DateTime, Utc};
use jebi_batch::wholesaler::{Availability, ProductOption, Stock, WholesaleProduct};
use jebi_db_optimizer::collection::{Collection, Detail, Known, Staged, Variant};
use jebi_db_optimizer::random;
use jebi_domain::{Money, Pricing, ProductId, Wholesaler};
use ring::digest::{Context, SHA256};
use serde::Serialize;
use serde_json::{Value, json};

use super::page::Target;

/// What is told of an item, ready to be compared and stored.
pub(super) struct Row<'a> {
    product: &'a WholesaleProduct,
    offer_hash: i64,
    detail_hash: i64,
}

/// How an item differs from what is known of it.
pub(super) enum Difference {
    None,
    /// It becomes no product: it has no name, no price, or cannot be had.
    NoProduct,
    Some(Box<Staged>),
}

impl<'a> Row<'a> {
    pub(super) fn new(product: &'a WholesaleProduct) -> Self {
        Self { product, offer_hash: hash(&offer(product)), detail_hash: hash(&written(product)) }
    }

    pub(super) fn key(&self) -> &'a str {
        self.product.key.as_str()
    }

    pub(super) fn compare(
        self,
        with: Option<&Known>,
        target: &Target,
        (read_at, at): (DateTime<Utc>, DateTime<Utc>),
    ) -> Difference {
        let Collection { wholesaler, account, .. } = target.of;
        let pricing = &target.pricing;
        let (changes_offer, changes_detail) = match with {
            None if !is_sellable(self.product) => return Difference::NoProduct,
            None => (true, true),
            // What is known is newer.
            Some(known) if known.read_at >= read_at => return Difference::None,
            Some(known) => {
                let other = |one, other| one != other;
                let offer = other(known.offer_hash, self.offer_hash);
                (offer, other(known.detail_hash, self.detail_hash))
            }
        };
        // Whose account is not in use any more is taken over.
        let is_ours = with.is_none_or(|known| known.account == account);
        if is_ours && !changes_offer && !changes_detail {
            return Difference::None;
        }
        let Self { product, offer_hash, detail_hash } = self;
        let (key, cost) = (product.key.as_str(), product.price);
        let id = with.map_or_else(|| ProductId::new(at, random()), |known| known.product);
        Difference::Some(Box::new(Staged {
            product: id,
            compared_with: with.map(|known| known.read_at),
            changes_offer,
            sku: sku(wholesaler, key),
            key: key.to_owned(),
            cost_amount: cost.map(Money::amount),
            wholesale_stock: stock(product.availability, product.stock),
            availability: word(product.availability),
            price: cost.and_then(|cost| pricing.price(cost).ok()).map(Money::amount),
            offer_hash,
            detail_hash,
            read_at,
            variants: variants(&product.options, pricing),
            had_variants: with.is_some_and(|known| known.has_variants),
            detail: changes_detail.then(|| detail(product)),
        }))
    }
}

/// One that is not there any more: there is nothing of it, and the rest stays as it is known.
pub(super) fn gone(key: &str, wholesaler: Wholesaler, known: &Known, at: DateTime<Utc>) -> Staged {
    Staged {
        product: known.product,
        compared_with: Some(known.read_at),
        changes_offer: true,
        key: key.to_owned(),
        sku: sku(wholesaler, key),
        cost_amount: None,
        wholesale_stock: Some(0),
        availability: GONE,
        price: None,
        // Of nothing: whatever is read of it later is a change.
        offer_hash: 0,
        detail_hash: known.detail_hash,
        read_at: at,
        variants: Vec::new(),
        had_variants: known.has_variants,
        detail: None,
    }
}

const GONE: &str = "gone";

/// The seller's code for what comes from a wholesaler.
pub(super) fn sku(wholesaler: Wholesaler, key: &str) -> String {
    format!("{}-{key}", wholesaler.as_str())
}

const fn word(availability: Availability) -> &'static str {
    match availability {
        Availability::OnSale => "on_sale",
        Availability::SoldOut => "sold_out",
        Availability::Unavailable => "unavailable",
        Availability::Discontinued => "discontinued",
        Availability::Unknown => "unknown",
    }
}

fn is_sellable(product: &WholesaleProduct) -> bool {
    let can_be_had = match product.availability {
        Availability::OnSale | Availability::SoldOut | Availability::Unknown => true,
        Availability::Unavailable | Availability::Discontinued => false,
    };
    can_be_had && product.name.is_some() && product.price.is_some()
}

/// What cannot be had is not there, whatever is counted.
fn stock(availability: Availability, stock: Stock) -> Option<i64> {
    match availability {
        Availability::SoldOut | Availability::Unavailable | Availability::Discontinued => Some(0),
        Availability::OnSale | Availability::Unknown => match stock {
            Stock::Units(units) => Some(units.into()),
            Stock::NotTracked | Stock::Unknown => None,
        },
    }
}

/// Each code once, as a wholesaler's list may not have it.
fn variants(options: &[ProductOption], pricing: &Pricing) -> Vec<Variant> {
    let mut codes = HashSet::new();
    let new = options.iter().filter(|option| codes.insert(&option.key));
    let variant = |option: &ProductOption| Variant {
        sku: option.key.clone(),
        name: option.name.as_str().to_owned(),
        extra_amount: option
            .difference
            .and_then(|extra| pricing.difference(extra).ok())
            .map_or(0, Money::amount),
        extra_cost_amount: option.difference.map(Money::amount),
        wholesale_stock: stock(option.availability, option.stock),
    };
    new.map(variant).collect()
}

fn detail(product: &WholesaleProduct) -> Detail {
    let WholesaleProduct { name, category, images, description, raw, .. } = product;
    let tier = |(min_quantity, cost_amount)| json!({ "min_quantity": min_quantity, "cost_amount": cost_amount });
    Detail {
        name: name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
        category: category.as_ref().map(|all| (all.code.clone(), all.name.clone())),
        images: json!(images),
        description: description.clone(),
        tiers: tiers(product).into_iter().map(tier).collect(),
        raw: Value::Object(raw.clone()),
    }
}

fn tiers(product: &WholesaleProduct) -> Vec<(u32, i64)> {
    product.tiers.iter().map(|tier| (tier.min_quantity, tier.price.amount())).collect()
}

/// What collection writes into the catalogue.
fn offer(product: &WholesaleProduct) -> impl Serialize + use<'_> {
    let option = |option: &'_ ProductOption| {
        let difference = option.difference.map(Money::amount);
        let stock = stock(option.availability, option.stock);
        (option.key.clone(), option.name.as_str().to_owned(), difference, stock)
    };
    let options: Vec<_> = product.options.iter().map(option).collect();
    let stock = stock(product.availability, product.stock);
    (product.price.map(Money::amount), stock, word(product.availability), options)
}

/// All the rest.
fn written(product: &WholesaleProduct) -> impl Serialize + use<'_> {
    let WholesaleProduct { name, category, images, description, raw, .. } = product;
    let category = category.as_ref().map(|category| (&category.code, &category.name));
    let name = name.as_ref().map(jebi_domain::Text::as_str);
    (name, category, images, description, tiers(product), raw)
}

/// The same in every process of every release: objects are written in the order of their names.
fn hash(value: &impl Serialize) -> i64 {
    struct Digest(Context);
    impl Write for Digest {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut digest = Digest(Context::new(&SHA256));
    serde_json::to_writer(&mut digest, value).expect("what is read as text is written as text");
    let digest = digest.0.finish();
    let (first, _) = digest.as_ref().split_first_chunk().expect("it has 32 bytes");
    i64::from_be_bytes(*first)
}

#[cfg(test)]
mod tests {
    use jebi_batch::wholesaler::{Category, Key, Tier};
    use jebi_domain::{AccountId, Currency, ProductStatus, Text};
    use uuid::Uuid;

    use super::*;

    fn won(amount: i64) -> Money {
        Money::new(amount, Currency::Krw).unwrap()
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn option(key: &str) -> ProductOption {
        ProductOption {
            key: key.to_owned(),
            name: Text::new("파랑").unwrap(),
            difference: Some(won(100)),
            stock: Stock::Units(3),
            availability: Availability::OnSale,
        }
    }

    fn product() -> WholesaleProduct {
        WholesaleProduct {
            key: Key::new("77").unwrap(),
            name: Text::new("컵").ok(),
            price: Some(won(1_000)),
            tiers: vec![Tier { min_quantity: 10, price: won(900) }],
            options: vec![option("01")],
            stock: Stock::Units(5),
            availability: Availability::OnSale,
            category: Some(Category { code: "004".to_owned(), name: "주방".to_owned() }),
            images: vec!["https://img.example.com/1.jpg".to_owned()],
            description: Some("<p>컵</p>".to_owned()),
            changed_at: None,
            raw: serde_json::Map::from_iter([("origin".to_owned(), json!("KR"))]),
        }
    }

    const OURS: u128 = 2;

    fn target() -> Target {
        let account = AccountId::from(Uuid::from_u128(OURS));
        let of = Collection {
            seller: Uuid::from_u128(1).into(),
            account,
            wholesaler: Wholesaler::Zentrade,
        };
        let pricing = Pricing::new(30, 0, ProductStatus::Draft).unwrap();
        Target { of, pricing, may_create: true }
    }

    /// What is known of an item that was read at 10 by an account.
    fn known(product: &WholesaleProduct, account: u128) -> Known {
        let Row { offer_hash, detail_hash, .. } = Row::new(product);
        Known {
            product: Uuid::from_u128(9).into(),
            account: Uuid::from_u128(account).into(),
            offer_hash,
            detail_hash,
            has_variants: true,
            read_at: at(10),
        }
    }

    fn compared(product: &WholesaleProduct, with: Option<&Known>, read_at: i64) -> Difference {
        Row::new(product).compare(with, &target(), (at(read_at), at(99)))
    }

    fn staged(product: &WholesaleProduct, with: Option<&Known>) -> Option<Staged> {
        match compared(product, with, 11) {
            Difference::Some(staged) => Some(*staged),
            Difference::None | Difference::NoProduct => None,
        }
    }

    #[test]
    fn an_item_that_nobody_knows_becomes_a_product_with_its_price() {
        let item = product();
        assert_eq!(Row::new(&item).key(), "77");
        let new = staged(&item, None).unwrap();
        assert_eq!((&*new.key, &*new.sku, new.compared_with), ("77", "zentrade-77", None));
        assert_eq!((new.cost_amount, new.price), (Some(1_000), Some(1_300)));
        assert_eq!((new.wholesale_stock, new.availability), (Some(5), "on_sale"));
        assert_eq!((new.read_at, new.changes_offer, new.had_variants), (at(11), true, false));
        let [Variant { sku, name, extra_amount, extra_cost_amount, wholesale_stock }] =
            &new.variants[..]
        else {
            panic!("there is one to choose")
        };
        assert_eq!((&**sku, &**name, *wholesale_stock), ("01", "파랑", Some(3)));
        assert_eq!((*extra_amount, *extra_cost_amount), (130, Some(100)));
        let detail = new.detail.unwrap();
        assert_eq!((&*detail.name, detail.description.as_deref()), ("컵", Some("<p>컵</p>")));
        assert_eq!(detail.category, Some(("004".to_owned(), "주방".to_owned())));
        assert_eq!(detail.images, json!(["https://img.example.com/1.jpg"]));
        assert_eq!(detail.tiers, json!([{ "min_quantity": 10, "cost_amount": 900 }]));
        assert_eq!(detail.raw, json!({ "origin": "KR" }));
    }

    #[test]
    fn what_has_no_name_no_price_or_cannot_be_had_becomes_no_product() {
        for item in [
            WholesaleProduct { name: None, ..product() },
            WholesaleProduct { price: None, ..product() },
            WholesaleProduct { availability: Availability::Discontinued, ..product() },
            WholesaleProduct { availability: Availability::Unavailable, ..product() },
        ] {
            assert!(matches!(compared(&item, None, 11), Difference::NoProduct), "{item:?}");
            assert!(staged(&item, Some(&known(&product(), OURS))).is_some(), "{item:?}");
        }
        let sold_out = WholesaleProduct { availability: Availability::SoldOut, ..product() };
        assert_eq!(staged(&sold_out, None).unwrap().availability, "sold_out");
    }

    #[test]
    fn what_is_as_it_was_is_not_written_and_nothing_older_than_what_is_known() {
        let (item, as_it_was) = (product(), known(&product(), OURS));
        assert!(matches!(compared(&item, Some(&as_it_was), 11), Difference::None));
        let changed = WholesaleProduct { price: Some(won(1_100)), ..product() };
        for earlier in [9, 10] {
            assert!(matches!(compared(&changed, Some(&as_it_was), earlier), Difference::None));
        }
    }

    #[test]
    fn of_what_changed_the_offer_or_the_rest_is_written() {
        let as_it_was = known(&product(), OURS);
        let dearer = WholesaleProduct { price: Some(won(1_100)), ..product() };
        let change = staged(&dearer, Some(&as_it_was)).unwrap();
        assert_eq!((change.product, change.compared_with), (as_it_was.product, Some(at(10))));
        assert!(change.changes_offer && change.detail.is_none() && change.had_variants);
        let renamed = WholesaleProduct { name: Text::new("머그").ok(), ..product() };
        let change = staged(&renamed, Some(&as_it_was)).unwrap();
        assert!(!change.changes_offer && change.detail.is_some());
    }

    #[test]
    fn what_another_account_saw_to_is_taken_over_as_it_is() {
        let change = staged(&product(), Some(&known(&product(), OURS + 1))).unwrap();
        assert!(!change.changes_offer && change.detail.is_none());
    }

    #[test]
    fn of_an_item_that_is_gone_nothing_is_left_and_the_rest_stays() {
        let known = known(&product(), OURS);
        let gone = gone("77", Wholesaler::Zentrade, &known, at(20));
        assert_eq!((gone.product, &*gone.key, &*gone.sku), (known.product, "77", "zentrade-77"));
        assert_eq!((gone.availability, gone.wholesale_stock), ("gone", Some(0)));
        assert_eq!((gone.compared_with, gone.read_at), (Some(at(10)), at(20)));
        assert_eq!((gone.offer_hash, gone.detail_hash), (0, known.detail_hash));
        assert!(gone.changes_offer && gone.had_variants && gone.detail.is_none());
    }

    #[test]
    fn a_code_that_is_told_twice_is_one_variant() {
        let options = [option("01"), option("02"), option("01")];
        let variants = variants(&options, &target().pricing);
        let codes: Vec<&str> = variants.iter().map(|variant| &*variant.sku).collect();
        assert_eq!(codes, ["01", "02"]);
    }

    #[test]
    fn a_hash_is_the_same_in_every_release() {
        // The first eight bytes of what `sha256sum` says of the JSON.
        assert_eq!(hash(&("무선 이어폰", Some(1_000), [1, 2])), 3_061_330_224_532_410_334);
        assert_ne!(hash(&(None::<i64>, 0)), hash(&(0, None::<i64>)));
    }

    #[test]
    fn what_cannot_be_had_is_not_there_and_what_is_not_known_is_not_0() {
        assert_eq!(stock(Availability::OnSale, Stock::Units(3)), Some(3));
        assert_eq!(stock(Availability::OnSale, Stock::NotTracked), None);
        assert_eq!(stock(Availability::OnSale, Stock::Unknown), None);
        for none in [Availability::SoldOut, Availability::Unavailable, Availability::Discontinued] {
            assert_eq!(stock(none, Stock::Units(3)), Some(0));
        }
    }
}
