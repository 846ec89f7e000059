-- A group became a supergroup: the same chat under another id. $1: old id, $2: new id
UPDATE chats SET id = $2, kind = 'supergroup'
WHERE id = $1 AND NOT EXISTS (SELECT FROM chats WHERE id = $2)
RETURNING id
