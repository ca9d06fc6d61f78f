-- Locks: SHARE ROW EXCLUSIVE on orders while its triggers are made; writers wait for milliseconds.
--
-- How many orders a seller has, and what they are worth: by business day, platform, status and
-- currency. Writers append differences and never meet on a row; readers sum folded totals and
-- differences in one snapshot, so that they are exact at any moment. (Eight writers on one seller and
-- day: 380 to 2,190 transactions a second and deadlocks where each updates the total, 2,750 to 6,900
-- and none where each appends.)

-- The first day of a business day's month.
CREATE FUNCTION jebi_month(day date) RETURNS date
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN date_trunc('month', day::timestamp)::date;

CREATE TABLE order_totals (
    seller_id uuid NOT NULL REFERENCES sellers,
    -- Three grains, so that any range is the sum of few rows: 'all' (bucket -infinity), 'month'
    -- (bucket: its first day), 'day'.
    grain text COLLATE "C" NOT NULL CHECK (grain IN ('all', 'month', 'day')),
    bucket date NOT NULL,
    platform text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    orders bigint NOT NULL,
    amount numeric NOT NULL,
    PRIMARY KEY (seller_id, grain, bucket, platform, status, currency)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
SELECT jebi_guard_tenant_table('order_totals', 'SELECT, INSERT, UPDATE, DELETE');

CREATE TABLE order_total_deltas (
    id bigint GENERATED ALWAYS AS IDENTITY,
    seller_id uuid NOT NULL,
    day date NOT NULL,
    platform text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    orders bigint NOT NULL,
    amount numeric NOT NULL,
    PRIMARY KEY (seller_id, id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
SELECT jebi_guard_tenant_table('order_total_deltas', 'SELECT, INSERT, DELETE');

CREATE FUNCTION jebi_order_totals_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO order_total_deltas (seller_id, day, platform, status, currency, orders, amount)
    SELECT seller_id, jebi_day(created_at), platform, status, currency, count(*), sum(total_amount)
    FROM added
    GROUP BY 1, 2, 3, 4, 5;
    RETURN NULL;
END $$;

CREATE FUNCTION jebi_order_totals_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO order_total_deltas (seller_id, day, platform, status, currency, orders, amount)
    SELECT seller_id, jebi_day(created_at), platform, status, currency, -count(*), -sum(total_amount)
    FROM removed
    GROUP BY 1, 2, 3, 4, 5;
    RETURN NULL;
END $$;

CREATE FUNCTION jebi_order_totals_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO order_total_deltas (seller_id, day, platform, status, currency, orders, amount)
    SELECT seller_id, jebi_day(created_at), platform, status, currency,
           sum(sign), sum(sign * total_amount)
    FROM (
        SELECT seller_id, created_at, platform, status, currency, total_amount, 1 AS sign FROM added
        UNION ALL
        SELECT seller_id, created_at, platform, status, currency, total_amount, -1 FROM removed
    ) AS change
    GROUP BY 1, 2, 3, 4, 5
    HAVING sum(sign) <> 0 OR sum(sign * total_amount) <> 0;
    RETURN NULL;
END $$;

CREATE TRIGGER order_totals_insert AFTER INSERT ON orders
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION jebi_order_totals_insert();
CREATE TRIGGER order_totals_delete AFTER DELETE ON orders
    REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION jebi_order_totals_delete();
CREATE TRIGGER order_totals_update AFTER UPDATE ON orders
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION jebi_order_totals_update();
