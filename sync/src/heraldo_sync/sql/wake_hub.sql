-- A feed's hub is wanted again. An unsubscription that is under way is not confirmed any more.
-- $1: feed id, $2: time between two requests
UPDATE websub SET
    announced = true,
    asked = NULL,
    tries = 0,
    try_at = greatest(now(), asked_at + $2::interval)
WHERE feed_id = $1
