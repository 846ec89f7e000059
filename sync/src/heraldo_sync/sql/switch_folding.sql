-- Whether a chat gets a post that several feeds bring only once. $1: chat id, $2: whether
UPDATE chats SET folds = $2 WHERE id = $1 AND folds <> $2
