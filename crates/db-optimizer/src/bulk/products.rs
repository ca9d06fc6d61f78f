use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use jebi_domain::{
    AccountId, Currency, EventId, Money, ProductId, ProductStatus, SellerId, Wholesaler,
};
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::batch::imported;
use super::copy::Copy;
use super::{Loader, failed};
use crate::Error;
use crate::random::random;

/// A product that the seller may not have yet.
#[derive(Debug, Clone)]
pub struct NewProduct {
    /// The seller's code for it.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// When it was first seen.
    pub created_at: DateTime<Utc>,
}

/// A product with all that belongs to it.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "they are the fields of `products::Product`")]
pub struct LoadedProduct {
    pub id: ProductId,
    pub sku: String,
    pub name: String,
    pub brand: Option<String>,
    pub wholesaler: Wholesaler,
    pub status: ProductStatus,
    pub currency: Currency,
    pub price: i64,
    pub cost_amount: i64,
    pub stock: i64,
    pub wholesale_stock: i64,
    pub created_at: DateTime<Utc>,
    pub variants: Vec<LoadedVariant>,
    pub listings: Vec<LoadedListing>,
}

/// A product in one colour, one size.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "they are the fields of `products::Variant`")]
pub struct LoadedVariant {
    pub sku: String,
    pub name: String,
    pub extra_amount: i64,
    pub stock: i64,
}

/// A product offered on a platform account.
#[derive(Debug, Clone)]
pub struct LoadedListing {
    /// Of the seller's accounts, this one.
    pub account: AccountId,
    /// How the platform calls the product; unique within the account.
    pub platform_product_id: String,
}

impl Loader {
    /// Adds the products that the seller lacks, with no price yet, and gives the ids of all, by code.
    /// Statements: 2, and 1 where something is new; in one transaction.
    ///
    /// # Errors
    /// [`Error::Copy`].
    pub async fn add_products(
        &mut self,
        seller: SellerId,
        currency: Currency,
        products: &[NewProduct],
    ) -> Result<HashMap<String, ProductId>, Error> {
        let ids: Vec<Uuid> =
            products.iter().map(|new| ProductId::new(new.created_at, random()).as_uuid()).collect();
        let skus: Vec<&str> = products.iter().map(|new| new.sku.as_str()).collect();
        let names: Vec<&str> = products.iter().map(|new| new.name.as_str()).collect();
        let times: Vec<DateTime<Utc>> = products.iter().map(|new| new.created_at).collect();
        let transaction = self.client.transaction().await.map_err(failed)?;
        let added = transaction
            .execute(
                "WITH added AS (
                     INSERT INTO products (id, seller_id, sku, name, created_at)
                     SELECT id, $1, sku, name, created_at
                     FROM unnest($2::uuid[], $3::text[], $4::text[], $5::timestamptz[])
                         AS new (id, sku, name, created_at)
                     ORDER BY sku
                     ON CONFLICT (seller_id, sku) DO NOTHING
                     RETURNING id
                 )
                 INSERT INTO product_offers (product_id, seller_id, currency)
                 SELECT id, $1, $6 FROM added",
                &[&seller.as_uuid(), &ids, &skus, &names, &times, &currency.as_str()],
            )
            .await
            .map_err(failed)?;
        if added > 0 {
            imported(&transaction, seller, "products", added).await?;
        }
        let sql = "SELECT sku, id FROM products WHERE seller_id = $1 AND sku = ANY($2)";
        let rows = transaction.query(sql, &[&seller.as_uuid(), &skus]).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(rows.into_iter().map(|row| (row.get(0), row.get::<_, Uuid>(1).into())).collect())
    }

    /// Stores those products that the seller does not have yet, by code, with offers, variants and listings,
    /// in one transaction; says how many there were.
    ///
    /// # Errors
    /// [`Error::Copy`]; nothing was stored then.
    pub async fn store_products(
        &mut self,
        seller: SellerId,
        products: &[LoadedProduct],
    ) -> Result<u64, Error> {
        let owner = seller;
        let seller = owner.as_uuid();
        let transaction = self.client.transaction().await.map_err(failed)?;
        let skus: Vec<&str> = products.iter().map(|new| new.sku.as_str()).collect();
        let known = "SELECT sku FROM products WHERE seller_id = $1 AND sku = ANY($2)";
        let known = transaction.query(known, &[&seller, &skus]).await.map_err(failed)?;
        let known: HashSet<String> = known.into_iter().map(|row| row.get(0)).collect();
        let new: Vec<&LoadedProduct> =
            products.iter().filter(|new| !known.contains(&new.sku)).collect();
        copy_products(&transaction, seller, &new).await?;
        copy_variants_and_listings(&transaction, seller, &new).await?;
        if !new.is_empty() {
            imported(&transaction, owner, "products", new.len() as u64).await?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(new.len() as u64)
    }

    /// Gives products the price that was seen last, where they have none. Statements: 2, in one transaction.
    ///
    /// # Errors
    /// [`Error::Copy`].
    pub async fn set_first_prices(
        &mut self,
        seller: SellerId,
        prices: &HashMap<ProductId, Money>,
    ) -> Result<(), Error> {
        let ids: Vec<Uuid> = prices.keys().map(|id| id.as_uuid()).collect();
        let amounts: Vec<i64> = prices.values().map(|price| price.amount()).collect();
        // Two imports at once lock the rows in one order.
        let sql = "WITH locked AS (
                       SELECT product_id FROM product_offers
                       WHERE product_id = ANY($2) AND seller_id = $1 AND price IS NULL
                       ORDER BY product_id
                       FOR NO KEY UPDATE
                   )
                   UPDATE product_offers AS o SET price = seen.price, updated_at = now()
                   FROM locked JOIN unnest($2::uuid[], $3::bigint[]) AS seen (product_id, price)
                       USING (product_id)
                   WHERE o.product_id = locked.product_id AND o.seller_id = $1
                     AND o.price IS NULL";
        let transaction = self.client.transaction().await.map_err(failed)?;
        let set = transaction.execute(sql, &[&seller.as_uuid(), &ids, &amounts]).await;
        let set = set.map_err(failed)?;
        if set > 0 {
            imported(&transaction, seller, "products", set).await?;
        }
        transaction.commit().await.map_err(failed)
    }
}

async fn copy_products(
    transaction: &Transaction<'_>,
    seller: Uuid,
    products: &[&LoadedProduct],
) -> Result<(), Error> {
    const PRODUCTS: &[(&str, Type)] = &[
        ("id", Type::UUID),
        ("seller_id", Type::UUID),
        ("sku", Type::TEXT),
        ("name", Type::TEXT),
        ("brand", Type::TEXT),
        ("wholesaler", Type::TEXT),
        ("status", Type::TEXT),
        ("created_at", Type::TIMESTAMPTZ),
    ];
    const OFFERS: &[(&str, Type)] = &[
        ("product_id", Type::UUID),
        ("seller_id", Type::UUID),
        ("currency", Type::TEXT),
        ("price", Type::INT8),
        ("cost_amount", Type::INT8),
        ("stock", Type::INT8),
        ("wholesale_stock", Type::INT8),
    ];
    let mut copy = Copy::start(transaction, "products", PRODUCTS).await?;
    for new in products {
        copy.row(&[
            &new.id.as_uuid(),
            &seller,
            &new.sku,
            &new.name,
            &new.brand,
            &new.wholesaler.as_str(),
            &new.status.as_str(),
            &new.created_at,
        ])
        .await?;
    }
    copy.finish().await?;
    let mut copy = Copy::start(transaction, "product_offers", OFFERS).await?;
    for new in products {
        copy.row(&[
            &new.id.as_uuid(),
            &seller,
            &new.currency.as_str(),
            &new.price,
            &new.cost_amount,
            &new.stock,
            &new.wholesale_stock,
        ])
        .await?;
    }
    copy.finish().await
}

async fn copy_variants_and_listings(
    transaction: &Transaction<'_>,
    seller: Uuid,
    products: &[&LoadedProduct],
) -> Result<(), Error> {
    const VARIANTS: &[(&str, Type)] = &[
        ("id", Type::UUID),
        ("seller_id", Type::UUID),
        ("product_id", Type::UUID),
        ("sku", Type::TEXT),
        ("name", Type::TEXT),
        ("extra_amount", Type::INT8),
        ("stock", Type::INT8),
    ];
    const LISTINGS: &[(&str, Type)] = &[
        ("id", Type::UUID),
        ("seller_id", Type::UUID),
        ("product_id", Type::UUID),
        ("platform_account_id", Type::UUID),
        ("platform_product_id", Type::TEXT),
        ("status", Type::TEXT),
    ];
    let id = |at| EventId::new(at, random()).as_uuid();
    let mut copy = Copy::start(transaction, "product_variants", VARIANTS).await?;
    for new in products {
        for LoadedVariant { sku, name, extra_amount, stock } in &new.variants {
            let (id, product) = (id(new.created_at), new.id.as_uuid());
            copy.row(&[&id, &seller, &product, sku, name, extra_amount, stock]).await?;
        }
    }
    copy.finish().await?;
    let mut copy = Copy::start(transaction, "platform_listings", LISTINGS).await?;
    for new in products {
        for LoadedListing { account, platform_product_id } in &new.listings {
            let (id, product) = (id(new.created_at), new.id.as_uuid());
            let account = account.as_uuid();
            copy.row(&[&id, &seller, &product, &account, platform_product_id, &"selling"]).await?;
        }
    }
    copy.finish().await
}
