DROP FUNCTION jebi_rotate_events;
DROP FUNCTION jebi_move_events;
DROP TABLE event_positions, relay;
ALTER TABLE events DROP COLUMN sequence;
