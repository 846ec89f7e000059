-- Telegram has one part of a message. Matches on the parts known to be sent, so that of two
-- workers only one can record. Where the same post of another feed is to be folded into this one,
-- its link is remembered with the last part. $1: delivery id, $2: parts sent before,
-- $3: message id, $4: whether it was the last part, $5: the link (null: not remembered), $6: feed id
WITH recorded AS (
    UPDATE deliveries SET
        parts_sent = parts_sent + 1,
        message_ids = message_ids || $3::bigint,
        status = CASE WHEN $4 THEN 'sent' ELSE status END,
        settled_at = CASE WHEN $4 THEN now() END
    WHERE id = $1 AND status = 'waiting' AND parts_sent = $2
    RETURNING id, target_id, status
), known AS (
    INSERT INTO known_links (target_id, link, feed_id)
    SELECT target_id, $5::bytea, $6::bigint FROM recorded
    WHERE status = 'sent' AND $5::bytea IS NOT NULL
    ON CONFLICT (target_id, link) DO UPDATE SET feed_id = excluded.feed_id, sent_at = now()
)
SELECT id FROM recorded
