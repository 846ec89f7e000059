-- These feeds are clean. $1: feed ids
UPDATE feeds SET cleaned_at = now() WHERE id = ANY($1::bigint[])
