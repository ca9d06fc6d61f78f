DROP INDEX orders_by_number;
DROP TABLE order_search;
