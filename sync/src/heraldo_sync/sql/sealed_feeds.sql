-- Private feeds and what they are asked with. $1: after this id, $2: how many at most
SELECT id, private, sealed FROM feeds WHERE id > $1 AND private <> '' ORDER BY id LIMIT $2
