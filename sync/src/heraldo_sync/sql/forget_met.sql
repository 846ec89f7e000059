-- Ticks that are remembered no more. The table has some dozen rows at most.
DELETE FROM met_feeds WHERE until < now()
