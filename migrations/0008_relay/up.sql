-- Locks: events (empty until now), for a moment.
--
-- How events leave the outbox: one process at a time moves them into `events`, numbered in an order that
-- readers can follow by number alone. What a transaction wrote before it committed is numbered after it.

-- Of all sellers together: there is one mover at a time, so that a number is never seen before a smaller one.
ALTER TABLE events ADD COLUMN sequence bigint NOT NULL;
CREATE INDEX events_by_sequence ON events (sequence);

CREATE TABLE relay (
    is_the_only_one boolean PRIMARY KEY DEFAULT true CHECK (is_the_only_one),
    holder uuid,
    held_until timestamptz NOT NULL DEFAULT '-infinity',
    -- The last event that was moved.
    sequence bigint NOT NULL DEFAULT 0,
    -- The last event that Redis has heard of.
    announced bigint NOT NULL DEFAULT 0,
    -- All that was committed before then has been moved.
    drained_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 10);
INSERT INTO relay DEFAULT VALUES;
GRANT SELECT, UPDATE (announced) ON relay TO jebi_service;

-- The last event of each seller.
CREATE TABLE event_positions (
    seller_id uuid PRIMARY KEY,
    position bigint NOT NULL
) WITH (fillfactor = 50);
SELECT jebi_guard_tenant_table('event_positions', 'SELECT');

-- Takes or renews the lease of `mover` and moves up to `most` events, and all others of their aggregates. Gives how many
-- were moved; NULL where another process holds the lease. Works across sellers, which no role may that serves requests:
-- so it runs as the tables' owner.
CREATE FUNCTION jebi_move_events(mover uuid, most integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    -- Before the snapshot below: whatever was committed by now is in it.
    began timestamptz := clock_timestamp();
    base bigint;
    waiting bigint;
    moved bigint;
BEGIN
    -- The row stays locked until all below is committed: numbers become visible in their order. Who finds it locked
    -- does not wait for it: they have events to follow.
    SELECT sequence INTO base FROM relay
    WHERE holder = mover OR held_until < clock_timestamp()
    FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE relay SET holder = mover, held_until = clock_timestamp() + interval '1 second';
    WITH oldest AS MATERIALIZED (
        SELECT seller_id, aggregate_id FROM outbox ORDER BY id LIMIT most
    ), taken AS (
        DELETE FROM outbox AS o
        USING (SELECT DISTINCT seller_id, aggregate_id FROM oldest) AS aggregate
        WHERE o.seller_id = aggregate.seller_id AND o.aggregate_id = aggregate.aggregate_id
        RETURNING o.*
    ), grouped AS (
        SELECT *, min(id::text) OVER (PARTITION BY seller_id, aggregate_id) AS first FROM taken
    ), numbered AS (
        SELECT *,
            row_number() OVER (ORDER BY first, version, id) AS number,
            row_number() OVER (PARTITION BY seller_id ORDER BY first, version, id) AS of_seller
        FROM grouped
    ), positions AS (
        INSERT INTO event_positions AS p (seller_id, position)
        SELECT seller_id, count(*) FROM numbered GROUP BY seller_id ORDER BY seller_id
        ON CONFLICT (seller_id) DO UPDATE SET position = p.position + excluded.position
        RETURNING p.seller_id, p.position
    ), counts AS (
        SELECT seller_id, count(*) AS events FROM numbered GROUP BY seller_id
    ), kept AS (
        INSERT INTO events (seller_id, position, occurred_at, event_id, event, aggregate_id,
                            version, payload, sequence)
        SELECT n.seller_id, p.position - c.events + n.of_seller, n.occurred_at, n.id, n.event,
               n.aggregate_id, n.version, n.payload, base + n.number
        FROM numbered AS n
        JOIN positions AS p ON p.seller_id = n.seller_id
        JOIN counts AS c ON c.seller_id = n.seller_id
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM oldest), (SELECT count(*) FROM kept) INTO waiting, moved;
    UPDATE relay SET
        sequence = base + moved,
        drained_at = CASE WHEN waiting < most THEN began ELSE drained_at END;
    RETURN moved;
END $$;
REVOKE ALL ON FUNCTION jebi_move_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION jebi_move_events TO jebi_service;

-- Makes the partitions of the next two days and drops those of more than `days` ago.
CREATE FUNCTION jebi_rotate_events(days integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    old record;
BEGIN
    -- One process at a time; the others find it done.
    PERFORM pg_advisory_xact_lock(hashtext('jebi_rotate_events'));
    FOR ahead IN 1..2 LOOP
        IF to_regclass('events_' || to_char(today + ahead, 'YYYYMMDD')) IS NULL THEN
            EXECUTE format('CREATE TABLE events_%s PARTITION OF events FOR VALUES FROM (%L) TO (%L)',
                to_char(today + ahead, 'YYYYMMDD'),
                (today + ahead)::timestamp AT TIME ZONE 'UTC',
                (today + ahead + 1)::timestamp AT TIME ZONE 'UTC');
            EXECUTE format('SELECT jebi_guard_tenant_table(%L, %L)',
                'events_' || to_char(today + ahead, 'YYYYMMDD'), 'SELECT');
        END IF;
    END LOOP;
    FOR old IN
        SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'events'::regclass AND c.relname ~ '^events_[0-9]{8}$'
          AND c.relname < 'events_' || to_char(today - days, 'YYYYMMDD')
    LOOP
        EXECUTE format('DROP TABLE %I', old.relname);
    END LOOP;
    DELETE FROM events_default WHERE occurred_at < clock_timestamp() - make_interval(days => days);
END $$;
REVOKE ALL ON FUNCTION jebi_rotate_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION jebi_rotate_events TO jebi_service;
