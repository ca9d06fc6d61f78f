use std::str::FromStr as _;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use jebi_domain::{EventId, ProductId, SellerId};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

use crate::bulk::copy::Copy;
use crate::random::random;
use crate::{Error, Refused};

const ACTION: &str = "stage what was collected";

/// An item that differs from what is known.
#[derive(Debug, Clone)]
pub struct Staged {
    /// What it became, or is to become.
    pub product: ProductId,
    /// Of one that the seller has already: the reading that this one was compared with.
    pub compared_with: Option<DateTime<Utc>>,
    /// Whether there is another price, stock or availability; always of a new one.
    pub changes_offer: bool,
    /// What the wholesaler knows it by.
    pub key: String,
    /// The seller's code for it.
    pub sku: String,
    /// In won; what was known stays where it is not told.
    pub cost_amount: Option<i64>,
    /// How many the wholesaler has, where it says so.
    pub wholesale_stock: Option<i64>,
    /// A word of `wholesale_items.availability`.
    pub availability: &'static str,
    /// In won, of a new one.
    pub price: Option<i64>,
    /// Of what collection writes into the catalogue.
    pub offer_hash: i64,
    /// Of all the rest.
    pub detail_hash: i64,
    /// The moment from which all of it is.
    pub read_at: DateTime<Utc>,
    /// What there is to choose, each code once; written with the offer.
    pub variants: Vec<Variant>,
    /// Whether the product has variants already: those that are not there any more have none left.
    pub had_variants: bool,
    /// The rest, where it changes; always of a new one.
    pub detail: Option<Detail>,
}

/// Something to choose.
#[derive(Debug, Clone)]
pub struct Variant {
    /// What the wholesaler knows it by.
    pub sku: String,
    /// What it is called.
    pub name: String,
    /// On top of the price, of a new one.
    pub extra_amount: i64,
    /// On top of the cost, where it is told.
    pub extra_cost_amount: Option<i64>,
    /// How many the wholesaler has, where it says so.
    pub wholesale_stock: Option<i64>,
}

/// What it takes to offer an item somewhere.
#[derive(Debug, Clone)]
pub struct Detail {
    /// What the wholesaler calls it.
    pub name: String,
    /// Its category's code and name.
    pub category: Option<(String, String)>,
    /// Addresses of images.
    pub images: Value,
    /// HTML.
    pub description: Option<String>,
    /// Costs by quantity.
    pub tiers: Value,
    /// What was said besides.
    pub raw: Value,
}

impl Staged {
    fn is_new(&self) -> bool {
        self.compared_with.is_none()
    }

    fn touches_variants(&self) -> bool {
        self.changes_offer && (self.had_variants || !self.variants.is_empty())
    }
}

/// Rows that were staged together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    pub(super) id: Uuid,
    pub(super) seller: SellerId,
    /// What there is in it.
    pub(super) holds: Holds,
}

/// What rows there are in a batch: statements for others are not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Holds {
    pub(super) new: usize,
    pub(super) known: usize,
    pub(super) details: bool,
    pub(super) new_variants: bool,
    pub(super) known_variants: bool,
}

impl Holds {
    fn of(rows: &[Staged]) -> Self {
        let any = |is_such: fn(&Staged) -> bool| rows.iter().any(is_such);
        let new = rows.iter().filter(|row| row.is_new()).count();
        Self {
            new,
            known: rows.len() - new,
            details: any(|row| !row.is_new() && row.detail.is_some()),
            new_variants: any(|row| row.is_new() && !row.variants.is_empty()),
            known_variants: any(|row| !row.is_new() && row.touches_variants()),
        }
    }
}

/// Connections that copy rows beside the catalogue, working as `jebi_service`. Opened when they are needed.
pub struct Stage {
    url: String,
    idle: Mutex<Vec<Client>>,
    /// More at once would only wait for each other's disk.
    permits: Semaphore,
}

impl Stage {
    /// So many COPYs run at once.
    const AT_ONCE: usize = 4;

    /// Through connections of its own to the database at `url`. Nothing is opened yet.
    #[must_use]
    pub fn new(url: String) -> Self {
        Self { url, idle: Mutex::default(), permits: Semaphore::new(Self::AT_ONCE) }
    }

    /// Copies rows beside the catalogue, to be merged. They stand there until then, at most for an hour. One COPY.
    ///
    /// # Errors
    /// [`Error::NoConnection`], [`Error::Copy`]; nothing was staged then.
    pub async fn put(
        &self,
        seller: SellerId,
        at: DateTime<Utc>,
        mut rows: Vec<Staged>,
    ) -> Result<Batch, Error> {
        let closed = |error| Error::NoConnection(Box::new(error));
        let _permit = self.permits.acquire().await.map_err(closed)?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let client = match idle.filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => self.connect().await?,
        };
        let batch = Batch { id: id(Utc::now()), seller, holds: Holds::of(&rows) };
        // The order in which they are merged, and locked.
        rows.sort_unstable_by_key(|row| row.product);
        copy(&client, batch, at, &rows).await?;
        // One that failed is not given back.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(client);
        Ok(batch)
    }

    async fn connect(&self) -> Result<Client, Error> {
        let failed = |error| Error::NoConnection(Box::new(error));
        let mut config = Config::from_str(&self.url).map_err(failed)?;
        config.application_name("jebi collect");
        let (client, driver) = config.connect(NoTls).await.map_err(failed)?;
        // It ends with the client, whose next call reports what went wrong.
        tokio::spawn(driver);
        let set_up = "SET ROLE jebi_service; SET TIME ZONE 'UTC'; SET statement_timeout = 60000";
        client.batch_execute(set_up).await.map_err(failed)?;
        Ok(client)
    }
}

const COLUMNS: &[(&str, Type)] = &[
    ("batch", Type::UUID),
    ("line", Type::INT4),
    ("seller_id", Type::UUID),
    ("product_id", Type::UUID),
    ("is_new", Type::BOOL),
    ("changes_offer", Type::BOOL),
    ("changes_detail", Type::BOOL),
    ("touches_variants", Type::BOOL),
    ("key", Type::TEXT),
    ("sku", Type::TEXT),
    ("cost_amount", Type::INT8),
    ("wholesale_stock", Type::INT8),
    ("availability", Type::TEXT),
    ("price", Type::INT8),
    ("offer_hash", Type::INT8),
    ("detail_hash", Type::INT8),
    ("read_at", Type::TIMESTAMPTZ),
    ("compared_with", Type::TIMESTAMPTZ),
    ("event_id", Type::UUID),
    ("entry_id", Type::UUID),
    ("options", Type::JSONB),
    ("name", Type::TEXT),
    ("category_code", Type::TEXT),
    ("category_name", Type::TEXT),
    ("images", Type::JSONB),
    ("description", Type::TEXT),
    ("tiers", Type::JSONB),
    ("raw", Type::JSONB),
];

async fn copy(
    client: &Client,
    batch: Batch,
    at: DateTime<Utc>,
    rows: &[Staged],
) -> Result<(), Error> {
    let seller = batch.seller.as_uuid();
    let failed = |source| Error::Copy { action: ACTION, source: Refused(source) };
    let statement = Copy::statement("collection_staging", COLUMNS);
    let mut copy = Copy::over(client.copy_in(&statement).await.map_err(failed)?, COLUMNS);
    for (line, row) in (0_i32..).zip(rows) {
        let detail = row.detail.as_ref();
        let category = detail.and_then(|detail| detail.category.as_ref());
        let options = (row.changes_offer && !row.variants.is_empty())
            .then(|| Value::from_iter(row.variants.iter().map(|variant| variant.written(at))));
        copy.row(&[
            &batch.id,
            &line,
            &seller,
            &row.product.as_uuid(),
            &row.is_new(),
            &row.changes_offer,
            &detail.is_some(),
            &row.touches_variants(),
            &row.key,
            &row.is_new().then_some(&row.sku),
            &row.cost_amount,
            &row.wholesale_stock,
            &row.availability,
            &row.price,
            &row.offer_hash,
            &row.detail_hash,
            &row.read_at,
            &row.compared_with,
            &id(at),
            &id(at),
            &options,
            &detail.map(|detail| &detail.name),
            &category.map(|(code, _)| code),
            &category.map(|(_, name)| name),
            &detail.map(|detail| &detail.images),
            &detail.and_then(|detail| detail.description.as_ref()),
            &detail.map(|detail| &detail.tiers),
            &detail.map(|detail| &detail.raw),
        ])
        .await
        .map_err(staging)?;
    }
    copy.finish().await.map_err(staging)
}

impl Variant {
    /// As the merge reads it.
    fn written(&self, at: DateTime<Utc>) -> Value {
        serde_json::json!({
            "id": id(at),
            "sku": self.sku,
            "name": self.name,
            "extra": self.extra_amount,
            "extra_cost": self.extra_cost_amount,
            "stock": self.wholesale_stock,
        })
    }
}

fn id(at: DateTime<Utc>) -> Uuid {
    EventId::new(at, random()).as_uuid()
}

/// A bulk load's error, as one of this.
fn staging(error: Error) -> Error {
    match error {
        Error::Copy { source, .. } => Error::Copy { action: ACTION, source: Refused(source.0) },
        error => error,
    }
}
