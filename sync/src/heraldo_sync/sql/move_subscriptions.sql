-- Moves what is left over to the target of the same topic in the new chat, waiting rows too;
-- a feed that both followed stays as the new chat has it. $1: old id, $2: new id
WITH pairs AS (
    SELECT o.id AS old_id, n.id AS new_id
    FROM targets o
    JOIN targets n ON n.topic_id = o.topic_id AND n.chat_id = $2
    WHERE o.chat_id = $1
), moved AS (
    UPDATE subscriptions s SET target_id = pairs.new_id
    FROM pairs
    WHERE s.target_id = pairs.old_id
        AND NOT EXISTS (
            SELECT FROM subscriptions x
            WHERE x.target_id = pairs.new_id AND x.feed_id = s.feed_id
        )
    RETURNING s.id, s.target_id
)
UPDATE deliveries d SET target_id = moved.target_id FROM moved WHERE d.subscription_id = moved.id
