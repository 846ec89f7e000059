-- Whether a subscription that its hub asks about once more is one of ours. $1: callback key,
-- $2: topic
SELECT feed_id FROM websub
WHERE key = $1 AND topic = $2 AND announced AND asked IS NULL AND expires_at > now()
