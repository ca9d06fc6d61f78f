//! An item of a wholesaler, as the catalogue takes it.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use jebi_batch::wholesaler::{Availability, ProductOption, Stock, WholesaleProduct};
use jebi_db_optimizer::collection::{Collection, Detail, Known, Staged, Variant};
use jebi_db_optimizer::random;
use jebi_domain::{Money, Pricing, ProductId, Wholesaler};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::page::Target;

/// What is told of an item, ready to be compared and stored.
pub(super) struct Row {
    key: String,
    product: WholesaleProduct,
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

impl Row {
    pub(super) fn new(product: WholesaleProduct) -> Self {
        let key = product.key.as_str().to_owned();
        let offer_hash = hash(&offer(&product));
        let detail_hash = hash(&written(&product));
        Self { key, product, offer_hash, detail_hash }
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn compare(
        self,
        with: Option<&Known>,
        target: &Target,
        (read_at, at): (DateTime<Utc>, DateTime<Utc>),
    ) -> Difference {
        let Collection { wholesaler, account, .. } = target.of;
        let pricing = &target.pricing;
        let (is_new, changes_offer, changes_detail) = match with {
            None if !is_sellable(&self.product) => return Difference::NoProduct,
            None => (true, true, true),
            // What is known is newer.
            Some(known) if known.read_at >= read_at => return Difference::None,
            Some(known) => {
                let other = |one, other| one != other;
                let offer = other(known.offer_hash, self.offer_hash);
                (false, offer, other(known.detail_hash, self.detail_hash))
            }
        };
        // Whose account is not in use any more is taken over.
        let is_ours = with.is_none_or(|known| known.account == account);
        if is_ours && !changes_offer && !changes_detail {
            return Difference::None;
        }
        let Self { key, product, offer_hash, detail_hash } = self;
        let cost = product.price;
        let id = with.map_or_else(|| ProductId::new(at, random()), |known| known.product);
        Difference::Some(Box::new(Staged {
            product: id,
            is_new,
            changes_offer,
            sku: format!("{}-{key}", wholesaler.as_str()),
            key,
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
        is_new: false,
        changes_offer: true,
        key: key.to_owned(),
        sku: format!("{}-{key}", wholesaler.as_str()),
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

fn detail(product: WholesaleProduct) -> Detail {
    let tiers = tiers(&product);
    Detail {
        name: product.name.map(jebi_domain::Text::into_string).unwrap_or_default(),
        category: product.category.map(|category| (category.code, category.name)),
        images: Value::from(product.images),
        description: product.description,
        tiers,
        raw: Value::Object(product.raw),
    }
}

fn tiers(product: &WholesaleProduct) -> Value {
    let tier = |tier: &jebi_batch::wholesaler::Tier| json!({ "min_quantity": tier.min_quantity, "cost_amount": tier.price.amount() });
    Value::from_iter(product.tiers.iter().map(tier))
}

/// What collection writes into the catalogue.
fn offer(product: &WholesaleProduct) -> Value {
    let option = |option: &ProductOption| {
        json!([
            option.key,
            option.name.as_str(),
            option.difference.map(Money::amount),
            stock(option.availability, option.stock),
        ])
    };
    json!([
        product.price.map(Money::amount),
        stock(product.availability, product.stock),
        word(product.availability),
        Value::from_iter(product.options.iter().map(option)),
    ])
}

/// All the rest.
fn written(product: &WholesaleProduct) -> Value {
    let category = product.category.as_ref();
    json!([
        product.name.as_ref().map(jebi_domain::Text::as_str),
        category.map(|category| (&category.code, &category.name)),
        product.images,
        product.description,
        tiers(product),
        product.raw,
    ])
}

/// The same in every process of every release: objects are written in the order of their names.
fn hash(value: &Value) -> i64 {
    let digest = digest(&SHA256, value.to_string().as_bytes());
    let (first, _) = digest.as_ref().split_first_chunk().expect("it has 32 bytes");
    i64::from_be_bytes(*first)
}
