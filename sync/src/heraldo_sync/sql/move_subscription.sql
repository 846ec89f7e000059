-- The subscription is to another feed from now on. $1: subscription id, $2: feed id
UPDATE subscriptions SET feed_id = $2 WHERE id = $1
