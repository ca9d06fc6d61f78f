-- Locks: none.
--
-- A heart-beat that came while its own worker wrote of an item left the item out, and the worker took that for a lost lease.

-- Extends the leases of `worker` on `held` (seller_id, job_id, number, attempt), and names those that it has, each with
-- whether its job is to be stopped. An item that is locked at this moment, because it is being settled, reported on or
-- claimed, is named as it was before and not extended: the next heart-beat sees what came of it. Across sellers.
CREATE OR REPLACE FUNCTION jebi_extend_job_leases(worker uuid, held jsonb, lease interval)
    RETURNS TABLE (seller_id uuid, job_id uuid, number integer, attempt integer, is_to_stop boolean)
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off
    SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
    WITH wanted AS MATERIALIZED (
        SELECT i.seller_id, i.job_id, i.number, i.attempt
        FROM jsonb_to_recordset(held)
            AS h (seller_id uuid, job_id uuid, number integer, attempt integer)
        JOIN job_items AS i
          ON i.seller_id = h.seller_id AND i.job_id = h.job_id AND i.number = h.number
        WHERE i.holder = worker AND i.attempt = h.attempt
    ), free AS MATERIALIZED (
        SELECT i.seller_id, i.job_id, i.number
        FROM wanted AS w JOIN job_items AS i
          ON i.seller_id = w.seller_id AND i.job_id = w.job_id AND i.number = w.number
        WHERE i.holder = worker AND i.attempt = w.attempt
        FOR UPDATE OF i SKIP LOCKED
    ), extended AS (
        UPDATE job_items AS i SET due_at = clock_timestamp() + lease
        FROM free AS f
        WHERE i.seller_id = f.seller_id AND i.job_id = f.job_id AND i.number = f.number
    )
    SELECT w.seller_id, w.job_id, w.number, w.attempt, j.cancel_requested
    FROM wanted AS w JOIN jobs AS j ON j.seller_id = w.seller_id AND j.id = w.job_id
$$;
