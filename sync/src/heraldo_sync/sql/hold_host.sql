-- A host wants to be left alone for a while. $1: host, $2: how long
INSERT INTO host_holds AS h (host, held_until)
VALUES ($1, now() + $2::interval)
ON CONFLICT (host) DO UPDATE SET held_until = greatest(h.held_until, excluded.held_until)
