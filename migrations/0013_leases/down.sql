CREATE OR REPLACE FUNCTION jebi_extend_job_leases(worker uuid, held jsonb, lease interval)
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
