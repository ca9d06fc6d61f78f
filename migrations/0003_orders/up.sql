-- Locks: nothing that is in use; every table here is new.
--
-- Orders with their lines and history, and claims.

CREATE TABLE orders (
    id uuid NOT NULL,
    seller_id uuid NOT NULL,
    platform text COLLATE "C" NOT NULL
        CHECK (platform IN ('coupang', 'naver', '11st', 'direct')),
    platform_account_id uuid NOT NULL,
    platform_order_id text COLLATE "C" NOT NULL,
    order_number text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL CHECK (status IN (
        'pending', 'confirmed', 'paid', 'processing', 'shipped', 'delivered',
        'cancelled', 'refunded', 'returned', 'failed')),
    currency text COLLATE "C" NOT NULL,
    items_count integer NOT NULL CHECK (items_count > 0),
    items_amount bigint NOT NULL,
    shipping_amount bigint NOT NULL DEFAULT 0 CHECK (shipping_amount >= 0),
    discount_amount bigint NOT NULL DEFAULT 0 CHECK (discount_amount >= 0),
    total_amount bigint NOT NULL CHECK (total_amount >= 0),
    -- Name, telephone, e-mail and address, sealed and bound to this order.
    customer bytea NOT NULL,
    tracking_number text,
    memo text,
    -- Rises with every visible change: what If-Match is tested on.
    version bigint NOT NULL DEFAULT 1,
    -- When the buyer ordered.
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, seller_id),
    UNIQUE (seller_id, platform_account_id, platform_order_id),
    FOREIGN KEY (platform_account_id, seller_id) REFERENCES platform_accounts (id, seller_id),
    CHECK (total_amount = items_amount + shipping_amount - discount_amount)
) WITH (fillfactor = 80);
CREATE INDEX orders_by_time ON orders (seller_id, created_at, id);
CREATE INDEX orders_by_status ON orders (seller_id, status, created_at, id);
CREATE INDEX orders_by_platform ON orders (seller_id, platform, created_at, id);
-- A page of one status and platform through either of the two before reads the orders of the other platforms or
-- statuses as well: 775 buffers where this one takes 54, and all the orders where the seller has none of both.
CREATE INDEX orders_by_status_and_platform ON orders (seller_id, status, platform, created_at, id);
SELECT jebi_guard_tenant_table('orders', 'SELECT, INSERT, UPDATE');

-- Lines are written with their order and never change. They name their product without a foreign
-- key: a line says what was ordered, also when the product is gone.
CREATE TABLE order_items (
    order_id uuid NOT NULL,
    line_no integer NOT NULL CHECK (line_no > 0),
    seller_id uuid NOT NULL,
    product_id uuid NOT NULL,
    sku text COLLATE "C" NOT NULL,
    product_name text NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    price bigint NOT NULL CHECK (price >= 0),
    PRIMARY KEY (order_id, line_no, seller_id),
    FOREIGN KEY (order_id, seller_id) REFERENCES orders (id, seller_id)
);
SELECT jebi_guard_tenant_table('order_items', 'SELECT, INSERT');

-- One row for each version of an order: the status it came to, by whom and why.
CREATE TABLE order_history (
    order_id uuid NOT NULL,
    version bigint NOT NULL,
    seller_id uuid NOT NULL,
    status text COLLATE "C" NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, version, seller_id),
    FOREIGN KEY (order_id, seller_id) REFERENCES orders (id, seller_id)
);
SELECT jebi_guard_tenant_table('order_history', 'SELECT, INSERT');

-- What was placed with a wholesaler for an order's lines.
CREATE TABLE purchase_orders (
    id uuid NOT NULL,
    seller_id uuid NOT NULL,
    order_id uuid NOT NULL,
    wholesaler text COLLATE "C" NOT NULL
        CHECK (wholesaler IN ('ownerclan', 'zentrade', 'domeggook')),
    status text COLLATE "C" NOT NULL,
    tracking_number text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, seller_id),
    FOREIGN KEY (order_id, seller_id) REFERENCES orders (id, seller_id)
) WITH (fillfactor = 80);
CREATE INDEX purchase_orders_by_order ON purchase_orders (order_id, seller_id);
SELECT jebi_guard_tenant_table('purchase_orders', 'SELECT, INSERT, UPDATE');

-- Money or goods that went back, and other corrections. A claim may lack its order: a cancellation
-- of the imported history names none.
CREATE TABLE claims (
    id uuid NOT NULL,
    seller_id uuid NOT NULL,
    platform_account_id uuid NOT NULL,
    platform_claim_id text COLLATE "C" NOT NULL,
    order_id uuid,
    kind text COLLATE "C" NOT NULL
        CHECK (kind IN ('cancel', 'return', 'exchange', 'adjustment', 'write_off')),
    currency text COLLATE "C" NOT NULL,
    total_amount bigint NOT NULL,
    customer bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (id, seller_id),
    UNIQUE (seller_id, platform_account_id, platform_claim_id),
    FOREIGN KEY (platform_account_id, seller_id) REFERENCES platform_accounts (id, seller_id),
    FOREIGN KEY (order_id, seller_id) REFERENCES orders (id, seller_id)
);
CREATE INDEX claims_by_time ON claims (seller_id, created_at, id);
CREATE INDEX claims_by_order ON claims (order_id, seller_id) WHERE order_id IS NOT NULL;
SELECT jebi_guard_tenant_table('claims', 'SELECT, INSERT');

CREATE TABLE claim_items (
    claim_id uuid NOT NULL,
    line_no integer NOT NULL CHECK (line_no > 0),
    seller_id uuid NOT NULL,
    product_id uuid NOT NULL,
    sku text COLLATE "C" NOT NULL,
    product_name text NOT NULL,
    -- Negative where goods come back or are written off.
    quantity integer NOT NULL CHECK (quantity <> 0),
    price bigint NOT NULL,
    PRIMARY KEY (claim_id, line_no, seller_id),
    FOREIGN KEY (claim_id, seller_id) REFERENCES claims (id, seller_id)
);
SELECT jebi_guard_tenant_table('claim_items', 'SELECT, INSERT');
