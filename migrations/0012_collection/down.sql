-- jebi_settle_job_items stays as it is: it does all that the older one did.
DROP TABLE collection_seen, collection_staging, collections, listings_to_push, cost_history, wholesale_details,
    wholesale_items;
ALTER TABLE product_variants DROP COLUMN wholesale_stock, DROP COLUMN extra_cost_amount;
ALTER TABLE wholesaler_accounts
    DROP COLUMN margin_percent, DROP COLUMN minimum_price, DROP COLUMN default_status;
