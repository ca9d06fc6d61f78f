DROP TRIGGER order_counts_insert ON order_totals;
DROP TRIGGER order_counts_update ON order_totals;
DROP FUNCTION jebi_order_counts_insert;
DROP FUNCTION jebi_order_counts_update;
DROP TABLE order_counts;
GRANT DELETE ON order_totals TO jebi_service;
