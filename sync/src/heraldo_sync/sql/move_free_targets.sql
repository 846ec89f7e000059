-- Moves the targets whose place in the new chat is free. $1: old id, $2: new id
UPDATE targets o SET chat_id = $2
WHERE o.chat_id = $1
    AND NOT EXISTS (SELECT FROM targets n WHERE n.chat_id = $2 AND n.topic_id = o.topic_id)
