-- Locks: nothing that is in use; every table here is new.
--
-- Jobs: durable background work. A job is done item by item; workers claim items under a lease. Items wait in
-- `job_items` and leave it when they end, so that the queue stays as small as what is left to do.

CREATE TABLE jobs (
    id uuid NOT NULL,
    -- No foreign key: the installation's own jobs, an operator's, carry the nil UUID and have no seller.
    seller_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind <> ''),
    account_id uuid,
    state text COLLATE "C" NOT NULL
        CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    parameters jsonb NOT NULL,
    result jsonb,
    -- Of the items. The job is over when `done + failed` comes to `total`.
    total bigint NOT NULL,
    done bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    -- Those of the failed that were given up after too many attempts.
    dead bigint NOT NULL DEFAULT 0,
    -- What a job of one long item says of itself in place of `done` of `total`.
    progress_done bigint,
    progress_total bigint,
    -- How often a worker took items of it.
    attempts bigint NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL CHECK (max_attempts > 0),
    cancel_requested boolean NOT NULL DEFAULT false,
    error text,
    actor text NOT NULL,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    -- When the figures changed last. Rates are reckoned up to then, so that what is answered holds no clock.
    changed_at timestamptz NOT NULL,
    finished_at timestamptz,
    -- Of a cancelled job: whether its items were put away.
    is_swept boolean NOT NULL DEFAULT false,
    -- Whose turn it is among the jobs of a lane.
    served_at timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (id, seller_id),
    CHECK ((finished_at IS NULL) = (state IN ('queued', 'running')))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
-- One alive job of a kind for each account, and one for none. An index, not a look-up: of a thousand who enqueue at
-- once, one does.
CREATE UNIQUE INDEX jobs_one_alive ON jobs (seller_id, kind, account_id) NULLS NOT DISTINCT
    WHERE state IN ('queued', 'running');
CREATE INDEX jobs_newest ON jobs (seller_id, created_at, id);
CREATE INDEX jobs_by_end ON jobs (finished_at) WHERE finished_at IS NOT NULL;
-- What workers are asked to stop.
CREATE INDEX jobs_to_stop ON jobs (created_at)
    WHERE cancel_requested AND state IN ('queued', 'running');
CREATE INDEX jobs_to_sweep ON jobs (finished_at) WHERE state = 'cancelled' AND NOT is_swept;
SELECT jebi_guard_tenant_table('jobs', 'SELECT, INSERT, UPDATE');

CREATE TABLE job_items (
    job_id uuid NOT NULL,
    number integer NOT NULL,
    seller_id uuid NOT NULL,
    -- What it is about, for people: an order's id, a product's code. No personal data.
    name text NOT NULL,
    payload jsonb NOT NULL,
    -- When it may be claimed. Of an item under a lease: the lease's end.
    due_at timestamptz NOT NULL,
    -- The worker that has the lease. Past `due_at` it is dead, or was stopped for too long.
    holder uuid,
    -- Counts the claims. It is the fence: a worker may end only the attempt that it began.
    attempt integer NOT NULL DEFAULT 0,
    -- The attempts that failed. To come back later is no failure.
    failures integer NOT NULL DEFAULT 0,
    -- Its worker died or panicked while it had this item among others. From then on it is claimed alone.
    is_suspect boolean NOT NULL DEFAULT false,
    PRIMARY KEY (job_id, number, seller_id),
    FOREIGN KEY (job_id, seller_id) REFERENCES jobs (id, seller_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
CREATE INDEX job_items_due ON job_items (seller_id, job_id, due_at, number);
CREATE INDEX job_items_held ON job_items (seller_id, job_id, due_at, number) WHERE holder IS NOT NULL;
SELECT jebi_guard_tenant_table('job_items', 'SELECT, INSERT, UPDATE, DELETE');

-- Where claims are made: a seller's jobs of one kind.
CREATE TABLE job_lanes (
    seller_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    served_at timestamptz NOT NULL DEFAULT '-infinity',
    -- No item of the lane is due before then; it may be that none is due at it either.
    ready_at timestamptz NOT NULL,
    PRIMARY KEY (seller_id, kind)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
CREATE INDEX job_lanes_waiting ON job_lanes (served_at) WHERE ready_at <> 'infinity';
SELECT jebi_guard_tenant_table('job_lanes', 'SELECT, INSERT, UPDATE');

-- The items that ended, each once. Partitions of a day are dropped when they are old, never deleted row by row.
CREATE TABLE job_items_ended (
    job_id uuid NOT NULL,
    number integer NOT NULL,
    seller_id uuid NOT NULL,
    ended_at timestamptz NOT NULL,
    name text NOT NULL,
    -- `failed` says so itself, `dead` was given up, `cancelled` was never done.
    state text COLLATE "C" NOT NULL CHECK (state IN ('done', 'failed', 'dead', 'cancelled')),
    reason text,
    attempt integer NOT NULL,
    PRIMARY KEY (job_id, number, seller_id, ended_at)
) PARTITION BY RANGE (ended_at);
CREATE INDEX job_items_ended_badly ON job_items_ended (seller_id, job_id, number)
    WHERE state IN ('failed', 'dead');
CREATE TABLE job_items_ended_default PARTITION OF job_items_ended DEFAULT;
SELECT jebi_guard_tenant_table('job_items_ended', 'SELECT, INSERT');

-- The functions below read few rows of a queue that has many, by index and in its order. The settings beside them say so:
-- a queue that was filled a moment ago has no statistics yet. (Of 100,000 items: claim and end of 20 in 2.5 ms, not 50.)

-- Locks are taken in one order everywhere: items, then the lane, then the job. A claim holds a lane before its items, but
-- waits for none of them.

-- The first instant at which an item of the lane is due.
CREATE FUNCTION jebi_lane_due_at(seller uuid, of_kind text) RETURNS timestamptz
    LANGUAGE sql STABLE
    RETURN (
        SELECT coalesce(min(first.due_at), 'infinity')
        FROM jobs AS j CROSS JOIN LATERAL (
            SELECT i.due_at FROM job_items AS i
            WHERE i.seller_id = j.seller_id AND i.job_id = j.id ORDER BY i.due_at LIMIT 1
        ) AS first
        WHERE j.seller_id = seller AND j.kind = of_kind
          AND j.state IN ('queued', 'running') AND NOT j.cancel_requested
    );

-- The state to which a job comes by its figures: it goes on, or it is over.
CREATE FUNCTION jebi_job_state(total bigint, done bigint, failed bigint, dead bigint) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN CASE
        WHEN done + failed < total THEN 'running'
        -- None was done, and not because they said so themselves.
        WHEN done = 0 AND dead > 0 THEN 'failed'
        ELSE 'done'
    END;

-- Gives `worker` up to `sizes[n]` items of one job of a kind `kinds[n]`: of the lane that was served least recently, among
-- those whose sellers have fewer than `cap` items under lease. Without `with_suspects` it gives none of those that
-- may have killed their worker; with it, such a one is given alone. Works across sellers, which no role may that serves
-- requests: so it runs as the tables' owner.
CREATE FUNCTION jebi_claim_job_items(
    worker uuid, kinds text[], sizes integer[], lease interval, cap integer, with_suspects boolean
) RETURNS TABLE (
    seller_id uuid, job_id uuid, kind text, account_id uuid, parameters jsonb,
    number integer, name text, payload jsonb, attempt integer, failures integer, is_suspect boolean
)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off
    SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    began timestamptz;
    lane job_lanes;
    job jobs;
    visited text[] := '{}';
    looks integer := 0;
    most integer;
    died bigint;
    taken integer[];
    why constant text := 'given up: its worker died or stopped answering too often';
BEGIN
    LOOP
        began := clock_timestamp();
        SELECT l.* INTO lane FROM job_lanes AS l
        WHERE l.ready_at <= began AND l.ready_at <> 'infinity' AND l.kind = ANY (kinds)
          AND l.seller_id::text || l.kind <> ALL (visited)
          AND cap > (SELECT count(*) FROM job_items AS i
                     WHERE i.seller_id = l.seller_id AND i.holder IS NOT NULL AND i.due_at > began)
        ORDER BY l.served_at LIMIT 1
        FOR UPDATE SKIP LOCKED;
        EXIT WHEN NOT FOUND;
        -- Another claim served it after this one looked: it is not its turn any more. A few times only: the clock
        -- may have been put back.
        looks := looks + 1;
        CONTINUE WHEN lane.served_at >= began AND looks < 4;
        visited := visited || (lane.seller_id::text || lane.kind);

        -- A job that is being settled at this moment is passed over.
        SELECT j.* INTO job FROM jobs AS j
        WHERE j.seller_id = lane.seller_id AND j.kind = lane.kind
          AND j.state IN ('queued', 'running') AND NOT j.cancel_requested
          AND (SELECT true FROM job_items AS i
               WHERE i.seller_id = j.seller_id AND i.job_id = j.id AND i.due_at <= began
                 AND (with_suspects OR NOT i.is_suspect AND i.holder IS NULL)
               ORDER BY i.due_at, i.number LIMIT 1)
        ORDER BY j.served_at, j.id LIMIT 1
        FOR NO KEY UPDATE SKIP LOCKED;
        IF NOT FOUND THEN
            UPDATE job_lanes AS l SET ready_at = jebi_lane_due_at(lane.seller_id, lane.kind)
            WHERE l.seller_id = lane.seller_id AND l.kind = lane.kind;
            CONTINUE;
        END IF;

        WITH expired AS MATERIALIZED (
            SELECT i.number FROM job_items AS i
            WHERE i.seller_id = job.seller_id AND i.job_id = job.id AND i.due_at <= began
              AND i.holder IS NOT NULL AND i.failures + 1 >= job.max_attempts
            ORDER BY i.due_at, i.number LIMIT 100 FOR UPDATE SKIP LOCKED
        ), gone AS (
            DELETE FROM job_items AS i USING expired AS e
            WHERE i.seller_id = job.seller_id AND i.job_id = job.id AND i.number = e.number
            RETURNING i.number, i.name, i.attempt
        ), kept AS (
            INSERT INTO job_items_ended
                (job_id, number, seller_id, ended_at, name, state, reason, attempt)
            SELECT job.id, g.number, job.seller_id, began, g.name, 'dead', why, g.attempt
            FROM gone AS g
        )
        SELECT count(*) INTO died FROM gone;

        most := greatest(0, least(
            sizes[array_position(kinds, lane.kind)],
            cap - (SELECT count(*) FROM job_items AS i
                   WHERE i.seller_id = lane.seller_id AND i.holder IS NOT NULL AND i.due_at > began)));
        WITH due AS MATERIALIZED (
            SELECT i.number, i.due_at, (i.is_suspect OR i.holder IS NOT NULL) AS alone
            FROM job_items AS i
            WHERE i.seller_id = job.seller_id AND i.job_id = job.id AND i.due_at <= began
              AND (with_suspects OR NOT i.is_suspect AND i.holder IS NULL)
            ORDER BY i.due_at, i.number LIMIT most FOR UPDATE SKIP LOCKED
        ), ranked AS (
            SELECT d.number, d.alone, row_number() OVER (ORDER BY d.due_at, d.number) AS rank,
                first_value(d.alone) OVER (ORDER BY d.due_at, d.number) AS first_alone
            FROM due AS d
        )
        SELECT array_agg(r.number ORDER BY r.rank) INTO taken FROM ranked AS r
        WHERE r.rank = 1 OR NOT r.alone AND NOT r.first_alone;

        IF taken IS NULL AND died = 0 THEN
            -- Others were faster; what they left is found the next time.
            CONTINUE;
        END IF;
        UPDATE jobs AS j SET
            state = jebi_job_state(j.total, j.done, j.failed + died, j.dead + died),
            failed = j.failed + died,
            dead = j.dead + died,
            error = CASE WHEN died > 0 THEN why ELSE j.error END,
            attempts = j.attempts + (taken IS NOT NULL)::integer,
            served_at = clock_timestamp(),
            started_at = coalesce(j.started_at, began),
            changed_at = CASE
                WHEN died > 0 OR j.state = 'queued' THEN clock_timestamp() ELSE j.changed_at END,
            finished_at = CASE
                WHEN j.done + j.failed + died >= j.total THEN clock_timestamp() END
        WHERE j.seller_id = job.seller_id AND j.id = job.id;

        RETURN QUERY
        UPDATE job_items AS i SET
            attempt = i.attempt + 1,
            failures = i.failures + (i.holder IS NOT NULL)::integer,
            is_suspect = i.is_suspect OR i.holder IS NOT NULL,
            holder = worker,
            due_at = clock_timestamp() + lease
        -- Joined, so that each is looked up by its key; `= ANY` would read all of the job.
        FROM unnest(taken) AS t (number)
        WHERE i.seller_id = job.seller_id AND i.job_id = job.id AND i.number = t.number
        RETURNING i.seller_id, i.job_id, job.kind, job.account_id, job.parameters,
            i.number, i.name, i.payload, i.attempt, i.failures, i.is_suspect;

        UPDATE job_lanes AS l SET
            served_at = CASE WHEN taken IS NULL THEN l.served_at ELSE clock_timestamp() END,
            ready_at = jebi_lane_due_at(lane.seller_id, lane.kind)
        WHERE l.seller_id = lane.seller_id AND l.kind = lane.kind;
        EXIT WHEN taken IS NOT NULL;
    END LOOP;
END $$;
REVOKE ALL ON FUNCTION jebi_claim_job_items FROM PUBLIC;
GRANT EXECUTE ON FUNCTION jebi_claim_job_items TO jebi_service;

-- Extends the leases of `worker` on `held` (seller_id, job_id, number, attempt), and names those that it has still, each
-- with whether its job is to be stopped. An item that is being settled is locked, and left out. Across sellers.
CREATE FUNCTION jebi_extend_job_leases(worker uuid, held jsonb, lease interval)
    RETURNS TABLE (seller_id uuid, job_id uuid, number integer, attempt integer, is_to_stop boolean)
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off
    SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
    WITH wanted AS MATERIALIZED (
        SELECT i.seller_id, i.job_id, i.number
        FROM jsonb_to_recordset(held)
            AS h (seller_id uuid, job_id uuid, number integer, attempt integer)
        JOIN job_items AS i
          ON i.seller_id = h.seller_id AND i.job_id = h.job_id AND i.number = h.number
        WHERE i.holder = worker AND i.attempt = h.attempt
        FOR UPDATE OF i SKIP LOCKED
    )
    UPDATE job_items AS i SET due_at = clock_timestamp() + lease
    FROM wanted AS w JOIN jobs AS j ON j.seller_id = w.seller_id AND j.id = w.job_id
    WHERE i.seller_id = w.seller_id AND i.job_id = w.job_id AND i.number = w.number
    RETURNING i.seller_id, i.job_id, i.number, i.attempt, j.cancel_requested
$$;
REVOKE ALL ON FUNCTION jebi_extend_job_leases FROM PUBLIC;
GRANT EXECUTE ON FUNCTION jebi_extend_job_leases TO jebi_service;

-- Ends attempts of `worker` at items of one job, as `outcomes` says: (number, attempt, outcome, reason, delay_ms, payload).
-- The outcome is `done`; `failed`, for good; `retry` and `panicked`, failed attempts; `snooze` and `back`, which
-- are none; `checkpoint`, which keeps the lease with another payload. Gives how many of the items the worker
-- had still: fewer than all means that others have them, and that the transaction must not commit what was done for them.
-- Runs as the caller, whom row security binds.
CREATE FUNCTION jebi_settle_job_items(seller uuid, job uuid, worker uuid, outcomes jsonb)
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
            holder = CASE WHEN w.outcome = 'checkpoint' THEN i.holder END,
            due_at = CASE WHEN w.outcome = 'checkpoint' THEN i.due_at
                ELSE clock_timestamp() + w.delay_ms * interval '1 millisecond' END,
            failures = i.failures + (w.outcome IN ('retry', 'panicked'))::integer,
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

-- Ends a job that is to be stopped once no worker has items of it. Gives whether it did.
CREATE FUNCTION jebi_stop_job(seller uuid, job uuid) RETURNS boolean
    LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    -- Locked before it is asked who has items: no claim takes any from here on.
    PERFORM FROM jobs AS j
    WHERE j.seller_id = seller AND j.id = job
      AND j.cancel_requested AND j.state IN ('queued', 'running')
    FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE jobs AS j SET
        state = 'cancelled', finished_at = clock_timestamp(), changed_at = clock_timestamp()
    WHERE j.seller_id = seller AND j.id = job AND NOT EXISTS (
        SELECT FROM job_items AS i
        WHERE i.seller_id = seller AND i.job_id = job
          AND i.holder IS NOT NULL AND i.due_at > clock_timestamp());
    RETURN FOUND;
END $$;

-- What remains to be done behind the workers, up to `most` rows of each: ends jobs that are to be stopped and whose workers
-- are gone, ends jobs that have no item left, puts the items of ended jobs away, and forgets jobs that ended more than
-- `days` ago. Gives how many rows it changed. Across sellers.
CREATE FUNCTION jebi_tidy_jobs(days integer, most integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off
    SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
    one record;
    n bigint;
    changed bigint := 0;
BEGIN
    -- One process at a time; the others leave it to that one.
    IF NOT pg_try_advisory_xact_lock(hashtext('jebi_tidy_jobs')) THEN
        RETURN 0;
    END IF;
    FOR one IN
        SELECT j.seller_id, j.id FROM jobs AS j
        WHERE j.cancel_requested AND j.state IN ('queued', 'running')
        ORDER BY j.created_at LIMIT most
    LOOP
        changed := changed + jebi_stop_job(one.seller_id, one.id)::integer;
    END LOOP;

    UPDATE jobs AS j SET
        state = jebi_job_state(j.total, j.done, j.failed + (j.total - j.done - j.failed),
            j.dead + (j.total - j.done - j.failed)),
        failed = j.total - j.done,
        dead = j.dead + (j.total - j.done - j.failed),
        error = coalesce(j.error, 'its items are gone'),
        started_at = coalesce(j.started_at, clock_timestamp()),
        finished_at = clock_timestamp(), changed_at = clock_timestamp()
    WHERE j.state IN ('queued', 'running') AND NOT EXISTS (
        SELECT FROM job_items AS i WHERE i.seller_id = j.seller_id AND i.job_id = j.id);
    GET DIAGNOSTICS n = ROW_COUNT;
    changed := changed + n;

    WITH left_over AS MATERIALIZED (
        SELECT i.seller_id, i.job_id, i.number
        FROM jobs AS j JOIN job_items AS i ON i.seller_id = j.seller_id AND i.job_id = j.id
        WHERE j.state = 'cancelled' AND NOT j.is_swept
        ORDER BY j.finished_at LIMIT most FOR UPDATE OF i SKIP LOCKED
    ), gone AS (
        DELETE FROM job_items AS i USING left_over AS l
        WHERE i.seller_id = l.seller_id AND i.job_id = l.job_id AND i.number = l.number
        RETURNING i.*
    )
    INSERT INTO job_items_ended (job_id, number, seller_id, ended_at, name, state, attempt)
    SELECT g.job_id, g.number, g.seller_id, clock_timestamp(), g.name, 'cancelled', g.attempt
    FROM gone AS g;
    GET DIAGNOSTICS n = ROW_COUNT;
    changed := changed + n;
    UPDATE jobs AS j SET is_swept = true
    WHERE j.state = 'cancelled' AND NOT j.is_swept AND NOT EXISTS (
        SELECT FROM job_items AS i WHERE i.seller_id = j.seller_id AND i.job_id = j.id);

    DELETE FROM jobs AS j WHERE (j.id, j.seller_id) IN (
        SELECT o.id, o.seller_id FROM jobs AS o
        WHERE o.finished_at < clock_timestamp() - make_interval(days => days)
          AND (o.state <> 'cancelled' OR o.is_swept)
        ORDER BY o.finished_at LIMIT most);
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN changed + n;
END $$;
REVOKE ALL ON FUNCTION jebi_tidy_jobs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION jebi_tidy_jobs TO jebi_service;

-- Makes the partitions of the next two days, and drops those of more than `days` ago.
CREATE FUNCTION jebi_rotate_job_items(days integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
    name text;
    old record;
BEGIN
    -- One process at a time; the others find it done.
    PERFORM pg_advisory_xact_lock(hashtext('jebi_rotate_job_items'));
    FOR ahead IN 1..2 LOOP
        name := 'job_items_ended_' || to_char(today + ahead, 'YYYYMMDD');
        IF to_regclass(name) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF job_items_ended FOR VALUES FROM (%L) TO (%L)',
                name, (today + ahead)::timestamp AT TIME ZONE 'UTC',
                (today + ahead + 1)::timestamp AT TIME ZONE 'UTC');
            EXECUTE format('SELECT jebi_guard_tenant_table(%L, %L)', name, 'SELECT');
        END IF;
    END LOOP;
    FOR old IN
        SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'job_items_ended'::regclass AND c.relname ~ '_[0-9]{8}$'
          AND c.relname < 'job_items_ended_' || to_char(today - days, 'YYYYMMDD')
    LOOP
        EXECUTE format('DROP TABLE %I', old.relname);
    END LOOP;
    DELETE FROM job_items_ended_default
    WHERE ended_at < clock_timestamp() - make_interval(days => days);
END $$;
REVOKE ALL ON FUNCTION jebi_rotate_job_items FROM PUBLIC;
GRANT EXECUTE ON FUNCTION jebi_rotate_job_items TO jebi_service;
