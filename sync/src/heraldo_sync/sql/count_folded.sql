-- How many posts of a subscription were folded. Index: deliveries_folded. $1: subscription id
SELECT count(*) FROM deliveries WHERE subscription_id = $1 AND status = 'folded'
