-- A look at a feed because of a push begins, if anybody follows the feed still. It counts as
-- fruitless until it brings something. $1: feed id
UPDATE websub SET looked_at = now(), fruitless = fruitless + 1
WHERE feed_id = $1 AND EXISTS (SELECT FROM subscriptions s WHERE s.feed_id = $1)
RETURNING fruitless
