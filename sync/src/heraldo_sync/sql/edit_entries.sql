-- Keeps the latest version of entries. Of a feed that dates its posts anew whenever it is asked
-- ($7) dates alone are written once a day.
-- In the same order $1: entry ids, $2: whether title, link or HTML changed, $3: keys,
-- $4: hashes of the HTML, $5: likenesses, $6: JSON array of the entries' fields,
-- $7: whether many dates of its feed changed
UPDATE entries SET
    key = i.key, content = i.content, likeness = i.likeness, title = e.title, link = e.link,
    author = e.author, html = e.html, published_at = e.published_at, updated_at = e.updated_at,
    enclosures = e.enclosures,
    categories = ARRAY(SELECT jsonb_array_elements_text(e.categories)),
    image = e.image, comments = e.comments,
    edited_at = now(), revision = revision + i.said::integer
FROM unnest(
    $1::bigint[], $2::boolean[], $3::bytea[], $4::bytea[], $5::bigint[], $7::boolean[]
) WITH ORDINALITY
    AS i (id, said, key, content, likeness, dated, position)
JOIN ROWS FROM (
    jsonb_to_recordset($6::jsonb) AS (
        title text, link text, author text, html text, published_at timestamptz,
        updated_at timestamptz, enclosures jsonb, categories jsonb, image text, comments text
    )
) WITH ORDINALITY AS e (
    title, link, author, html, published_at, updated_at, enclosures, categories, image, comments,
    position
) USING (position)
WHERE entries.id = i.id
    AND (
        NOT i.dated OR i.said OR entries.key <> i.key OR entries.edited_at IS NULL
        OR entries.edited_at < now() - interval '1 day'
    )
