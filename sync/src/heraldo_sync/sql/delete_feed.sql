-- A feed that was merged with another; what it still has goes too. $1: feed id
DELETE FROM feeds WHERE id = $1
