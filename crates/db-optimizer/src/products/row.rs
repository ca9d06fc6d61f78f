use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use diesel_async::AsyncPgConnection;
use futures::try_join;
use jebi_domain::{Currency, Platform, Position, ProductId, ProductStatus, SellerId, Wholesaler};
use uuid::Uuid;

use super::page::Extras;
use crate::{Bind, Error, Statement};

pub(super) type UuidSql = diesel::sql_types::Uuid;

/// A product of a seller's catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its id.
    pub id: ProductId,
    /// The seller's code for it.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// Who makes it, if anybody is named.
    pub brand: Option<String>,
    /// Who ships it; nobody where the seller does.
    pub wholesaler: Option<Wholesaler>,
    /// What the seller decided about it.
    pub status: ProductStatus,
    /// Of its amounts.
    pub currency: Currency,
    /// What the seller takes for it, in minor units, if that is known.
    pub price: Option<i64>,
    /// What the wholesaler takes for it, if that is known.
    pub cost_amount: Option<i64>,
    /// How many the seller has, if that is tracked.
    pub stock: Option<i64>,
    /// How many the wholesaler has, if that is tracked.
    pub wholesale_stock: Option<i64>,
    /// Rises with every visible change.
    pub version: i64,
    /// When it was first seen.
    pub created_at: DateTime<Utc>,
    /// When it last changed here.
    pub updated_at: DateTime<Utc>,
    /// Its variants, by code, where they were asked for.
    pub variants: Option<Vec<Variant>>,
    /// Where it is offered, where that was asked for.
    pub listings: Option<Vec<Listing>>,
}

/// A product in one colour, one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Its id.
    pub id: Uuid,
    /// The seller's code for it.
    pub sku: String,
    /// What is different about it.
    pub name: String,
    /// On top of the product's price; may be negative.
    pub extra_amount: i64,
    /// On top of the product's cost, if that is known; may be negative.
    pub extra_cost_amount: Option<i64>,
    /// How many the seller has, if that is tracked.
    pub stock: Option<i64>,
    /// How many the wholesaler has, if that is tracked.
    pub wholesale_stock: Option<i64>,
}

/// A product offered on a platform account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Its id.
    pub id: Uuid,
    /// Where.
    pub platform: Platform,
    /// How the platform calls it.
    pub platform_product_id: String,
    /// `selling`, `paused` or `ended`.
    pub status: String,
}

/// What a statement reads of a product `p` and its offer `o`.
pub(super) const COLUMNS: &str = "p.id, p.seller_id, p.sku, p.name, p.brand, p.wholesaler, p.status, \
                                  o.currency, o.price, o.cost_amount, o.stock, o.wholesale_stock, \
                                  o.version, p.created_at, o.updated_at";

pub(super) type ProductSql = (
    UuidSql,
    UuidSql,
    Text,
    Text,
    Nullable<Text>,
    Nullable<Text>,
    Text,
    Text,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    BigInt,
    Timestamptz,
    Timestamptz,
);

#[derive(Queryable)]
pub(super) struct ProductRow {
    pub(super) id: Uuid,
    seller_id: Uuid,
    sku: String,
    name: String,
    brand: Option<String>,
    wholesaler: Option<String>,
    status: String,
    currency: String,
    price: Option<i64>,
    cost_amount: Option<i64>,
    stock: Option<i64>,
    wholesale_stock: Option<i64>,
    version: i64,
    pub(super) created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Rows being turned into products: whose, and what to say where a row is wrong.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub(super) action: &'static str,
    pub(super) seller: SellerId,
}

impl Reading {
    /// As for orders: a row is believed only when it is the seller's who asked.
    pub(super) fn check_seller(self, seller: Uuid) -> Result<(), Error> {
        if seller == self.seller.as_uuid() { Ok(()) } else { Err(self.corrupt("seller")) }
    }

    fn word<T: std::str::FromStr>(self, what: &'static str, text: &str) -> Result<T, Error> {
        text.parse().map_err(|_| self.corrupt(what))
    }

    fn corrupt(self, what: &'static str) -> Error {
        Error::CorruptRow { action: self.action, what }
    }
}

impl ProductRow {
    pub(super) fn position(&self) -> Position {
        Position { created_at: self.created_at, id: self.id }
    }

    pub(super) fn assemble(self, reading: Reading) -> Result<Product, Error> {
        reading.check_seller(self.seller_id)?;
        let wholesaler =
            self.wholesaler.map(|word| reading.word("wholesaler", &word)).transpose()?;
        Ok(Product {
            id: self.id.into(),
            wholesaler,
            status: reading.word("status", &self.status)?,
            currency: reading.word("currency", &self.currency)?,
            sku: self.sku,
            name: self.name,
            brand: self.brand,
            price: self.price,
            cost_amount: self.cost_amount,
            stock: self.stock,
            wholesale_stock: self.wholesale_stock,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
            variants: None,
            listings: None,
        })
    }
}

/// Adds the variants and listings that were asked for. Statements: 0 to 2, in one round trip.
pub(super) async fn add_extras(
    connection: &AsyncPgConnection,
    reading: Reading,
    products: &mut [Product],
    extras: Extras,
) -> Result<(), Error> {
    let ids: Vec<Uuid> = products.iter().map(|product| product.id.as_uuid()).collect();
    let variants = async {
        match extras.variants {
            true => variants_statement(reading.seller, ids.clone()).all(connection).await.map(Some),
            false => Ok(None),
        }
    };
    let listings = async {
        match extras.listings {
            true => listings_statement(reading.seller, ids.clone()).all(connection).await.map(Some),
            false => Ok(None),
        }
    };
    let (variants, listings): (Option<Vec<VariantRow>>, Option<Vec<ListingRow>>) =
        try_join!(variants, listings).map_err(Error::of(reading.action))?;
    if let Some(rows) = variants {
        let mut by_product: HashMap<Uuid, Vec<Variant>> = HashMap::new();
        for row in rows {
            reading.check_seller(row.seller)?;
            by_product.entry(row.product).or_default().push(row.into());
        }
        for product in &mut *products {
            product.variants = Some(by_product.remove(&product.id.as_uuid()).unwrap_or_default());
        }
    }
    if let Some(rows) = listings {
        let mut by_product: HashMap<Uuid, Vec<Listing>> = HashMap::new();
        for (product, seller, id, platform, platform_product_id, status) in rows {
            reading.check_seller(seller)?;
            let platform = reading.word("platform", &platform)?;
            let listing = Listing { id, platform, platform_product_id, status };
            by_product.entry(product).or_default().push(listing);
        }
        for product in products {
            product.listings = Some(by_product.remove(&product.id.as_uuid()).unwrap_or_default());
        }
    }
    Ok(())
}

pub(crate) type VariantSql = (
    UuidSql,
    UuidSql,
    UuidSql,
    Text,
    Text,
    BigInt,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
);

#[derive(Queryable)]
struct VariantRow {
    product: Uuid,
    seller: Uuid,
    id: Uuid,
    sku: String,
    name: String,
    extra_amount: i64,
    extra_cost_amount: Option<i64>,
    stock: Option<i64>,
    wholesale_stock: Option<i64>,
}

impl From<VariantRow> for Variant {
    fn from(row: VariantRow) -> Self {
        Self {
            id: row.id,
            sku: row.sku,
            name: row.name,
            extra_amount: row.extra_amount,
            extra_cost_amount: row.extra_cost_amount,
            stock: row.stock,
            wholesale_stock: row.wholesale_stock,
        }
    }
}

pub(crate) fn variants_statement(seller: SellerId, products: Vec<Uuid>) -> Statement<VariantSql> {
    Statement::new(
        "SELECT product_id, seller_id, id, sku, name, extra_amount, extra_cost_amount, stock,
             wholesale_stock
         FROM product_variants
         WHERE product_id = ANY($1) AND seller_id = $2 ORDER BY product_id, sku",
        vec![Bind::from(products), Bind::from(seller)],
    )
}

pub(crate) type ListingSql = (UuidSql, UuidSql, UuidSql, Text, Text, Text);
type ListingRow = (Uuid, Uuid, Uuid, String, String, String);

pub(crate) fn listings_statement(seller: SellerId, products: Vec<Uuid>) -> Statement<ListingSql> {
    Statement::new(
        "SELECT l.product_id, l.seller_id, l.id, a.kind, l.platform_product_id, l.status
         FROM platform_listings AS l
         JOIN platform_accounts AS a ON a.id = l.platform_account_id AND a.seller_id = l.seller_id
         WHERE l.product_id = ANY($1) AND l.seller_id = $2
         ORDER BY l.product_id, a.kind, l.platform_product_id",
        vec![Bind::from(products), Bind::from(seller)],
    )
}
