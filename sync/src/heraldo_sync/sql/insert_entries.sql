-- Adds new entries in the order given (old to new). The feeds' locks are held.
-- In the same order $1: feed ids, $2: keys, $3: hashes of the HTML, $4: likenesses, and
-- $5: JSON array of the entries' fields
INSERT INTO entries (
    feed_id, key, content, likeness, title, link, author, html, published_at, updated_at,
    enclosures, categories, image, comments
)
SELECT
    i.feed_id, i.key, i.content, i.likeness, e.title, e.link, e.author, e.html, e.published_at,
    e.updated_at, e.enclosures, ARRAY(SELECT jsonb_array_elements_text(e.categories)),
    e.image, e.comments
FROM unnest($1::bigint[], $2::bytea[], $3::bytea[], $4::bigint[]) WITH ORDINALITY
    AS i (feed_id, key, content, likeness, position)
JOIN ROWS FROM (
    jsonb_to_recordset($5::jsonb) AS (
        title text, link text, author text, html text, published_at timestamptz,
        updated_at timestamptz, enclosures jsonb, categories jsonb, image text, comments text
    )
) WITH ORDINALITY AS e (
    title, link, author, html, published_at, updated_at, enclosures, categories, image, comments,
    position
) USING (position)
ORDER BY i.position
RETURNING id, feed_id
