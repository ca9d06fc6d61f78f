DROP TRIGGER order_totals_insert ON orders;
DROP TRIGGER order_totals_delete ON orders;
DROP TRIGGER order_totals_update ON orders;
DROP FUNCTION jebi_order_totals_insert();
DROP FUNCTION jebi_order_totals_delete();
DROP FUNCTION jebi_order_totals_update();
DROP TABLE order_total_deltas, order_totals;
DROP FUNCTION jebi_month(date);
