-- A check failed; what that means is decided by what comes back (heraldo_sync.health).
-- $1: feed id, $2: next check in, $3: reason, $4: message for people, $5: whether it was a 410
UPDATE feeds SET
    next_check_at = now() + $2,
    checked_at = now(),
    failures = failures + 1,
    failing_since = coalesce(failing_since, now()),
    gone_since = CASE WHEN $5 THEN coalesce(gone_since, now()) END,
    last_reason = $3,
    last_error = $4
WHERE id = $1
RETURNING failures, failing_since, now() - failing_since AS failing_for,
    now() - gone_since AS gone_for, told_at IS NOT NULL AS told, ended_at IS NOT NULL AS ended
