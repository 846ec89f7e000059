-- A feed names its hub no more. $1: feed id, $2: time between two requests
UPDATE websub SET
    announced = false,
    trusted = false,
    try_at = greatest(now(), asked_at + $2::interval)
WHERE feed_id = $1
