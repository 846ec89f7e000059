-- Adds the entries that the feed has not shown before, in the order given (old to new).
-- Index: entries_feed_id_identity_key.
-- $1: feed id, $2: identities, $3: JSON array of the entries' fields, in the same order
INSERT INTO entries
    (feed_id, identity, title, link, author, html, published_at, updated_at, enclosures, categories)
SELECT
    $1, i.identity, e.title, e.link, e.author, e.html, e.published_at, e.updated_at,
    e.enclosures, ARRAY(SELECT jsonb_array_elements_text(e.categories))
FROM unnest($2::bytea[]) WITH ORDINALITY AS i (identity, position)
JOIN ROWS FROM (
    jsonb_to_recordset($3::jsonb) AS (
        title text, link text, author text, html text, published_at timestamptz,
        updated_at timestamptz, enclosures jsonb, categories jsonb
    )
) WITH ORDINALITY AS e (
    title, link, author, html, published_at, updated_at, enclosures, categories, position
) USING (position)
ORDER BY i.position
ON CONFLICT (feed_id, identity) DO NOTHING
RETURNING id
