-- Whether the time of any feed comes soon. Most ticks of an idle system ask nothing else.
-- By the first of all, which no plan reads the table for. Index: feeds_due.
-- $1: how far to look ahead
SELECT coalesce(min(next_check_at) <= now() + $1::interval, false) FROM feeds
