DROP TABLE price_history, product_offers, products;
