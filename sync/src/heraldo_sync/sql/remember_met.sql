-- Remembers the feeds that a tick has queued, of hosts that are not busy.
-- $1: for how long, $2: feed ids, $3: their hosts
INSERT INTO met_feeds (until, feed_ids, hosts) VALUES (now() + $1::interval, $2, $3)
