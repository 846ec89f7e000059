-- Remembers a chat. Only called when what we know differs, because even a write that changes
-- nothing would wait for every transaction that is fanning out to the chat.
-- $1: chat id, $2: kind, $3: title
INSERT INTO chats (id, kind, title)
VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, title = excluded.title
