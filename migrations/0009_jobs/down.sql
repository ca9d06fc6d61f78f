DROP FUNCTION jebi_rotate_job_items, jebi_tidy_jobs, jebi_settle_job_items, jebi_stop_job,
    jebi_extend_job_leases, jebi_claim_job_items, jebi_job_state, jebi_lane_due_at;
DROP TABLE job_items_ended, job_lanes, job_items, jobs;
