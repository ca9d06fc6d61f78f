DROP TABLE account_credentials, wholesaler_accounts;
DROP INDEX platform_accounts_by_name;
ALTER TABLE platform_accounts
    DROP COLUMN is_active, DROP COLUMN version, DROP COLUMN changed_at, DROP COLUMN deleted_at;
