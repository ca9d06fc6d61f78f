//! The indexes that the queries want, each with the query that it serves and what it costs to write.

use jebi_domain::words;

words! {
    /// How much may be spent on writing for the sake of reading.
    pub enum Level ("level") {
        /// What every list needs, and what foreign keys need.
        Conservative = "conservative",
        /// Also what makes combined filters and histories cheap.
        Moderate = "moderate",
        /// Also copies of whole rows that never change, to be read in place of the tables.
        Aggressive = "aggressive",
    }
}

words! {
    /// What kind of index it is.
    pub enum Kind ("kind") {
        /// Several columns, in the order in which they are asked for.
        Composite = "composite",
        /// With columns that are only read, so that the table is not.
        Covering = "covering",
        /// Of some rows only.
        Partial = "partial",
        /// Of what is computed from columns.
        Functional = "functional",
        /// Of the elements of a column.
        Gin = "gin",
    }
}

/// Who made an index first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A migration: it is mended and never dropped.
    Migrations,
    /// Nobody but the catalogue: it stays where it proves itself.
    Catalogue,
}

/// An index that is wanted.
#[derive(Debug, Clone)]
pub struct Index {
    /// Its name, unquoted.
    pub name: &'static str,
    /// Where its table is, unquoted.
    pub schema: &'static str,
    /// Its table, unquoted.
    pub table: &'static str,
    /// What follows the table's name, as `pg_get_indexdef` writes it: `USING btree (seller_id, created_at, id)`.
    pub definition: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// The queries that use it, by their names in the workload.
    pub serves: &'static [&'static str],
    /// The least level that wants it.
    pub level: Level,
    /// Who made it first.
    pub owner: Owner,
    /// What it costs to write.
    pub writes: Writes,
}

/// When an index is written to. An update of a column that is in no index touches no index (HOT).
#[derive(Debug, Clone, Copy)]
pub struct Writes {
    /// How often a row gets an entry: `one for each order`.
    pub entries: &'static str,
    /// The columns whose updates write a new entry to every index of the table.
    pub updated_columns: &'static [&'static str],
}

/// What is wanted, and what was looked at and is not.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// Wanted.
    pub indexes: Vec<Index>,
    /// Queries beside those of Jebi itself that indexes may name, and that must not get worse.
    pub queries: Vec<NamedQuery>,
    /// Not wanted.
    pub left_out: &'static [LeftOut],
}

/// A query by its name.
#[derive(Debug, Clone, Copy)]
pub struct NamedQuery {
    /// How indexes name it.
    pub name: &'static str,
    /// The statement; its placeholders get values of the columns that they are compared with.
    pub text: &'static str,
}

/// An index that others would build.
#[derive(Debug, Clone, Copy)]
pub struct LeftOut {
    /// What it would be on.
    pub index: &'static str,
    /// Why it is not there.
    pub because: Because,
    /// The figures or the query behind that.
    pub detail: &'static str,
}

words! {
    /// Why an index is not wanted.
    pub enum Because ("reason") {
        /// Another one is the same, or begins with the same columns.
        Duplicate = "duplicate",
        /// No query would use it.
        NoReader = "no reader",
        /// What it is on changes often, and its every update would write to every index of the table.
        BreaksHot = "breaks HOT updates",
        /// It would hold a second copy of what is sealed or secret.
        CopiesSecrets = "copies secrets",
        /// PostgreSQL refuses it.
        Impossible = "impossible",
    }
}

impl Level {
    /// Whether this level wants what `least` wants.
    #[must_use]
    pub fn wants(self, least: Self) -> bool {
        let rank = |level| Self::ALL.iter().position(|one| *one == level);
        rank(least) <= rank(self)
    }
}

impl Index {
    /// The SQL that builds it under `name` beside reads and writes.
    #[must_use]
    pub fn create(&self, name: &str) -> String {
        create(name, self.schema, self.table, self.definition)
    }
}

/// `CREATE INDEX CONCURRENTLY …`.
pub(super) fn create(name: &str, schema: &str, table: &str, definition: &str) -> String {
    let (name, table) = (quoted(name), qualified(schema, table));
    format!("CREATE INDEX CONCURRENTLY {name} ON {table} {definition}")
}

/// An identifier as PostgreSQL reads it back whole, whatever it is made of.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(name))
}

const fn of_orders(name: &'static str, definition: &'static str) -> Index {
    Index {
        name,
        schema: "public",
        table: "orders",
        definition,
        kind: Kind::Composite,
        serves: &[],
        level: Level::Conservative,
        owner: Owner::Migrations,
        writes: Writes { entries: "one for each order", updated_columns: &[] },
    }
}

const fn of_products(name: &'static str, definition: &'static str) -> Index {
    Index {
        table: "products",
        writes: Writes { entries: "one for each product", updated_columns: &[] },
        ..of_orders(name, definition)
    }
}

/// For the checks of a foreign key: without it, deleting one row reads the whole other table (2,502 ms
/// for ten orders, against 0.2 ms).
const fn of_foreign_key(
    name: &'static str,
    table: &'static str,
    definition: &'static str,
    serves: &'static [&'static str],
) -> Index {
    Index {
        table,
        serves,
        writes: Writes { entries: "one for each row", updated_columns: &[] },
        ..of_orders(name, definition)
    }
}

/// For the queue of jobs, whose tables are small and change all the time: what is done leaves them.
const fn of_queue(
    name: &'static str,
    table: &'static str,
    definition: &'static str,
    serves: &'static [&'static str],
    updated_columns: &'static [&'static str],
) -> Index {
    Index {
        table,
        serves,
        kind: Kind::Partial,
        writes: Writes {
            entries: "one for each row that it is of, and one for each change of these columns",
            updated_columns,
        },
        ..of_orders(name, definition)
    }
}

impl Catalogue {
    /// Jebi's own.
    #[must_use]
    pub fn of_jebi() -> Self {
        Self { indexes: WANTED.to_vec(), queries: vec![], left_out: LEFT_OUT }
    }

    /// What a level wants.
    pub fn wanted(&self, level: Level) -> impl Iterator<Item = &Index> {
        self.indexes.iter().filter(move |index| level.wants(index.level))
    }
}

const WANTED: &[Index] = &[
    Index {
        serves: &["orders.list", "orders.list.deep", "orders.list.number", "orders.list.from.to"],
        ..of_orders("orders_by_time", "USING btree (seller_id, created_at, id)")
    },
    Index {
        serves: &["orders.list.status", "orders.list.status.deep"],
        writes: Writes {
            entries: "one for each order, and one for each change of its status",
            updated_columns: &["status"],
        },
        ..of_orders("orders_by_status", "USING btree (seller_id, status, created_at, id)")
    },
    Index {
        serves: &["orders.list.platform", "orders.list.platform.deep"],
        ..of_orders("orders_by_platform", "USING btree (seller_id, platform, created_at, id)")
    },
    // 775 buffers for a page of a rare combination without it, 54 to 62 with it (1,000,000 orders).
    Index {
        serves: &["orders.list.status.platform", "orders.list.status.platform.deep"],
        level: Level::Moderate,
        writes: Writes {
            entries: "one for each order, and one for each change of its status",
            updated_columns: &["status"],
        },
        ..of_orders(
            "orders_by_status_and_platform",
            "USING btree (seller_id, status, platform, created_at, id)",
        )
    },
    Index {
        serves: &["orders.search.number"],
        kind: Kind::Functional,
        ..of_orders(
            "orders_by_number",
            "USING btree (seller_id, lower(order_number), created_at, id)",
        )
    },
    Index {
        serves: &["orders.lines"],
        table: "order_items",
        kind: Kind::Covering,
        level: Level::Aggressive,
        owner: Owner::Catalogue,
        writes: Writes {
            entries: "one for each line, as long as the line itself; lines never change",
            updated_columns: &[],
        },
        ..of_orders(
            "order_items_whole",
            "USING btree (order_id, line_no, seller_id) INCLUDE (product_id, sku, product_name, \
             quantity, price)",
        )
    },
    of_foreign_key(
        "purchase_orders_by_order",
        "purchase_orders",
        "USING btree (order_id, seller_id)",
        &["orders.purchase_orders"],
    ),
    Index {
        kind: Kind::Partial,
        ..of_foreign_key(
            "claims_by_order",
            "claims",
            "USING btree (order_id, seller_id) WHERE (order_id IS NOT NULL)",
            &["claims.of_order"],
        )
    },
    Index {
        serves: &["products.list", "products.list.deep", "products.list.number"],
        ..of_products("products_by_time", "USING btree (seller_id, created_at, id)")
    },
    Index {
        serves: &["products.list.status", "products.list.status.deep"],
        writes: Writes {
            entries: "one for each product, and one for each change of its status",
            updated_columns: &["status"],
        },
        ..of_products("products_by_status", "USING btree (seller_id, status, created_at, id)")
    },
    Index {
        serves: &["products.list.brand", "products.list.brand.deep"],
        kind: Kind::Partial,
        level: Level::Moderate,
        ..of_products(
            "products_by_brand",
            "USING btree (seller_id, brand, created_at, id) WHERE (brand IS NOT NULL)",
        )
    },
    Index {
        serves: &["products.list.wholesaler", "products.list.wholesaler.deep"],
        kind: Kind::Partial,
        level: Level::Moderate,
        ..of_products(
            "products_by_wholesaler",
            "USING btree (seller_id, wholesaler, created_at, id) WHERE (wholesaler IS NOT NULL)",
        )
    },
    Index {
        serves: &["products.search.found"],
        kind: Kind::Gin,
        writes: Writes {
            entries: "one for each pair of characters in a product's name, code and brand",
            updated_columns: &[],
        },
        ..of_products("products_by_token", "USING gin (search_tokens) WITH (fastupdate=off)")
    },
    of_foreign_key(
        "product_variants_by_product",
        "product_variants",
        "USING btree (product_id, seller_id)",
        &["products.variants"],
    ),
    of_foreign_key(
        "platform_listings_by_product",
        "platform_listings",
        "USING btree (product_id, seller_id)",
        &["products.listings"],
    ),
    Index {
        serves: &["products.prices"],
        table: "price_history",
        kind: Kind::Covering,
        level: Level::Moderate,
        owner: Owner::Catalogue,
        writes: Writes {
            entries: "one for each change of a price; the history never changes",
            updated_columns: &[],
        },
        ..of_products(
            "price_history_whole",
            "USING btree (product_id, seller_id, changed_at, id) INCLUDE (price, currency)",
        )
    },
    of_foreign_key("api_keys_by_seller", "api_keys", "USING btree (seller_id)", &["sellers.keys"]),
    of_foreign_key(
        "platform_accounts_by_seller",
        "platform_accounts",
        "USING btree (seller_id, kind)",
        &["sellers.accounts"],
    ),
    of_foreign_key(
        "wholesaler_accounts_by_seller",
        "wholesaler_accounts",
        "USING btree (seller_id, kind)",
        &["sellers.wholesalers"],
    ),
    Index {
        table: "idempotency_keys",
        serves: &["housekeeping.old_answers"],
        kind: Kind::Composite,
        writes: Writes { entries: "one for each POST with an order", updated_columns: &[] },
        ..of_orders("idempotency_keys_by_age", "USING btree (created_at)")
    },
    Index {
        table: "events",
        serves: &["relay.news"],
        kind: Kind::Composite,
        writes: Writes { entries: "one for each event", updated_columns: &[] },
        ..of_orders("events_by_sequence", "USING btree (sequence)")
    },
    Index {
        serves: &["jobs.list", "jobs.list.deep"],
        table: "jobs",
        writes: Writes { entries: "one for each job", updated_columns: &[] },
        ..of_orders("jobs_newest", "USING btree (seller_id, created_at, id)")
    },
    of_queue(
        "jobs_by_end",
        "jobs",
        "USING btree (finished_at) WHERE (finished_at IS NOT NULL)",
        &["jobs.old"],
        &["finished_at"],
    ),
    of_queue(
        "jobs_to_stop",
        "jobs",
        "USING btree (created_at) WHERE (cancel_requested AND (state = ANY (ARRAY['queued'::text, 'running'::text])))",
        &["jobs.to_stop"],
        &["cancel_requested", "state"],
    ),
    of_queue(
        "jobs_to_sweep",
        "jobs",
        "USING btree (finished_at) WHERE ((state = 'cancelled'::text) AND (NOT is_swept))",
        &["jobs.to_sweep"],
        &["finished_at", "state", "is_swept"],
    ),
    of_queue(
        "job_items_due",
        "job_items",
        "USING btree (seller_id, job_id, due_at, number)",
        &["jobs.due"],
        &["due_at"],
    ),
    of_queue(
        "job_items_held",
        "job_items",
        "USING btree (seller_id, job_id, due_at, number) WHERE (holder IS NOT NULL)",
        &["jobs.held"],
        &["due_at", "holder"],
    ),
    of_queue(
        "job_lanes_waiting",
        "job_lanes",
        "USING btree (served_at) WHERE (ready_at <> 'infinity'::timestamp with time zone)",
        &["jobs.lanes"],
        &["served_at", "ready_at"],
    ),
    of_queue(
        "job_items_ended_badly",
        "job_items_ended",
        "USING btree (seller_id, job_id, number) WHERE (state = ANY (ARRAY['failed'::text, 'dead'::text]))",
        &["jobs.failures"],
        &[],
    ),
    of_foreign_key(
        "optimizer_rejections_by_run",
        "optimizer_rejections",
        "USING btree (run_id)",
        &["optimizer.rejections_of_run"],
    ),
];

/// What guides to such systems list, and what was tried here and taken out again.
const LEFT_OUT: &[LeftOut] = &[
    LeftOut {
        index: "orders (id), orders (order_number), products (sku), api_keys (digest)",
        because: Because::Duplicate,
        detail: "the primary and unique keys serve these look-ups already",
    },
    LeftOut {
        index: "orders (status), orders (platform), orders (created_at), orders (seller_id), each by itself",
        because: Because::Duplicate,
        detail: "the composite ones begin with the seller and the filter, and give the order of the page as \
                 well; six such indexes cost 3.65 × the WAL of an insert and end all HOT updates",
    },
    LeftOut {
        index: "orders (status, created_at) WHERE status IN (the active ones)",
        because: Because::Duplicate,
        detail: "orders_by_status reads 54 to 62 buffers for any status at 1,000,000 orders; the smaller one \
                 would save two",
    },
    LeftOut {
        index: "orders (status, created_at) INCLUDE (customer name, platform, total)",
        because: Because::CopiesSecrets,
        detail: "a list shows the customer, who is sealed in the row: the index would hold a second copy; \
                 and total_amount in it would end HOT updates",
    },
    LeftOut {
        index: "platform_accounts, wholesaler_accounts INCLUDE (credentials)",
        because: Because::CopiesSecrets,
        detail: "a seller has a handful of accounts, which are read by key",
    },
    LeftOut {
        index: "orders (customer name), orders (customer phone)",
        because: Because::CopiesSecrets,
        detail: "customers are looked up by keyed hashes in order_search",
    },
    LeftOut {
        index: "orders (date(created_at))",
        because: Because::Impossible,
        detail: "date(timestamptz) depends on the session's time zone, so that PostgreSQL refuses it in an index",
    },
    LeftOut {
        index: "orders ((created_at AT TIME ZONE 'Asia/Seoul')::date)",
        because: Because::NoReader,
        detail: "business days are summed in order_totals; the two days that a range cuts are read by \
                 orders_by_time",
    },
    LeftOut {
        index: "orders USING brin (created_at)",
        because: Because::NoReader,
        detail: "no query reads a month of orders: analytics reads order_totals",
    },
    LeftOut {
        index: "orders (seller_id, created_at) WHERE status = 'paid'",
        because: Because::NoReader,
        detail: "for the order of placing, which does not exist yet; orders_by_status gives the same rows \
                 from its other end",
    },
    LeftOut {
        index: "order_items (product_id)",
        because: Because::NoReader,
        detail: "no screen asks for the orders of a product",
    },
    LeftOut {
        index: "claims (seller_id, created_at), audit_log (seller_id, subject_id)",
        because: Because::NoReader,
        detail: "they were in the migrations, and no query used them",
    },
    LeftOut {
        index: "products USING gin (name gin_trgm_ops), products to_tsvector(name)",
        because: Because::Duplicate,
        detail: "products_by_token finds every substring of two characters and more; trigrams miss words of \
                 two syllables and full text misses words without blanks (recall 0)",
    },
    LeftOut {
        index: "product_offers (price), product_offers (stock), … WHERE stock <= 10",
        because: Because::BreaksHot,
        detail: "prices and stock change all day: 78 bytes of WAL for a repriced row without such an index, \
                 more than 1,200 with one; a partial index ends HOT for all rows as well",
    },
    LeftOut {
        index: "product_variants INCLUDE (stock), platform_listings INCLUDE (status)",
        because: Because::BreaksHot,
        detail: "what they would add changes often",
    },
    LeftOut {
        index: "order_history INCLUDE (status, actor, reason, at)",
        because: Because::Duplicate,
        detail: "an order has a handful of entries in one or two pages, found by the primary key",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_wants_what_the_lesser_ones_want() {
        assert!(Level::Aggressive.wants(Level::Conservative));
        assert!(Level::Moderate.wants(Level::Moderate));
        assert!(!Level::Conservative.wants(Level::Moderate));
    }

    #[test]
    fn every_kind_and_every_level_is_in_the_catalogue_and_every_index_serves_a_query() {
        let catalogue = Catalogue::of_jebi();
        for kind in Kind::ALL {
            assert!(catalogue.indexes.iter().any(|index| index.kind == *kind), "{kind}");
        }
        for level in Level::ALL {
            assert!(catalogue.indexes.iter().any(|index| index.level == *level), "{level}");
        }
        let idle = catalogue.indexes.iter().find(|index| index.serves.is_empty());
        assert!(idle.is_none(), "{idle:?}");
    }

    #[test]
    fn names_are_quoted_whatever_they_are_made_of() {
        assert_eq!(
            create("a\"b", "My Schema", "orders;--", "USING btree (x) WHERE (y = ';$1')"),
            "CREATE INDEX CONCURRENTLY \"a\"\"b\" ON \"My Schema\".\"orders;--\" \
             USING btree (x) WHERE (y = ';$1')"
        );
    }
}
