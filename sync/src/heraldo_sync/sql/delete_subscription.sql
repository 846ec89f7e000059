-- Ends a subscription; what still waited for it goes too. $1: target id, $2: subscription id
DELETE FROM subscriptions WHERE target_id = $1 AND id = $2 RETURNING feed_id
