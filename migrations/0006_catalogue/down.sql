DROP TRIGGER product_totals_insert ON products;
DROP TRIGGER product_totals_update ON products;
DROP TRIGGER product_totals_delete ON products;
DROP FUNCTION jebi_product_totals_insert();
DROP FUNCTION jebi_product_totals_update();
DROP FUNCTION jebi_product_totals_delete();
DROP TABLE product_total_deltas, product_totals, platform_listings, product_variants;
ALTER TABLE product_offers DROP COLUMN cost_amount, DROP COLUMN wholesale_stock, DROP COLUMN stock,
    DROP COLUMN version;
ALTER TABLE products DROP COLUMN search_tokens, DROP COLUMN search_text,
    DROP COLUMN status, DROP COLUMN wholesaler, DROP COLUMN brand;
DROP FUNCTION jebi_search_tokens(uuid, text);
DROP FUNCTION jebi_search_text(text, text, text);
