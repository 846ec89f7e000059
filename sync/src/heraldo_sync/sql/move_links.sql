-- The target of the same topic in the new chat knows what the old one got.
-- $1: old chat id, $2: new chat id
INSERT INTO known_links (target_id, link, feed_id, sent_at)
SELECT n.id, k.link, k.feed_id, k.sent_at
FROM targets o
JOIN targets n ON n.topic_id = o.topic_id AND n.chat_id = $2
JOIN known_links k ON k.target_id = o.id
WHERE o.chat_id = $1
ON CONFLICT (target_id, link) DO NOTHING
