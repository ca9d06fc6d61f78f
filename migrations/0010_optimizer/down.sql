DROP INDEX orders_by_number;
CREATE INDEX orders_by_number ON orders (seller_id, order_number, created_at, id);
CREATE INDEX audit_log_by_subject ON audit_log (seller_id, subject_id, at);
CREATE INDEX claims_by_time ON claims (seller_id, created_at, id);
DROP TABLE optimizer_rejections, optimizer_changes, optimizer_runs;
