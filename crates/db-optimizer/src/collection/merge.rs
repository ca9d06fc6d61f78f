use chrono::{DateTime, Utc};
use diesel::sql_types::BigInt;
use jebi_domain::{AccountId, ProductStatus, Wholesaler};

use super::Batch;
use crate::{Bind, Error, Statement, Transaction};

/// What a batch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Merged {
    /// Products that are new.
    pub created: u64,
    /// Products with another cost, stock or availability.
    pub changed: u64,
    /// Listings of theirs, whose platforms are to hear of it.
    pub listings: u64,
}

/// What all new products of an account have in common.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// Of the products.
    pub wholesaler: Wholesaler,
    /// The account that they were read through.
    pub account: AccountId,
    /// What they begin as.
    pub status: ProductStatus,
}

/// Brings a batch into the catalogue, in a transaction of its seller: products that are new with their offers, variants and
/// first prices, by the seller's rule; of those that are known, costs and wholesale stock alone. What was read earlier than
/// what is known changes nothing. Each product that changes leaves an event. Statements: 13, in one round trip once prepared.
///
/// # Errors
/// [`Error::Exists`] where somebody else stores one of them at the same moment: to be tried again from the start.
/// [`Error::Busy`], [`Error::Query`].
pub async fn merge(
    transaction: &Transaction<'_>,
    batch: Batch,
    source: &Source,
    at: DateTime<Utc>,
) -> Result<Merged, Error> {
    let failed = Error::of("merge what was collected");
    let Batch { id, seller } = batch;
    let of = |text: &'static str, more: Vec<Bind>| {
        Statement::<()>::new(text, [vec![Bind::from(id), Bind::from(seller)], more].concat())
    };
    let at = || Bind::from(at);
    let Source { wholesaler, account, status } = source;
    let (wholesaler, account) = (Bind::from(wholesaler.as_str()), Bind::from(*account));
    let status = Bind::from(status.as_str());
    let created = of(NEW_PRODUCTS, vec![wholesaler.clone(), status, at()]).run(transaction);
    let offers = of(NEW_OFFERS, vec![at()]).run(transaction);
    let items = of(NEW_ITEMS, vec![wholesaler, account.clone()]).run(transaction);
    let details = of(NEW_DETAILS, vec![]).run(transaction);
    let variants = of(NEW_VARIANTS, vec![]).run(transaction);
    let prices = of(NEW_PRICES, vec![at()]).run(transaction);
    let costs = of(NEW_COSTS, vec![at()]).run(transaction);
    let events = of(NEW_EVENTS, vec![at()]).run(transaction);
    let changed = Statement::<(BigInt, BigInt)>::new(
        CHANGED_OFFERS,
        vec![Bind::from(id), Bind::from(seller), at(), account.clone()],
    );
    let changed = changed.one::<(i64, i64)>(transaction);
    let their_details = of(CHANGED_DETAILS, vec![]).run(transaction);
    let their_variants = of(CHANGED_VARIANTS, vec![]).run(transaction);
    let lost_variants = of(LOST_VARIANTS, vec![]).run(transaction);
    let staged = of(STAGED, vec![]).run(transaction);
    let (new, rest) = futures::join!(
        futures::future::join_all([
            created, offers, items, details, variants, prices, costs, events
        ]),
        async {
            futures::join!(
                changed,
                futures::future::join_all([their_details, their_variants, lost_variants, staged])
            )
        }
    );
    let (changed, rest) = rest;
    let new = new.into_iter().collect::<Result<Vec<usize>, _>>().map_err(&failed)?;
    let (changed, listings) = changed.map_err(&failed)?;
    rest.into_iter().collect::<Result<Vec<usize>, _>>().map_err(&failed)?;
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    Ok(Merged { created: new[0] as u64, changed: count(changed), listings: count(listings) })
}

/// `$1` is the batch and `$2` the seller in all of them.
const NEW_PRODUCTS: &str = "
    INSERT INTO products (id, seller_id, sku, name, wholesaler, status, created_at)
    SELECT product_id, seller_id, sku, name, $3, $4, $5
    FROM collection_staging WHERE batch = $1 AND seller_id = $2 AND is_new ORDER BY product_id";

const NEW_OFFERS: &str = "
    INSERT INTO product_offers
        (product_id, seller_id, currency, price, cost_amount, wholesale_stock, updated_at)
    SELECT product_id, seller_id, 'KRW', price, cost_amount, wholesale_stock, $3
    FROM collection_staging WHERE batch = $1 AND seller_id = $2 AND is_new ORDER BY product_id";

const NEW_ITEMS: &str = "
    INSERT INTO wholesale_items (seller_id, wholesaler, key, product_id, account_id, offer_hash,
        detail_hash, availability, read_at)
    SELECT seller_id, $3, key, product_id, $4, offer_hash, detail_hash, availability, read_at
    FROM collection_staging WHERE batch = $1 AND seller_id = $2 AND is_new ORDER BY key";

const NEW_DETAILS: &str = "
    INSERT INTO wholesale_details (product_id, seller_id, name, category_code, category_name,
        images, description, tiers, raw)
    SELECT product_id, seller_id, name, category_code, category_name, images, description, tiers, raw
    FROM collection_staging WHERE batch = $1 AND seller_id = $2 AND is_new ORDER BY product_id";

const NEW_VARIANTS: &str = "
    INSERT INTO product_variants (id, seller_id, product_id, sku, name, extra_amount,
        extra_cost_amount, wholesale_stock)
    SELECT o.id, s.seller_id, s.product_id, o.sku, o.name, o.extra, o.extra_cost, o.stock
    FROM collection_staging AS s CROSS JOIN LATERAL jsonb_to_recordset(s.options)
        AS o (id uuid, sku text, name text, extra bigint, extra_cost bigint, stock bigint)
    WHERE s.batch = $1 AND s.seller_id = $2 AND s.is_new ORDER BY s.product_id";

const NEW_PRICES: &str = "
    INSERT INTO price_history (product_id, seller_id, changed_at, id, currency, price)
    SELECT product_id, seller_id, $3, entry_id, 'KRW', price
    FROM collection_staging WHERE batch = $1 AND seller_id = $2 AND is_new AND price IS NOT NULL
    ORDER BY product_id";

const NEW_COSTS: &str = "
    INSERT INTO cost_history (product_id, seller_id, changed_at, id, currency, cost_amount)
    SELECT product_id, seller_id, $3, entry_id, 'KRW', cost_amount
    FROM collection_staging WHERE batch = $1 AND seller_id = $2 AND is_new AND cost_amount IS NOT NULL
    ORDER BY product_id";

const NEW_EVENTS: &str = "
    INSERT INTO outbox (id, seller_id, event, aggregate_id, version, payload, occurred_at)
    SELECT event_id, seller_id, 'products:created', product_id, 1, '{}'::jsonb, $3
    FROM collection_staging WHERE batch = $1 AND seller_id = $2 AND is_new";

/// Locked in the order of their ids, as every writer of several offers does. The item is locked with its offer, so that of two
/// readings the later one wins, whichever is merged first.
const CHANGED_OFFERS: &str = "
    WITH changed AS MATERIALIZED (
        SELECT s.product_id, s.changes_offer, s.offer_hash, s.detail_hash, s.availability,
            s.read_at, s.event_id, s.entry_id, o.version + 1 AS version, o.currency,
            coalesce(s.cost_amount, o.cost_amount) AS cost, o.cost_amount AS cost_before,
            s.wholesale_stock AS stock, i.wholesaler, i.key
        FROM collection_staging AS s
        JOIN product_offers AS o ON o.product_id = s.product_id AND o.seller_id = s.seller_id
        JOIN wholesale_items AS i ON i.product_id = s.product_id AND i.seller_id = s.seller_id
        WHERE s.batch = $1 AND s.seller_id = $2 AND NOT s.is_new AND i.read_at < s.read_at
        ORDER BY o.product_id
        FOR NO KEY UPDATE OF o, i
    ), items AS (
        UPDATE wholesale_items AS i
        SET account_id = $4, offer_hash = c.offer_hash, detail_hash = c.detail_hash,
            availability = c.availability, read_at = c.read_at
        FROM changed AS c
        WHERE i.seller_id = $2 AND i.wholesaler = c.wholesaler AND i.key = c.key
    ), offers AS (
        UPDATE product_offers AS o
        SET cost_amount = c.cost, wholesale_stock = c.stock, version = c.version, updated_at = $3
        FROM changed AS c
        WHERE o.product_id = c.product_id AND o.seller_id = $2 AND c.changes_offer
    ), costs AS (
        INSERT INTO cost_history (product_id, seller_id, changed_at, id, currency, cost_amount)
        SELECT product_id, $2, $3, entry_id, currency, cost FROM changed
        WHERE changes_offer AND cost IS DISTINCT FROM cost_before AND cost IS NOT NULL
    ), events AS (
        INSERT INTO outbox (id, seller_id, event, aggregate_id, version, payload, occurred_at)
        SELECT event_id, $2, 'products:updated', product_id, version,
            '{\"changed\": [\"cost_amount\", \"wholesale_stock\"]}'::jsonb, $3
        FROM changed WHERE changes_offer
    ), pushed AS (
        INSERT INTO listings_to_push (listing_id, seller_id, since)
        SELECT l.id, $2, $3 FROM platform_listings AS l JOIN changed AS c ON c.product_id = l.product_id
        WHERE l.seller_id = $2 AND l.status <> 'ended' AND c.changes_offer
        ORDER BY l.id
        ON CONFLICT DO NOTHING
    )
    SELECT count(*) FILTER (WHERE changes_offer), (
        SELECT count(*) FROM platform_listings AS l JOIN changed AS c ON c.product_id = l.product_id
        WHERE l.seller_id = $2 AND l.status <> 'ended' AND c.changes_offer
    ) FROM changed";

/// Of those whose reading won, which is on their items by now; as in the next two.
const CHANGED_DETAILS: &str = "
    UPDATE wholesale_details AS d
    SET name = coalesce(s.name, d.name), category_code = s.category_code,
        category_name = s.category_name, images = s.images, description = s.description,
        tiers = s.tiers, raw = s.raw
    FROM collection_staging AS s
    JOIN wholesale_items AS i ON i.product_id = s.product_id AND i.seller_id = s.seller_id
    WHERE s.batch = $1 AND s.seller_id = $2 AND NOT s.is_new AND s.changes_detail
      AND i.read_at = s.read_at AND i.detail_hash = s.detail_hash
      AND d.product_id = s.product_id AND d.seller_id = $2";

const CHANGED_VARIANTS: &str = "
    INSERT INTO product_variants AS v (id, seller_id, product_id, sku, name, extra_amount,
        extra_cost_amount, wholesale_stock)
    SELECT o.id, s.seller_id, s.product_id, o.sku, o.name, o.extra, o.extra_cost, o.stock
    FROM collection_staging AS s
    JOIN wholesale_items AS i ON i.product_id = s.product_id AND i.seller_id = s.seller_id
    CROSS JOIN LATERAL jsonb_to_recordset(s.options)
        AS o (id uuid, sku text, name text, extra bigint, extra_cost bigint, stock bigint)
    WHERE s.batch = $1 AND s.seller_id = $2 AND NOT s.is_new AND s.changes_offer
      AND i.read_at = s.read_at AND i.offer_hash = s.offer_hash
    ORDER BY s.product_id, o.sku
    ON CONFLICT (seller_id, product_id, sku) DO UPDATE
        SET extra_cost_amount = excluded.extra_cost_amount, wholesale_stock = excluded.wholesale_stock
        WHERE (v.extra_cost_amount, v.wholesale_stock)
            IS DISTINCT FROM (excluded.extra_cost_amount, excluded.wholesale_stock)";

/// What cannot be chosen any more.
const LOST_VARIANTS: &str = "
    UPDATE product_variants AS v SET wholesale_stock = 0
    FROM collection_staging AS s
    JOIN wholesale_items AS i ON i.product_id = s.product_id AND i.seller_id = s.seller_id
    WHERE s.batch = $1 AND s.seller_id = $2 AND NOT s.is_new AND s.changes_offer
      AND i.read_at = s.read_at AND i.offer_hash = s.offer_hash
      AND v.product_id = s.product_id AND v.seller_id = $2 AND v.wholesale_stock IS DISTINCT FROM 0
      AND NOT EXISTS (
          SELECT FROM jsonb_to_recordset(coalesce(s.options, '[]')) AS o (sku text)
          WHERE o.sku = v.sku)";

const STAGED: &str = "DELETE FROM collection_staging WHERE batch = $1 AND seller_id = $2";
