DROP TABLE claim_items, claims, purchase_orders, order_history, order_items, orders;
