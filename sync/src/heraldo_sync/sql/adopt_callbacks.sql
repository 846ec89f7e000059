-- Callbacks at another public address are lost: every hub is asked anew. $1: the public address
UPDATE websub SET
    base = $1, asked = NULL, tries = 0, expires_at = NULL, trusted = false, try_at = now()
WHERE base IS DISTINCT FROM $1 AND (expires_at IS NOT NULL OR asked IS NOT NULL)
