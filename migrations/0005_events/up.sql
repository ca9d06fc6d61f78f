-- Locks: nothing that is in use; every table here is new.
--
-- What happened: events on their way out, events kept, answers kept for repeated requests, and who
-- changed what. None of it holds personal data in the clear.

-- Written in the transaction of the change, after the aggregate's row is locked; emptied by the relay.
-- A tenant table without an order of its own: ids may commit out of order, so that readers take every
-- row that is there and never only those beyond the last id they saw.
CREATE TABLE outbox (
    id uuid NOT NULL,
    seller_id uuid NOT NULL,
    event text COLLATE "C" NOT NULL,
    aggregate_id uuid NOT NULL,
    version bigint NOT NULL,
    payload jsonb NOT NULL,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, seller_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
SELECT jebi_guard_tenant_table('outbox', 'SELECT, INSERT, DELETE');

-- Delivered events, in the order in which the seller's listeners get them. Partitions of a day are
-- dropped when they are old, never deleted row by row.
CREATE TABLE events (
    seller_id uuid NOT NULL,
    position bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    event_id uuid NOT NULL,
    event text COLLATE "C" NOT NULL,
    aggregate_id uuid NOT NULL,
    version bigint NOT NULL,
    payload jsonb NOT NULL,
    PRIMARY KEY (seller_id, position, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE TABLE events_default PARTITION OF events DEFAULT;
SELECT jebi_guard_tenant_table('events', 'SELECT, INSERT');

-- The first answer to an Idempotency-Key, given again for 24 hours.
CREATE TABLE idempotency_keys (
    seller_id uuid NOT NULL,
    route text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    -- Of the request's body, under the seller's key: bodies hold personal data.
    fingerprint bytea NOT NULL,
    -- Both are absent only inside the transaction that does the work.
    location text,
    -- The answer's body, sealed.
    answer bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (seller_id, route, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
SELECT jebi_guard_tenant_table('idempotency_keys', 'SELECT, INSERT, UPDATE, DELETE');

-- Who changed what, written in the transaction of the change and never altered.
CREATE TABLE audit_log (
    id uuid NOT NULL,
    seller_id uuid NOT NULL,
    actor text NOT NULL,
    action text COLLATE "C" NOT NULL,
    subject_id uuid NOT NULL,
    request_id text,
    changes jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, seller_id)
);
CREATE INDEX audit_log_by_subject ON audit_log (seller_id, subject_id, at);
SELECT jebi_guard_tenant_table('audit_log', 'SELECT, INSERT');
