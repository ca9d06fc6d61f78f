-- Locks: `platform_accounts` for the moment in which it gets columns with constant defaults; nothing else that is in use.
--
-- The accounts of a seller with wholesalers and platforms, and what it takes to log in to them, sealed.

ALTER TABLE platform_accounts
    ADD COLUMN is_active boolean NOT NULL DEFAULT true,
    ADD COLUMN version bigint NOT NULL DEFAULT 1,
    ADD COLUMN changed_at timestamptz NOT NULL DEFAULT now(),
    -- Orders name their account, so that it stays when the seller takes it away.
    ADD COLUMN deleted_at timestamptz;
-- A name stands for one account, so that to add one twice is to add it once.
CREATE UNIQUE INDEX platform_accounts_by_name ON platform_accounts (seller_id, kind, name)
    WHERE deleted_at IS NULL;

CREATE TABLE wholesaler_accounts (
    id uuid NOT NULL,
    seller_id uuid NOT NULL REFERENCES sellers,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('ownerclan', 'zentrade', 'domeggook')),
    name text NOT NULL CHECK (name <> ''),
    is_active boolean NOT NULL DEFAULT true,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (id, seller_id)
);
CREATE INDEX wholesaler_accounts_by_seller ON wholesaler_accounts (seller_id, kind);
CREATE UNIQUE INDEX wholesaler_accounts_by_name ON wholesaler_accounts (seller_id, kind, name)
    WHERE deleted_at IS NULL;
SELECT jebi_guard_tenant_table('wholesaler_accounts', 'SELECT, INSERT, UPDATE');

-- What it takes to log in, a row for each name: sealed for this seller, account and name, so that moved elsewhere it does
-- not open. No foreign key: the account is in one of two tables.
CREATE TABLE account_credentials (
    account_id uuid NOT NULL,
    name text COLLATE "C" NOT NULL CHECK (name <> ''),
    seller_id uuid NOT NULL,
    sealed bytea NOT NULL,
    PRIMARY KEY (account_id, name, seller_id)
);
SELECT jebi_guard_tenant_table('account_credentials', 'SELECT, INSERT, UPDATE, DELETE');
