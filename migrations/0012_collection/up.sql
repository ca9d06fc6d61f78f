-- Locks: `wholesaler_accounts` and `product_variants` for the moment in which they get columns with constant defaults;
-- `jobs` and `job_items` not at all, but workers of an older release settle by the function below from now on.
--
-- What wholesalers have: collected, followed as it changes, and put into the seller's catalogue.

-- How what is collected through an account becomes products.
ALTER TABLE wholesaler_accounts
    -- On top of the cost, in percent of it.
    ADD COLUMN margin_percent integer NOT NULL DEFAULT 30 CHECK (margin_percent BETWEEN 0 AND 1000),
    ADD COLUMN minimum_price bigint NOT NULL DEFAULT 0 CHECK (minimum_price >= 0),
    ADD COLUMN default_status text COLLATE "C" NOT NULL DEFAULT 'draft'
        CHECK (default_status IN ('draft', 'active', 'paused'));

-- What collection owns of a variant. Absent where the wholesaler does not say or does not count.
ALTER TABLE product_variants
    ADD COLUMN wholesale_stock bigint CHECK (wholesale_stock >= 0),
    -- On top of the product's cost; may be negative.
    ADD COLUMN extra_cost_amount bigint;

-- An item of a wholesaler, and the product that it became. Narrow, and in no index but by its names, so that what
-- changes often changes cheaply.
CREATE TABLE wholesale_items (
    seller_id uuid NOT NULL,
    wholesaler text COLLATE "C" NOT NULL
        CHECK (wholesaler IN ('ownerclan', 'zentrade', 'domeggook')),
    -- What the wholesaler knows it by.
    key text COLLATE "C" NOT NULL,
    product_id uuid NOT NULL,
    -- Of several accounts with one wholesaler, the one that sees to it.
    account_id uuid NOT NULL,
    -- Of what collection writes into the catalogue, and of all the rest. What hashes as before is not written.
    offer_hash bigint NOT NULL,
    detail_hash bigint NOT NULL,
    availability text COLLATE "C" NOT NULL CHECK (availability IN
        ('on_sale', 'sold_out', 'unavailable', 'discontinued', 'unknown', 'gone')),
    -- What the wholesaler asked for it last, in won, and since when that is known.
    cost_amount bigint CHECK (cost_amount >= 0),
    cost_since timestamptz NOT NULL,
    -- Whether the product has variants.
    has_variants boolean NOT NULL,
    -- The moment from which all of it is: what was read earlier changes nothing.
    read_at timestamptz NOT NULL,
    PRIMARY KEY (seller_id, wholesaler, key),
    FOREIGN KEY (product_id, seller_id) REFERENCES products (id, seller_id)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX wholesale_items_by_product ON wholesale_items (product_id, seller_id);
SELECT jebi_guard_tenant_table('wholesale_items', 'SELECT, INSERT, UPDATE');

-- What it takes to offer the product somewhere, as the wholesaler tells it. None of it is to be trusted.
CREATE TABLE wholesale_details (
    product_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    name text NOT NULL,
    category_code text COLLATE "C",
    category_name text,
    -- Addresses.
    images jsonb NOT NULL,
    -- HTML.
    description text,
    -- Costs by quantity.
    tiers jsonb NOT NULL,
    -- What was said besides, as it was said.
    raw jsonb NOT NULL,
    PRIMARY KEY (product_id, seller_id),
    FOREIGN KEY (product_id, seller_id) REFERENCES products (id, seller_id)
);
SELECT jebi_guard_tenant_table('wholesale_details', 'SELECT, INSERT, UPDATE');

-- Each change of a cost, the first one included. `id` orders the changes of one instant. Without a foreign key: products are never
-- deleted, and to look each of them up and lock it would be the dearest part of a merge.
CREATE TABLE cost_history (
    product_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    changed_at timestamptz NOT NULL,
    id uuid NOT NULL,
    currency text COLLATE "C" NOT NULL,
    cost_amount bigint NOT NULL CHECK (cost_amount >= 0),
    PRIMARY KEY (product_id, changed_at, id, seller_id)
);
SELECT jebi_guard_tenant_table('cost_history', 'SELECT, INSERT');

-- Listings whose product changed at the wholesaler, and whose platform does not know it yet.
CREATE TABLE listings_to_push (
    listing_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    -- The first of the changes.
    since timestamptz NOT NULL,
    PRIMARY KEY (listing_id, seller_id),
    FOREIGN KEY (listing_id, seller_id) REFERENCES platform_listings (id, seller_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
SELECT jebi_guard_tenant_table('listings_to_push', 'SELECT, INSERT, DELETE');

-- How far collection has come with an account.
CREATE TABLE collections (
    account_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    wholesaler text COLLATE "C" NOT NULL
        CHECK (wholesaler IN ('ownerclan', 'zentrade', 'domeggook')),
    -- When the schedules want it next; absent until they were asked.
    walk_due_at timestamptz,
    follow_due_at timestamptz,
    -- The job that walks now, or walked last.
    walker uuid,
    -- How many items were asked for; absent for all of them.
    most bigint,
    -- The begin of the last walk that came to the end of everything.
    walked_at timestamptz,
    -- All that changed up to then is known.
    followed_until timestamptz,
    -- Every price and stock that is known is of then, or of later.
    current_as_of timestamptz,
    -- How many items it sees to.
    items bigint NOT NULL DEFAULT 0,
    -- Why the last walk came to nothing, or did less than all, and the last attempt to follow; absent once one went well.
    walk_trouble text,
    walk_troubled_at timestamptz,
    follow_trouble text,
    follow_troubled_at timestamptz,
    PRIMARY KEY (account_id, seller_id),
    FOREIGN KEY (account_id, seller_id) REFERENCES wholesaler_accounts (id, seller_id),
    CHECK ((walk_trouble IS NULL) = (walk_troubled_at IS NULL)),
    CHECK ((follow_trouble IS NULL) = (follow_troubled_at IS NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
SELECT jebi_guard_tenant_table('collections', 'SELECT, INSERT, UPDATE');

-- Rows on their way into the catalogue, a batch at a time. Not logged: a merge that does not find all of its batch, because
-- PostgreSQL crashed in between, is not committed.
-- Without row security, under which COPY does not work: what is merged from here is written to tables that have it.
CREATE UNLOGGED TABLE collection_staging (
    batch uuid NOT NULL,
    -- In the order of the products' ids.
    line integer NOT NULL,
    seller_id uuid NOT NULL,
    product_id uuid NOT NULL,
    is_new boolean NOT NULL,
    changes_offer boolean NOT NULL,
    changes_detail boolean NOT NULL,
    -- Whether there are variants, or were.
    touches_variants boolean NOT NULL,
    key text COLLATE "C" NOT NULL,
    sku text COLLATE "C",
    cost_amount bigint,
    wholesale_stock bigint,
    availability text COLLATE "C" NOT NULL,
    -- Of a new one, by the account's rule.
    price bigint,
    offer_hash bigint NOT NULL,
    detail_hash bigint NOT NULL,
    read_at timestamptz NOT NULL,
    -- Of a known one: the reading that this was compared with.
    compared_with timestamptz,
    event_id uuid NOT NULL,
    -- Of the histories' entries.
    entry_id uuid NOT NULL,
    -- An array of {id, sku, name, extra, difference, stock}.
    options jsonb,
    name text,
    category_code text,
    category_name text,
    images jsonb,
    description text,
    tiers jsonb,
    raw jsonb,
    PRIMARY KEY (batch, line, seller_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
GRANT SELECT, INSERT, DELETE ON collection_staging TO jebi_service;

-- What a walk of everything has come by, page by page: hashes of keys. Not logged: a walk that finds pages missing at its end
-- says of no item that it is gone.
CREATE UNLOGGED TABLE collection_seen (
    job_id uuid NOT NULL,
    number integer NOT NULL,
    page integer NOT NULL,
    seller_id uuid NOT NULL,
    keys bigint[] NOT NULL,
    PRIMARY KEY (job_id, number, page, seller_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
SELECT jebi_guard_tenant_table('collection_seen', 'SELECT, INSERT, UPDATE, DELETE');

-- Ends attempts of `worker` at items of one job, as `outcomes` says: (number, attempt, outcome, reason, delay_ms, payload).
-- The outcome is `done`; `failed`, for good; `retry` and `panicked`, failed attempts; `snooze` and `back`, which
-- are none; `checkpoint`, which keeps the lease with another payload; `advance`, which does the same and forgives the failed
-- attempts, because the item got on. Gives how many of the items the worker had still: fewer than all means that others
-- have them, and that the transaction must not commit what was done for them. Runs as the caller, whom row security binds.
CREATE OR REPLACE FUNCTION jebi_settle_job_items(seller uuid, job uuid, worker uuid, outcomes jsonb)
    RETURNS integer LANGUAGE plpgsql SET search_path = public, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off
    SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    most_attempts integer;
    of_kind text;
    held integer;
    n_done bigint;
    n_failed bigint;
    n_dead bigint;
    last_words text;
    next_due timestamptz;
BEGIN
    SELECT j.max_attempts, j.kind INTO most_attempts, of_kind
    FROM jobs AS j WHERE j.seller_id = seller AND j.id = job;
    WITH wanted AS MATERIALIZED (
        SELECT i.number, i.name, i.attempt, i.failures, o.reason, o.delay_ms, o.payload,
            CASE WHEN o.outcome IN ('retry', 'panicked') AND i.failures + 1 >= most_attempts
                THEN 'dead' ELSE o.outcome END AS outcome
        FROM jsonb_to_recordset(outcomes) AS o (number integer, attempt integer, outcome text,
            reason text, delay_ms bigint, payload jsonb)
        JOIN job_items AS i
          ON i.seller_id = seller AND i.job_id = job AND i.number = o.number
        WHERE i.holder = worker AND i.attempt = o.attempt
        ORDER BY i.number FOR UPDATE OF i
    ), gone AS (
        DELETE FROM job_items AS i USING wanted AS w
        WHERE i.seller_id = seller AND i.job_id = job AND i.number = w.number
          AND w.outcome IN ('done', 'failed', 'dead')
    ), kept AS (
        INSERT INTO job_items_ended
            (job_id, number, seller_id, ended_at, name, state, reason, attempt)
        SELECT job, w.number, seller, clock_timestamp(), w.name, w.outcome, w.reason, w.attempt
        FROM wanted AS w WHERE w.outcome IN ('done', 'failed', 'dead')
    ), back AS (
        UPDATE job_items AS i SET
            holder = CASE WHEN w.outcome IN ('checkpoint', 'advance') THEN i.holder END,
            due_at = CASE WHEN w.outcome IN ('checkpoint', 'advance') THEN i.due_at
                ELSE clock_timestamp() + w.delay_ms * interval '1 millisecond' END,
            failures = CASE WHEN w.outcome = 'advance' THEN 0
                ELSE i.failures + (w.outcome IN ('retry', 'panicked'))::integer END,
            -- A worker that could say what went wrong is alive.
            is_suspect = w.outcome = 'panicked'
                OR i.is_suspect AND w.outcome IN ('checkpoint', 'back'),
            payload = coalesce(w.payload, i.payload)
        FROM wanted AS w
        WHERE i.seller_id = seller AND i.job_id = job AND i.number = w.number
          AND w.outcome NOT IN ('done', 'failed', 'dead')
        RETURNING i.due_at
    )
    SELECT count(*), count(*) FILTER (WHERE w.outcome = 'done'),
        count(*) FILTER (WHERE w.outcome IN ('failed', 'dead')),
        count(*) FILTER (WHERE w.outcome = 'dead'),
        max(w.reason) FILTER (WHERE w.outcome = 'dead'),
        (SELECT min(b.due_at) FROM back AS b)
    INTO held, n_done, n_failed, n_dead, last_words, next_due
    FROM wanted AS w;
    IF held = 0 THEN
        RETURN 0;
    END IF;
    IF next_due IS NOT NULL THEN
        UPDATE job_lanes AS l SET ready_at = least(l.ready_at, next_due)
        WHERE l.seller_id = seller AND l.kind = of_kind;
    END IF;
    UPDATE jobs AS j SET
        state = jebi_job_state(j.total, j.done + n_done, j.failed + n_failed, j.dead + n_dead),
        done = j.done + n_done,
        failed = j.failed + n_failed,
        dead = j.dead + n_dead,
        error = coalesce(last_words, j.error),
        changed_at = CASE
            WHEN n_done + n_failed > 0 THEN clock_timestamp() ELSE j.changed_at END,
        finished_at = CASE
            WHEN j.done + n_done + j.failed + n_failed >= j.total THEN clock_timestamp() END
    WHERE j.seller_id = seller AND j.id = job AND j.state = 'running';
    IF NOT FOUND THEN
        -- It was ended without these items: nobody has them any more.
        RETURN 0;
    END IF;
    PERFORM jebi_stop_job(seller, job);
    RETURN held;
END $$;
