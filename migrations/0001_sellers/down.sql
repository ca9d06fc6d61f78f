DROP TABLE platform_accounts, api_keys, sellers;
DROP FUNCTION jebi_guard_tenant_table(regclass, text);
DROP FUNCTION jebi_day_start(date);
DROP FUNCTION jebi_day(timestamptz);
DROP FUNCTION jebi_current_seller();
-- The role stays: it belongs to the cluster, and another database may use it.
