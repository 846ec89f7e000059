-- A feed that is gone for good is not checked any more. $1: feed id
UPDATE feeds SET next_check_at = 'infinity', ended_at = now(), told_at = now()
WHERE id = $1
