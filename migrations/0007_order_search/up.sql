-- Locks: SHARE on orders while the index is built; writers wait (a second for every million orders).
--
-- Orders are found by number, by the buyer's name and by telephone. Names and telephones are sealed, so that
-- what is looked up is a keyed hash of the whole of them, under a key of the seller; only numbers, which are
-- not personal, are matched by their beginning as well.

CREATE TABLE order_search (
    seller_id uuid NOT NULL,
    -- 64 bits of HMAC-SHA256.
    token bigint NOT NULL,
    created_at timestamptz NOT NULL,
    order_id uuid NOT NULL,
    PRIMARY KEY (seller_id, token, created_at, order_id)
);
SELECT jebi_guard_tenant_table('order_search', 'SELECT, INSERT, DELETE');

CREATE INDEX orders_by_number ON orders (seller_id, order_number, created_at, id);
