-- The feeds that ticks of late have queued, of hosts that were not busy.
SELECT feed_id, host FROM met_feeds, unnest(feed_ids, hosts) AS met (feed_id, host)
WHERE until >= now()
