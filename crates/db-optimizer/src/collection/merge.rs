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
/// first prices, by the seller's rule; of those that are known, costs and wholesale stock alone. `None` where not all of the batch
/// could be merged, because an item has been read by somebody else since it was compared, or the batch is gone: the transaction
/// must not be committed then, and all of it be compared again. Each product that changes leaves an event. Statements: 3 for
/// costs and stocks, 1 more for details and 2 for variants; 7 for products that are new, and 1 for their variants. In one round
/// trip once prepared.
///
/// # Errors
/// [`Error::Exists`] where somebody else stores one of them at the same moment: to be tried again from the start.
/// [`Error::Busy`], [`Error::Query`].
pub async fn merge(
    transaction: &Transaction<'_>,
    batch: Batch,
    source: &Source,
    at: DateTime<Utc>,
) -> Result<Option<Merged>, Error> {
    let failed = Error::of("merge what was collected");
    let Batch { id, seller, holds } = batch;
    let of = |text: &'static str, more: Vec<Bind>| {
        Statement::<()>::new(text, [vec![Bind::from(id), Bind::from(seller)], more].concat())
    };
    let at = || Bind::from(at);
    let Source { wholesaler, account, status } = source;
    let (wholesaler, account) = (Bind::from(wholesaler.as_str()), Bind::from(*account));
    let status = Bind::from(status.as_str());
    let mut before = vec![Statement::new(ONE_BY_ONE, vec![])];
    if holds.new > 0 {
        before.extend([
            of(NEW_PRODUCTS, vec![wholesaler.clone(), status, at()]),
            of(NEW_OFFERS, vec![at()]),
            of(NEW_ITEMS, vec![wholesaler.clone(), account.clone()]),
            of(NEW_DETAILS, vec![]),
            of(NEW_PRICES, vec![at()]),
            of(NEW_COSTS, vec![at()]),
            of(NEW_EVENTS, vec![at()]),
        ]);
    }
    if holds.new_variants {
        before.push(of(NEW_VARIANTS, vec![]));
    }
    let mut after = Vec::new();
    if holds.details {
        after.push(of(KNOWN_DETAILS, vec![]));
    }
    if holds.known_variants {
        after.extend([of(KNOWN_VARIANTS, vec![]), of(LOST_VARIANTS, vec![])]);
    }
    after.push(of(STAGED, vec![]));
    let run = |statements: Vec<Statement>| {
        let each = statements.into_iter().map(|statement| statement.run(transaction));
        futures::future::join_all(each)
    };
    let changed = async {
        if holds.known == 0 {
            return Ok((0, 0, 0));
        }
        let binds =
            vec![Bind::from(id), Bind::from(seller), at(), wholesaler.clone(), account.clone()];
        let changed = Statement::<(BigInt, BigInt, BigInt)>::new(KNOWN, binds);
        changed.one::<(i64, i64, i64)>(transaction).await
    };
    let (before, changed, after) = futures::join!(run(before), changed, run(after));
    let before = before.into_iter().collect::<Result<Vec<usize>, _>>().map_err(&failed)?;
    let (known, changed, listings) = changed.map_err(&failed)?;
    after.into_iter().collect::<Result<Vec<usize>, _>>().map_err(&failed)?;
    let count = |count: i64| u64::try_from(count).unwrap_or(0);
    let created = if holds.new > 0 { before[1] } else { 0 };
    let is_whole = created == holds.new && count(known) == holds.known as u64;
    let (changed, listings) = (count(changed), count(listings));
    Ok(is_whole.then_some(Merged { created: created as u64, changed, listings }))
}

/// Rows are looked up one by one, in the order of a batch's lines, which is that of their products' ids: so they are locked, as every
/// writer of several does, and no plan hangs on statistics that are not there yet.
const ONE_BY_ONE: &str = "
    SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
        set_config('enable_seqscan', 'off', true), set_config('enable_material', 'off', true)";

/// `$1` is the batch and `$2` the seller in all of them.
const NEW_PRODUCTS: &str = "
    INSERT INTO products (id, seller_id, sku, name, wholesaler, status, created_at)
    SELECT product_id, seller_id, sku, name, $3, $4, $5
    FROM collection_staging WHERE batch = $1 AND seller_id = $2 AND is_new ORDER BY line";

const NEW_OFFERS: &str = "
    INSERT INTO product_offers
        (product_id, seller_id, currency, price, cost_amount, wholesale_stock, updated_at)
    SELECT product_id, seller_id, 'KRW', price, cost_amount, wholesale_stock, $3
    FROM collection_staging WHERE batch = $1 AND seller_id = $2 AND is_new ORDER BY line";

const NEW_ITEMS: &str = "
    INSERT INTO wholesale_items (seller_id, wholesaler, key, product_id, account_id, offer_hash,
        detail_hash, availability, cost_amount, cost_since, has_variants, read_at)
    SELECT seller_id, $3, key, product_id, $4, offer_hash, detail_hash, availability,
        cost_amount, read_at, touches_variants, read_at
    FROM collection_staging WHERE batch = $1 AND seller_id = $2 AND is_new ORDER BY key";

const NEW_DETAILS: &str = "
    INSERT INTO wholesale_details (product_id, seller_id, name, category_code, category_name,
        images, description, tiers, raw)
    SELECT product_id, seller_id, name, category_code, category_name, images, description, tiers, raw
    FROM collection_staging WHERE batch = $1 AND seller_id = $2 AND is_new ORDER BY line";

const NEW_VARIANTS: &str = "
    INSERT INTO product_variants (id, seller_id, product_id, sku, name, extra_amount,
        extra_cost_amount, wholesale_stock)
    SELECT o.id, s.seller_id, s.product_id, o.sku, o.name, o.extra, o.extra_cost, o.stock
    FROM collection_staging AS s CROSS JOIN LATERAL jsonb_to_recordset(s.options)
        AS o (id uuid, sku text, name text, extra bigint, extra_cost bigint, stock bigint)
    WHERE s.batch = $1 AND s.seller_id = $2 AND s.is_new ORDER BY s.line";

const NEW_PRICES: &str = "
    INSERT INTO price_history (product_id, seller_id, changed_at, id, currency, price)
    SELECT product_id, seller_id, $3, entry_id, 'KRW', price
    FROM collection_staging WHERE batch = $1 AND seller_id = $2 AND is_new AND price IS NOT NULL
    ORDER BY line";

const NEW_COSTS: &str = "
    INSERT INTO cost_history (product_id, seller_id, changed_at, id, currency, cost_amount)
    SELECT product_id, seller_id, $3, entry_id, 'KRW', cost_amount
    FROM collection_staging WHERE batch = $1 AND seller_id = $2 AND is_new AND cost_amount IS NOT NULL
    ORDER BY line";

const NEW_EVENTS: &str = "
    INSERT INTO outbox (id, seller_id, event, aggregate_id, version, payload, occurred_at)
    SELECT event_id, seller_id, 'products:created', product_id, 1, '{}'::jsonb, $3
    FROM collection_staging WHERE batch = $1 AND seller_id = $2 AND is_new";

/// An item is written where it is still the one that was compared: who comes second waits at it for the other one's end, and
/// compares again.
const KNOWN: &str = "
    WITH items AS (
        UPDATE wholesale_items AS i
        SET account_id = $5, offer_hash = s.offer_hash, detail_hash = s.detail_hash,
            availability = s.availability, has_variants = i.has_variants OR s.touches_variants,
            cost_amount = coalesce(s.cost_amount, i.cost_amount),
            cost_since = CASE WHEN coalesce(s.cost_amount, i.cost_amount)
                IS DISTINCT FROM i.cost_amount THEN s.read_at ELSE i.cost_since END,
            read_at = s.read_at
        FROM (
            SELECT product_id, key, event_id, entry_id, changes_offer, touches_variants, cost_amount,
                wholesale_stock, availability, offer_hash, detail_hash, read_at, compared_with
            FROM collection_staging WHERE batch = $1 AND seller_id = $2 AND NOT is_new
            ORDER BY line
        ) AS s
        WHERE i.seller_id = $2 AND i.wholesaler = $4 AND i.key = s.key
          AND i.read_at = s.compared_with
        RETURNING s.product_id, s.event_id, s.entry_id, s.changes_offer, s.wholesale_stock,
            s.cost_amount, i.cost_since = s.read_at AND s.cost_amount IS NOT NULL AS is_repriced
    ), offers AS (
        UPDATE product_offers AS o
        SET cost_amount = coalesce(c.cost_amount, o.cost_amount),
            wholesale_stock = c.wholesale_stock, version = o.version + 1, updated_at = $3
        FROM items AS c
        WHERE o.product_id = c.product_id AND o.seller_id = $2 AND c.changes_offer
        RETURNING o.product_id, o.version, c.event_id
    ), costs AS (
        INSERT INTO cost_history (product_id, seller_id, changed_at, id, currency, cost_amount)
        SELECT product_id, $2, $3, entry_id, 'KRW', cost_amount FROM items WHERE is_repriced
    ), events AS (
        INSERT INTO outbox (id, seller_id, event, aggregate_id, version, payload, occurred_at)
        SELECT event_id, $2, 'products:updated', product_id, version,
            '{\"changed\": [\"cost_amount\", \"wholesale_stock\"]}'::jsonb, $3
        FROM offers
    ), listings AS MATERIALIZED (
        SELECT l.id FROM offers AS o JOIN platform_listings AS l
          ON l.product_id = o.product_id AND l.seller_id = $2
        WHERE l.status <> 'ended'
    ), pushed AS (
        INSERT INTO listings_to_push (listing_id, seller_id, since)
        SELECT id, $2, $3 FROM listings ORDER BY id
        ON CONFLICT DO NOTHING
    )
    SELECT (SELECT count(*) FROM items), (SELECT count(*) FROM offers), (SELECT count(*) FROM listings)";

const KNOWN_DETAILS: &str = "
    UPDATE wholesale_details AS d
    SET name = coalesce(nullif(s.name, ''), d.name), category_code = s.category_code,
        category_name = s.category_name, images = s.images, description = s.description,
        tiers = s.tiers, raw = s.raw
    FROM collection_staging AS s
    WHERE s.batch = $1 AND s.seller_id = $2 AND NOT s.is_new AND s.changes_detail
      AND d.product_id = s.product_id AND d.seller_id = $2";

const KNOWN_VARIANTS: &str = "
    INSERT INTO product_variants AS v (id, seller_id, product_id, sku, name, extra_amount,
        extra_cost_amount, wholesale_stock)
    SELECT o.id, s.seller_id, s.product_id, o.sku, o.name, o.extra, o.extra_cost, o.stock
    FROM collection_staging AS s
    CROSS JOIN LATERAL jsonb_to_recordset(s.options)
        AS o (id uuid, sku text, name text, extra bigint, extra_cost bigint, stock bigint)
    WHERE s.batch = $1 AND s.seller_id = $2 AND NOT s.is_new AND s.touches_variants
    ORDER BY s.line, o.sku
    ON CONFLICT (seller_id, product_id, sku) DO UPDATE
        SET extra_cost_amount = excluded.extra_cost_amount, wholesale_stock = excluded.wholesale_stock
        WHERE (v.extra_cost_amount, v.wholesale_stock)
            IS DISTINCT FROM (excluded.extra_cost_amount, excluded.wholesale_stock)";

/// What cannot be chosen any more.
const LOST_VARIANTS: &str = "
    UPDATE product_variants AS v SET wholesale_stock = 0
    FROM collection_staging AS s
    WHERE s.batch = $1 AND s.seller_id = $2 AND NOT s.is_new AND s.touches_variants
      AND v.product_id = s.product_id AND v.seller_id = $2 AND v.wholesale_stock IS DISTINCT FROM 0
      AND NOT EXISTS (
          SELECT FROM jsonb_to_recordset(coalesce(s.options, '[]')) AS o (sku text)
          WHERE o.sku = v.sku)";

const STAGED: &str = "DELETE FROM collection_staging WHERE batch = $1 AND seller_id = $2";
