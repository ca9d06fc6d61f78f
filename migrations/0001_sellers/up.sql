-- Locks: nothing that is in use; every table here is new.
--
-- Sellers, their API keys and their accounts, and the walls between sellers.

-- The service works under this role. It owns nothing, so that row security binds it.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'jebi_service') THEN
        CREATE ROLE jebi_service NOLOGIN;
    END IF;
    IF NOT pg_has_role(current_user, 'jebi_service', 'MEMBER') THEN
        EXECUTE format('GRANT jebi_service TO %I', current_user);
    END IF;
END $$;

GRANT USAGE ON SCHEMA public TO jebi_service;
-- The service says that it is not ready while migrations are missing.
GRANT SELECT ON __diesel_schema_migrations TO jebi_service;

-- The seller whose rows the current transaction may write: `SET LOCAL jebi.seller_id`.
CREATE FUNCTION jebi_current_seller() RETURNS uuid
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN NULLIF(current_setting('jebi.seller_id', true), '')::uuid;

-- The business day of an instant. Korea has kept UTC+9 since 1988; the time zone database knows
-- the years before as well.
CREATE FUNCTION jebi_day(at timestamptz) RETURNS date
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (at AT TIME ZONE 'Asia/Seoul')::date;

-- The first instant of a business day.
CREATE FUNCTION jebi_day_start(day date) RETURNS timestamptz
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN day::timestamp AT TIME ZONE 'Asia/Seoul';

-- The second wall between sellers: whatever a statement says, it writes rows of the transaction's
-- seller only. Reads are not filtered here, because a policy on SELECT keeps GIN and trigram indexes
-- from being used; every statement names its seller instead, and rows are checked when assembled.
CREATE FUNCTION jebi_guard_tenant_table(guarded regclass, privileges text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', guarded);
    EXECUTE format('CREATE POLICY reads ON %s FOR SELECT USING (true)', guarded);
    EXECUTE format('CREATE POLICY inserts ON %s FOR INSERT
        WITH CHECK (seller_id = jebi_current_seller())', guarded);
    EXECUTE format('CREATE POLICY updates ON %s FOR UPDATE
        USING (seller_id = jebi_current_seller())
        WITH CHECK (seller_id = jebi_current_seller())', guarded);
    EXECUTE format('CREATE POLICY deletes ON %s FOR DELETE
        USING (seller_id = jebi_current_seller())', guarded);
    EXECUTE format('GRANT %s ON %s TO jebi_service', privileges, guarded);
END $$;

CREATE TABLE sellers (
    id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE CHECK (name <> ''),
    -- Every key of the seller is derived from the master key and this. Without it, what was sealed
    -- for the seller cannot be opened any more.
    key_salt bytea NOT NULL CHECK (octet_length(key_salt) = 32),
    created_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON sellers TO jebi_service;

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    -- Absent on an operator's key, which sees no seller's data.
    seller_id uuid REFERENCES sellers,
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE INDEX api_keys_by_seller ON api_keys (seller_id);
GRANT SELECT ON api_keys TO jebi_service;

CREATE TABLE platform_accounts (
    id uuid NOT NULL,
    seller_id uuid NOT NULL REFERENCES sellers,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('coupang', 'naver', '11st', 'direct')),
    name text NOT NULL CHECK (name <> ''),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, seller_id)
);
CREATE INDEX platform_accounts_by_seller ON platform_accounts (seller_id, kind);
-- A seller has one shop of their own.
CREATE UNIQUE INDEX platform_accounts_one_direct ON platform_accounts (seller_id)
    WHERE kind = 'direct';
SELECT jebi_guard_tenant_table('platform_accounts', 'SELECT, INSERT, UPDATE');
