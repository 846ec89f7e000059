-- Tasks of flows that have ended and whose children may not have heard of it: left by a crash, by
-- an end in somebody's transaction, or by a child that was locked. Index: followups_pkey.
-- $1 how many at most.
SELECT task FROM {schema}.followups ORDER BY task LIMIT $1::integer
