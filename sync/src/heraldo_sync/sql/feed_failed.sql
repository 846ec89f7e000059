-- A check failed. $1: feed id, $2: next check in, $3: reason, $4: message for people
UPDATE feeds SET
    next_check_at = now() + $2,
    checked_at = now(),
    failures = failures + 1,
    failing_since = coalesce(failing_since, now()),
    last_reason = $3,
    last_error = $4
WHERE id = $1
