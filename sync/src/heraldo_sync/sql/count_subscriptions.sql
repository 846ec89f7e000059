-- How many subscriptions feeds have. Index: subscriptions_feed. $1: feed ids
SELECT count(*) FROM subscriptions WHERE feed_id = ANY($1::bigint[])
