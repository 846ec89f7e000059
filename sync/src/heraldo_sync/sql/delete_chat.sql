-- Forgets a chat and all that hangs on it. $1: chat id
DELETE FROM chats WHERE id = $1
