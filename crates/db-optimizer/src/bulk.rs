//! Bulk loads by COPY, as the database's owner: COPY does not work under row security, so that each
//! function writes the one seller it is given.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use chrono::{DateTime, Utc};
use futures::{SinkExt as _, TryStreamExt as _};
use jebi_domain::{
    AccountId, ClaimId, ClaimKind, Currency, Customer, EventId, Money, NewOrder, Platform,
    ProductId, ProductStatus, SellerId, SellerKeys, Wholesaler,
};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls, Transaction};
use uuid::Uuid;

use crate::housekeeping::{FOLD_ORDERS, FOLD_PRODUCTS};
use crate::random::random;
use crate::{Error, Refused};

/// A connection for bulk loads.
pub struct Loader {
    client: Client,
}

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

/// A seller's accounts, one of each kind.
#[derive(Debug, Clone)]
pub struct Accounts(Vec<(Platform, AccountId)>);

impl Accounts {
    /// The account of a platform.
    ///
    /// # Panics
    /// Never: there is one of each kind.
    #[must_use]
    pub fn of(&self, platform: Platform) -> AccountId {
        let found = self.0.iter().find(|(known, _)| *known == platform);
        found.map(|(_, account)| *account).expect("there is one of each kind")
    }
}

/// A claim that is to be stored.
#[derive(Debug, Clone)]
pub struct NewClaim {
    /// With which of the seller's accounts.
    pub account: AccountId,
    /// How the platform calls it; unique within the account.
    pub platform_claim_id: String,
    /// Why money or goods go back.
    pub kind: ClaimKind,
    /// The sum of its lines, negative where money goes back.
    pub total: Money,
    /// Whose it is.
    pub customer: Customer,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// What it is about.
    pub lines: Vec<NewClaimLine>,
}

/// A line of a claim.
#[derive(Debug, Clone)]
pub struct NewClaimLine {
    /// The product.
    pub product_id: ProductId,
    /// The seller's code for it.
    pub sku: String,
    /// Its name.
    pub product_name: String,
    /// Negative where goods come back.
    pub quantity: i32,
    /// Of one of them.
    pub price: Money,
}

/// An order, and the prices that it showed to have changed.
#[derive(Debug, Clone)]
pub struct LoadedOrder {
    /// The order.
    pub order: NewOrder,
    /// In the order in which they were seen.
    pub prices: Vec<PriceChange>,
}

/// A price that differs from the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceChange {
    /// Of this product.
    pub product: ProductId,
    /// From now on.
    pub price: Money,
    /// Now.
    pub at: DateTime<Utc>,
}

/// Orders and claims that are stored together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Orders.
    pub orders: Vec<LoadedOrder>,
    /// Claims.
    pub claims: Vec<NewClaim>,
}

/// What a batch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stored {
    /// Orders that were new.
    pub orders: u64,
    /// Their lines.
    pub lines: u64,
    /// Claims that were new.
    pub claims: u64,
}

impl std::ops::Add for Stored {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            orders: self.orders + other.orders,
            lines: self.lines + other.lines,
            claims: self.claims + other.claims,
        }
    }
}

const ACTION: &str = "load orders";

fn failed(source: tokio_postgres::Error) -> Error {
    Error::Copy { action: ACTION, source: Refused(source) }
}

impl Loader {
    /// Connects as the role that the URL names, which has to own the tables.
    ///
    /// # Errors
    /// [`Error::NoConnection`].
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let no_connection = |error| Error::NoConnection(Box::new(error));
        let mut config = tokio_postgres::Config::from_str(url).map_err(no_connection)?;
        config.application_name("jebi import");
        let (client, driver) = config.connect(NoTls).await.map_err(no_connection)?;
        // It ends with the client, whose next call reports what went wrong.
        tokio::spawn(driver);
        Ok(Self { client })
    }

    /// The account of the seller's own shop.
    ///
    /// # Errors
    /// [`Error::Copy`].
    pub async fn own_shop(&self, seller: SellerId) -> Result<AccountId, Error> {
        let sql = "SELECT id FROM platform_accounts WHERE seller_id = $1 AND kind = 'direct'";
        let row = self.client.query_one(sql, &[&seller.as_uuid()]).await.map_err(failed)?;
        Ok(row.get::<_, Uuid>(0).into())
    }

    /// Adds the products that the seller lacks, with no price yet, and gives the ids of all, by code.
    /// Statements: 2, in one transaction.
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
        transaction
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
        let sql = "SELECT sku, id FROM products WHERE seller_id = $1 AND sku = ANY($2)";
        let rows = transaction.query(sql, &[&seller.as_uuid(), &skus]).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(rows.into_iter().map(|row| (row.get(0), row.get::<_, Uuid>(1).into())).collect())
    }

    /// The seller's accounts, one of each kind; those that are missing are added. Statements: 1 for each kind.
    ///
    /// # Errors
    /// [`Error::Copy`].
    pub async fn accounts(&self, seller: SellerId) -> Result<Accounts, Error> {
        let find = "SELECT id FROM platform_accounts WHERE seller_id = $1 AND kind = $2
                    ORDER BY created_at, id LIMIT 1";
        let add =
            "INSERT INTO platform_accounts (id, seller_id, kind, name) VALUES ($1, $2, $3, $3)";
        let mut accounts = Vec::with_capacity(Platform::ALL.len());
        for platform in Platform::ALL {
            let (seller, kind) = (seller.as_uuid(), platform.as_str());
            let found = self.client.query_opt(find, &[&seller, &kind]).await.map_err(failed)?;
            let id = match found {
                Some(row) => row.get(0),
                None => {
                    let id = AccountId::new(Utc::now(), random()).as_uuid();
                    self.client.execute(add, &[&id, &seller, &kind]).await.map_err(failed)?;
                    id
                }
            };
            accounts.push((*platform, id.into()));
        }
        Ok(Accounts(accounts))
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
        let seller = seller.as_uuid();
        let transaction = self.client.transaction().await.map_err(failed)?;
        let skus: Vec<&str> = products.iter().map(|new| new.sku.as_str()).collect();
        let known = "SELECT sku FROM products WHERE seller_id = $1 AND sku = ANY($2)";
        let known = transaction.query(known, &[&seller, &skus]).await.map_err(failed)?;
        let known: HashSet<String> = known.into_iter().map(|row| row.get(0)).collect();
        let new: Vec<&LoadedProduct> =
            products.iter().filter(|new| !known.contains(&new.sku)).collect();
        copy_products(&transaction, seller, &new).await?;
        copy_variants_and_listings(&transaction, seller, &new).await?;
        transaction.commit().await.map_err(failed)?;
        Ok(new.len() as u64)
    }

    /// Gives products the price that was seen last, where they have none. Statements: 1.
    ///
    /// # Errors
    /// [`Error::Copy`].
    pub async fn set_first_prices(
        &self,
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
        let set = self.client.execute(sql, &[&seller.as_uuid(), &ids, &amounts]).await;
        set.map(|_| ()).map_err(failed)
    }

    /// Stores those of a batch's orders and claims that their accounts do not have yet, with lines,
    /// history, price changes and one event, in one transaction. Where somebody else stores one of them at
    /// the same moment, the rest is done again.
    ///
    /// # Errors
    /// [`Error::Copy`]; nothing of the batch was stored then.
    pub async fn store(&mut self, keys: &SellerKeys, batch: &Batch) -> Result<Stored, Error> {
        const TRIES: usize = 10;
        for _ in 1..TRIES {
            match self.store_once(keys, batch).await {
                Err(Error::Copy { source, .. }) if source.is_a_race() => {}
                stored => return stored,
            }
        }
        self.store_once(keys, batch).await
    }

    /// Folds the totals of a seller after a load, which leaves a difference for nearly every order, and clears
    /// away what folding leaves: until then every total would read all of it.
    ///
    /// # Errors
    /// [`Error::Copy`].
    pub async fn fold_totals(&mut self, seller: SellerId) -> Result<(), Error> {
        for fold in [FOLD_ORDERS, FOLD_PRODUCTS] {
            self.client.query(fold, &[&seller.as_uuid()]).await.map_err(failed)?;
        }
        for table in ["order_total_deltas", "product_total_deltas"] {
            self.client.batch_execute(&format!("VACUUM {table}")).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Loads a seller's rows once more, by bare COPY into tables with the same columns and indexes but
    /// without triggers and foreign keys, and says how long the COPYs took. The tables are dropped again.
    ///
    /// # Errors
    /// [`Error::Copy`].
    pub async fn copy_again(&mut self, seller: SellerId) -> Result<Duration, Error> {
        const CHUNK_BYTES: usize = 64 << 10;
        const TABLES: [&str; 9] = [
            "products",
            "product_offers",
            "orders",
            "order_items",
            "order_history",
            "order_search",
            "price_history",
            "claims",
            "claim_items",
        ];
        let mut took = Duration::ZERO;
        for table in TABLES {
            let again = format!("{table}_copied_again");
            let create = format!(
                "DROP TABLE IF EXISTS {again}; CREATE TABLE {again} (LIKE {table} INCLUDING ALL)"
            );
            self.client.batch_execute(&create).await.map_err(failed)?;
            let select = format!(
                "COPY (SELECT * FROM {table} WHERE seller_id = '{seller}') TO STDOUT (FORMAT binary)"
            );
            let rows = self.client.copy_out(&select).await.map_err(failed)?;
            let rows = rows.try_fold(BytesMut::new(), |mut all, row| async move {
                all.extend_from_slice(&row);
                Ok(all)
            });
            let mut rows = rows.await.map_err(failed)?.freeze();

            let started = Instant::now();
            let copy = format!("COPY {again} FROM STDIN (FORMAT binary)");
            let sink = self.client.copy_in(&copy).await.map_err(failed)?;
            let mut sink = std::pin::pin!(sink);
            while !rows.is_empty() {
                let chunk = rows.split_to(rows.len().min(CHUNK_BYTES));
                sink.send(chunk).await.map_err(failed)?;
            }
            sink.finish().await.map_err(failed)?;
            took += started.elapsed();
            self.client.batch_execute(&format!("DROP TABLE {again}")).await.map_err(failed)?;
        }
        Ok(took)
    }

    async fn store_once(&mut self, keys: &SellerKeys, batch: &Batch) -> Result<Stored, Error> {
        let transaction = self.client.transaction().await.map_err(failed)?;
        let load = Load { transaction: &transaction, keys };
        let orders = load.new_orders(&batch.orders).await?;
        let claims = load.new_claims(&batch.claims).await?;
        let stored = Stored {
            orders: orders.len() as u64,
            lines: orders.iter().map(|new| new.order.lines.len() as u64).sum(),
            claims: claims.len() as u64,
        };
        if !orders.is_empty() {
            load.orders(&orders).await?;
            load.lines(&orders).await?;
            load.tokens(&orders).await?;
            load.history(&orders).await?;
            load.prices(&orders).await?;
            load.event(orders.len()).await?;
        }
        if !claims.is_empty() {
            load.claims(&claims).await?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(stored)
    }
}

/// One batch on its way into the tables.
struct Load<'a> {
    transaction: &'a Transaction<'a>,
    keys: &'a SellerKeys,
}

impl Load<'_> {
    async fn new_orders<'b>(
        &self,
        orders: &'b [LoadedOrder],
    ) -> Result<Vec<&'b LoadedOrder>, Error> {
        let name = |new: &LoadedOrder| (new.order.account, new.order.platform_order_id.clone());
        let known = self.known("orders", "platform_order_id", orders.iter().map(name)).await?;
        Ok(orders.iter().filter(|new| !known.contains(&name(new))).collect())
    }

    async fn new_claims<'b>(&self, claims: &'b [NewClaim]) -> Result<Vec<&'b NewClaim>, Error> {
        let name = |new: &NewClaim| (new.account, new.platform_claim_id.clone());
        let known = self.known("claims", "platform_claim_id", claims.iter().map(name)).await?;
        Ok(claims.iter().filter(|new| !known.contains(&name(new))).collect())
    }

    /// Which of some names, each of an account, are taken.
    async fn known(
        &self,
        table: &str,
        column: &str,
        names: impl Iterator<Item = (AccountId, String)>,
    ) -> Result<HashSet<(AccountId, String)>, Error> {
        let sql = format!(
            "SELECT platform_account_id, {column}
             FROM unnest($2::uuid[], $3::text[]) AS wanted (account, name)
             JOIN {table} ON seller_id = $1 AND platform_account_id = account AND {column} = name"
        );
        let (accounts, names): (Vec<Uuid>, Vec<String>) =
            names.map(|(account, name)| (account.as_uuid(), name)).unzip();
        let rows = self.transaction.query(&sql, &[&self.seller(), &accounts, &names]).await;
        let name = |row: tokio_postgres::Row| (row.get::<_, Uuid>(0).into(), row.get(1));
        Ok(rows.map_err(failed)?.into_iter().map(name).collect())
    }

    async fn orders(&self, orders: &[&LoadedOrder]) -> Result<(), Error> {
        const COLUMNS: &[(&str, Type)] = &[
            ("id", Type::UUID),
            ("seller_id", Type::UUID),
            ("platform", Type::TEXT),
            ("platform_account_id", Type::UUID),
            ("platform_order_id", Type::TEXT),
            ("order_number", Type::TEXT),
            ("status", Type::TEXT),
            ("currency", Type::TEXT),
            ("items_count", Type::INT4),
            ("items_amount", Type::INT8),
            ("shipping_amount", Type::INT8),
            ("discount_amount", Type::INT8),
            ("total_amount", Type::INT8),
            ("customer", Type::BYTEA),
            ("memo", Type::TEXT),
            ("created_at", Type::TIMESTAMPTZ),
        ];
        let mut copy = Copy::start(self.transaction, "orders", COLUMNS).await?;
        for LoadedOrder { order, .. } in orders {
            let amounts = &order.amounts;
            copy.row(&[
                &order.id.as_uuid(),
                &self.seller(),
                &order.platform.as_str(),
                &order.account.as_uuid(),
                &order.platform_order_id,
                &order.order_number,
                &order.status.as_str(),
                &amounts.total().currency().as_str(),
                &number(order.lines.len()),
                &amounts.items().amount(),
                &amounts.shipping().amount(),
                &amounts.discount().amount(),
                &amounts.total().amount(),
                &self.keys.seal_customer(order.id.as_uuid(), &order.customer, random()),
                &order.memo,
                &order.created_at,
            ])
            .await?;
        }
        copy.finish().await
    }

    async fn lines(&self, orders: &[&LoadedOrder]) -> Result<(), Error> {
        let mut copy =
            Copy::start(self.transaction, "order_items", &line_columns("order_id")).await?;
        for LoadedOrder { order, .. } in orders {
            for (line, line_no) in order.lines.iter().zip(1_i32..) {
                copy.row(&[
                    &order.id.as_uuid(),
                    &line_no,
                    &self.seller(),
                    &line.product_id.as_uuid(),
                    &line.sku,
                    &line.product_name,
                    &line.quantity.units().cast_signed(),
                    &line.price.amount(),
                ])
                .await?;
            }
        }
        copy.finish().await
    }

    async fn tokens(&self, orders: &[&LoadedOrder]) -> Result<(), Error> {
        const COLUMNS: &[(&str, Type)] = &[
            ("seller_id", Type::UUID),
            ("token", Type::INT8),
            ("created_at", Type::TIMESTAMPTZ),
            ("order_id", Type::UUID),
        ];
        let mut copy = Copy::start(self.transaction, "order_search", COLUMNS).await?;
        for LoadedOrder { order, .. } in orders {
            for token in self.keys.search_tokens_of(&order.order_number, &order.customer) {
                let id = order.id.as_uuid();
                copy.row(&[&self.seller(), &token, &order.created_at, &id]).await?;
            }
        }
        copy.finish().await
    }

    async fn history(&self, orders: &[&LoadedOrder]) -> Result<(), Error> {
        const COLUMNS: &[(&str, Type)] = &[
            ("order_id", Type::UUID),
            ("version", Type::INT8),
            ("seller_id", Type::UUID),
            ("status", Type::TEXT),
            ("actor", Type::TEXT),
            ("reason", Type::TEXT),
        ];
        let mut copy = Copy::start(self.transaction, "order_history", COLUMNS).await?;
        for LoadedOrder { order, .. } in orders {
            copy.row(&[
                &order.id.as_uuid(),
                &1_i64,
                &self.seller(),
                &order.status.as_str(),
                &"import",
                &"order imported",
            ])
            .await?;
        }
        copy.finish().await
    }

    async fn prices(&self, orders: &[&LoadedOrder]) -> Result<(), Error> {
        const COLUMNS: &[(&str, Type)] = &[
            ("product_id", Type::UUID),
            ("seller_id", Type::UUID),
            ("changed_at", Type::TIMESTAMPTZ),
            ("id", Type::UUID),
            ("currency", Type::TEXT),
            ("price", Type::INT8),
        ];
        let mut copy = Copy::start(self.transaction, "price_history", COLUMNS).await?;
        let changes = orders.iter().flat_map(|loaded| &loaded.prices);
        for (sequence, change) in (0_u32..).zip(changes) {
            // Changes of one millisecond sort in the order in which they were seen.
            let mut tail: [u8; 10] = random();
            tail[..6].copy_from_slice(&u64::from(sequence).to_be_bytes()[2..]);
            copy.row(&[
                &change.product.as_uuid(),
                &self.seller(),
                &change.at,
                &EventId::new(change.at, tail).as_uuid(),
                &change.price.currency().as_str(),
                &change.price.amount(),
            ])
            .await?;
        }
        copy.finish().await
    }

    async fn claims(&self, claims: &[&NewClaim]) -> Result<(), Error> {
        const COLUMNS: &[(&str, Type)] = &[
            ("id", Type::UUID),
            ("seller_id", Type::UUID),
            ("platform_account_id", Type::UUID),
            ("platform_claim_id", Type::TEXT),
            ("kind", Type::TEXT),
            ("currency", Type::TEXT),
            ("total_amount", Type::INT8),
            ("customer", Type::BYTEA),
            ("created_at", Type::TIMESTAMPTZ),
        ];
        let ids: Vec<Uuid> =
            claims.iter().map(|new| ClaimId::new(new.created_at, random()).as_uuid()).collect();
        let mut copy = Copy::start(self.transaction, "claims", COLUMNS).await?;
        for (claim, id) in claims.iter().zip(&ids) {
            copy.row(&[
                id,
                &self.seller(),
                &claim.account.as_uuid(),
                &claim.platform_claim_id,
                &claim.kind.as_str(),
                &claim.total.currency().as_str(),
                &claim.total.amount(),
                &self.keys.seal_customer(*id, &claim.customer, random()),
                &claim.created_at,
            ])
            .await?;
        }
        copy.finish().await?;

        let mut copy =
            Copy::start(self.transaction, "claim_items", &line_columns("claim_id")).await?;
        for (claim, id) in claims.iter().zip(&ids) {
            for (line, line_no) in claim.lines.iter().zip(1_i32..) {
                copy.row(&[
                    id,
                    &line_no,
                    &self.seller(),
                    &line.product_id.as_uuid(),
                    &line.sku,
                    &line.product_name,
                    &line.quantity,
                    &line.price.amount(),
                ])
                .await?;
            }
        }
        copy.finish().await
    }

    /// One event for the batch: it tells listeners that orders came, not which.
    async fn event(&self, orders: usize) -> Result<(), Error> {
        let now = Utc::now();
        let payload = serde_json::json!({ "orders": orders }).to_string();
        let sql = "INSERT INTO outbox (id, seller_id, event, aggregate_id, version, payload)
                   VALUES ($1, $2, 'orders:imported', $2, 1, $3::text::jsonb)";
        let id = EventId::new(now, random()).as_uuid();
        let seller = self.seller();
        let sent = self.transaction.execute(sql, &[&id, &seller, &payload]).await;
        sent.map(|_| ()).map_err(failed)
    }

    fn seller(&self) -> Uuid {
        self.keys.seller().as_uuid()
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

fn line_columns(parent: &'static str) -> [(&'static str, Type); 8] {
    [
        (parent, Type::UUID),
        ("line_no", Type::INT4),
        ("seller_id", Type::UUID),
        ("product_id", Type::UUID),
        ("sku", Type::TEXT),
        ("product_name", Type::TEXT),
        ("quantity", Type::INT4),
        ("price", Type::INT8),
    ]
}

/// A COPY in the binary format, under way.
struct Copy {
    writer: Pin<Box<BinaryCopyInWriter>>,
}

impl Copy {
    async fn start(
        transaction: &Transaction<'_>,
        table: &str,
        columns: &[(&str, Type)],
    ) -> Result<Self, Error> {
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let types: Vec<Type> = columns.iter().map(|(_, kind)| kind.clone()).collect();
        let sql = format!("COPY {table} ({}) FROM STDIN (FORMAT binary)", names.join(", "));
        let sink = transaction.copy_in(&sql).await.map_err(failed)?;
        Ok(Self { writer: Box::pin(BinaryCopyInWriter::new(sink, &types)) })
    }

    async fn row(&mut self, values: &[&(dyn ToSql + Sync)]) -> Result<(), Error> {
        self.writer.as_mut().write(values).await.map_err(failed)
    }

    async fn finish(mut self) -> Result<(), Error> {
        self.writer.as_mut().finish().await.map(|_| ()).map_err(failed)
    }
}

fn number(lines: usize) -> i32 {
    i32::try_from(lines).unwrap_or(i32::MAX)
}
