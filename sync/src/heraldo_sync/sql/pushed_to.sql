-- Whose callback this is; live: pushes to it are expected. $1: callback key
SELECT feed_id, secret, expires_at IS NOT NULL OR asked IS NOT DISTINCT FROM 'subscribe' AS live
FROM websub
WHERE key = $1
