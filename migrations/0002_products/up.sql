-- Locks: nothing that is in use; every table here is new.
--
-- A seller's catalogue, as far as orders and the import need it.

CREATE TABLE products (
    id uuid NOT NULL,
    seller_id uuid NOT NULL REFERENCES sellers,
    sku text COLLATE "C" NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (id, seller_id),
    UNIQUE (seller_id, sku)
) WITH (fillfactor = 80);
SELECT jebi_guard_tenant_table('products', 'SELECT, INSERT, UPDATE');

-- What changes often, away from the names: repricing writes 78 bytes of WAL a row here, 1,204 in one
-- table with them. Nothing of it is in an index, so that updates stay HOT.
CREATE TABLE product_offers (
    product_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    currency text COLLATE "C" NOT NULL,
    -- Absent where no price is known; a missing price is not 0.
    price bigint CHECK (price >= 0),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (product_id, seller_id),
    FOREIGN KEY (product_id, seller_id) REFERENCES products (id, seller_id)
) WITH (fillfactor = 80);
SELECT jebi_guard_tenant_table('product_offers', 'SELECT, INSERT, UPDATE');

-- Each change of a price. `id` orders the changes of one instant.
CREATE TABLE price_history (
    product_id uuid NOT NULL,
    seller_id uuid NOT NULL,
    changed_at timestamptz NOT NULL,
    id uuid NOT NULL,
    currency text COLLATE "C" NOT NULL,
    price bigint NOT NULL CHECK (price >= 0),
    PRIMARY KEY (product_id, changed_at, id, seller_id),
    FOREIGN KEY (product_id, seller_id) REFERENCES products (id, seller_id)
);
SELECT jebi_guard_tenant_table('price_history', 'SELECT, INSERT');
