-- What was switched on in the old chat is so in the new one. $1: old chat id, $2: new chat id
UPDATE chats n SET folds = true
FROM chats o
WHERE n.id = $2 AND o.id = $1 AND o.folds AND NOT n.folds
