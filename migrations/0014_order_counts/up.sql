-- Locks: SHARE ROW EXCLUSIVE on order_totals, and on sellers for the reference, while totals are counted. Folding waits, and
-- who adds a seller; requests read, and write differences.
--
-- A list needs how many orders there are, by month and by day, and order_totals says so for each platform, status and
-- currency apart: a page by number added up 21 rows for each day. Here one row is enough, whatever the filter.

-- How many orders order_totals has; an empty platform counts all platforms, an empty status all statuses.
CREATE TABLE order_counts (
    seller_id uuid NOT NULL REFERENCES sellers,
    grain text COLLATE "C" NOT NULL CHECK (grain IN ('all', 'month', 'day')),
    platform text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    bucket date NOT NULL,
    orders bigint NOT NULL,
    PRIMARY KEY (seller_id, grain, platform, status, bucket)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
SELECT jebi_guard_tenant_table('order_counts', 'SELECT, INSERT, UPDATE');

-- Kept by triggers and not by who folds: a process of an older release folds as well. Two who fold the same seller meet
-- on its differences first, and sellers share no row: so the order in which these rows are locked does not matter.
CREATE FUNCTION jebi_order_counts_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO order_counts AS c (seller_id, grain, platform, status, bucket, orders)
    SELECT a.seller_id, a.grain, p.platform, s.status, a.bucket, sum(a.orders)
    FROM added AS a
    CROSS JOIN LATERAL (VALUES (''), (a.platform)) AS p (platform)
    CROSS JOIN LATERAL (VALUES (''), (a.status)) AS s (status)
    GROUP BY 1, 2, 3, 4, 5
    ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (seller_id, grain, platform, status, bucket)
        DO UPDATE SET orders = c.orders + excluded.orders;
    RETURN NULL;
END $$;

CREATE FUNCTION jebi_order_counts_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO order_counts AS c (seller_id, grain, platform, status, bucket, orders)
    SELECT a.seller_id, a.grain, p.platform, s.status, a.bucket, sum(a.orders)
    FROM (
        SELECT seller_id, grain, platform, status, bucket, orders FROM added
        UNION ALL
        SELECT seller_id, grain, platform, status, bucket, -orders FROM removed
    ) AS a
    CROSS JOIN LATERAL (VALUES (''), (a.platform)) AS p (platform)
    CROSS JOIN LATERAL (VALUES (''), (a.status)) AS s (status)
    GROUP BY 1, 2, 3, 4, 5
    HAVING sum(a.orders) <> 0
    ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (seller_id, grain, platform, status, bucket)
        DO UPDATE SET orders = c.orders + excluded.orders;
    RETURN NULL;
END $$;

-- Nobody deletes totals, and the counts would not follow.
REVOKE DELETE ON order_totals FROM jebi_service;
CREATE TRIGGER order_counts_insert AFTER INSERT ON order_totals
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION jebi_order_counts_insert();
CREATE TRIGGER order_counts_update AFTER UPDATE ON order_totals
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION jebi_order_counts_update();

INSERT INTO order_counts (seller_id, grain, platform, status, bucket, orders)
SELECT t.seller_id, t.grain, p.platform, s.status, t.bucket, sum(t.orders)
FROM order_totals AS t
CROSS JOIN LATERAL (VALUES (''), (t.platform)) AS p (platform)
CROSS JOIN LATERAL (VALUES (''), (t.status)) AS s (status)
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 2, 3, 4, 5;
