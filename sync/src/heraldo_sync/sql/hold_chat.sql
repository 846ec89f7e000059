-- Telegram asked us to leave a chat alone for a while. $1: chat id, $2: how long
INSERT INTO pace AS p (chat_id, free_at)
VALUES ($1, clock_timestamp() + $2::interval)
ON CONFLICT (chat_id) DO UPDATE SET free_at = greatest(p.free_at, excluded.free_at)
