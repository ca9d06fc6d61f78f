-- Locks: orders, claims and audit_log, for a moment; SHARE on orders while an index is built (a second for every
-- million orders).
--
-- What `jebi optimize` did to the indexes, so that a run can be taken back, a killed one be gone on with, and what was
-- found to be of no use not be built again.

CREATE TABLE optimizer_runs (
    id uuid PRIMARY KEY,
    level text COLLATE "C" NOT NULL,
    actor text NOT NULL,
    began_at timestamptz NOT NULL DEFAULT now(),
    -- Absent while it runs, and for ever where it was killed.
    ended_at timestamptz,
    -- Absent as long as the run was not taken back.
    taken_back_at timestamptz,
    report jsonb
);
GRANT SELECT ON optimizer_runs TO jebi_service;

CREATE TABLE optimizer_changes (
    run_id uuid NOT NULL REFERENCES optimizer_runs,
    number integer NOT NULL,
    -- 'build': what was not there before; 'replace': the definition of before is kept; 'set': a storage parameter.
    action text COLLATE "C" NOT NULL CHECK (action IN ('build', 'replace', 'set')),
    schema_name text NOT NULL,
    table_name text NOT NULL,
    -- Of the index; for 'set' the parameter.
    name text NOT NULL,
    definition text NOT NULL,
    -- The definition, or the value, of before; absent where there was none.
    before text,
    -- 'begun' is written before anything is done, and stays where the run is killed.
    state text COLLATE "C" NOT NULL CHECK (state IN ('begun', 'proven', 'dropped', 'taken back')),
    PRIMARY KEY (run_id, number)
);

CREATE TABLE optimizer_rejections (
    schema_name text NOT NULL,
    table_name text NOT NULL,
    definition text NOT NULL,
    name text NOT NULL,
    because text NOT NULL,
    -- Rows of the table then: at four times as many it is tried again.
    table_rows double precision NOT NULL,
    run_id uuid NOT NULL REFERENCES optimizer_runs,
    rejected_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schema_name, table_name, definition)
);
CREATE INDEX optimizer_rejections_by_run ON optimizer_rejections (run_id);

GRANT SELECT ON optimizer_changes, optimizer_rejections TO jebi_service;

-- No query used them.
DROP INDEX claims_by_time;
DROP INDEX audit_log_by_subject;

-- Whole numbers are found whatever their case, by hash; so are their beginnings now.
DROP INDEX orders_by_number;
CREATE INDEX orders_by_number ON orders (seller_id, lower(order_number), created_at, id);
