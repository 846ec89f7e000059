-- The application's tables as they are now, for a fresh database. The migrations in alembic/
-- lead to the same; a test compares the two. The queue's own tables are colmillo's.

-- ttl and skip (bits, heraldo_sync.skip_times) are the feed's own wishes, which an answer without
-- the feed does not repeat. told_at: when its
-- subscribers were told that it fails. ended_at: it answered 410 for so long that it is over.
-- private: the fingerprint of the headers that a private feed is asked with, empty for all others.
-- sealed: these headers, encrypted (heraldo_sync.vault). url holds no credentials.
-- validators_origin: where redirects led to etag and last_modified, null if nowhere else.
-- posted_at: when it last brought something new, or was added. moved_*: where only permanent
-- redirects led at the last checks, and what subscribers were told of it. marked_at: when the entries that it shows were last marked
-- so (entries.shown_at).
CREATE TABLE feeds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url text NOT NULL,
    private bytea NOT NULL DEFAULT '',
    sealed text,
    title text NOT NULL DEFAULT '',
    link text,
    format text,
    etag text,
    last_modified text,
    validators_origin text,
    body_hash bytea,
    ttl interval,
    skip integer,
    next_check_at timestamptz NOT NULL DEFAULT now(),
    checked_at timestamptz,
    succeeded_at timestamptz,
    posted_at timestamptz NOT NULL DEFAULT now(),
    failures integer NOT NULL DEFAULT 0,
    failing_since timestamptz,
    last_reason text,
    last_error text,
    told_at timestamptz,
    gone_since timestamptz,
    ended_at timestamptz,
    moved_to text,
    moved_since timestamptz,
    moved_seen integer NOT NULL DEFAULT 0,
    moved_told text,
    marked_at timestamptz NOT NULL DEFAULT now(),
    cleaned_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (url, private),
    CHECK ((private = '') = (sealed IS NULL))
);

-- The tick looks for what is due. A feed without subscribers waits at infinity.
CREATE INDEX feeds_due ON feeds (next_check_at);

-- The items that a feed showed last, packed (heraldo_sync.gate). Only a guide to what need not be
-- parsed again, and a table of its own because feeds is rewritten at every check.
CREATE TABLE feed_items (
    feed_id bigint PRIMARY KEY REFERENCES feeds ON DELETE CASCADE,
    items bytea NOT NULL
);

-- Feeds that name a hub (W3C WebSub), and our subscription there. key is the secret part of the
-- callback's address, base the rest of it; asked is what the hub has not confirmed yet, expires_at
-- the end of the lease that it has. trusted: what was new last, it had told of. fruitless: how many
-- looks that were taken because of pushes brought nothing, in a row.
CREATE TABLE websub (
    feed_id bigint PRIMARY KEY REFERENCES feeds ON DELETE CASCADE,
    hub text NOT NULL,
    topic text NOT NULL,
    key text NOT NULL UNIQUE,
    secret text NOT NULL,
    announced boolean NOT NULL DEFAULT true,
    asked text CHECK (asked IN ('subscribe', 'unsubscribe')),
    asked_at timestamptz,
    base text,
    tries integer NOT NULL DEFAULT 0,
    try_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    trusted boolean NOT NULL DEFAULT false,
    pushed_at timestamptz,
    looked_at timestamptz,
    fruitless integer NOT NULL DEFAULT 0
);

-- The tick looks for hubs to be asked, or asked again. Where nothing is wanted, at infinity.
CREATE INDEX websub_due ON websub (try_at);

-- What an entry is recognised by is in key, content and likeness (heraldo_sync.traits); several
-- may share a key. The other fields are its latest version; revision counts the earlier ones.
CREATE TABLE entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    feed_id bigint NOT NULL REFERENCES feeds ON DELETE CASCADE,
    key bytea NOT NULL CHECK (octet_length(key) = 32),
    content bytea NOT NULL CHECK (octet_length(content) = 32),
    likeness bigint,
    title text NOT NULL,
    link text,
    author text,
    html text NOT NULL,
    published_at timestamptz,
    updated_at timestamptz,
    enclosures jsonb NOT NULL DEFAULT '[]',
    categories text[] NOT NULL DEFAULT '{}',
    image text,
    comments text,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    shown_at timestamptz NOT NULL DEFAULT now(),
    edited_at timestamptz,
    revision integer NOT NULL DEFAULT 0
);

CREATE INDEX entries_key ON entries (feed_id, key);

CREATE INDEX entries_likeness ON entries (feed_id, likeness) WHERE likeness IS NOT NULL;

-- Whether two entries of two feeds with one key are the same post: a key that entries of one feed
-- share is not enough.
CREATE FUNCTION same_post(one entries, other entries) RETURNS boolean
LANGUAGE sql STABLE
RETURN (one.link, one.title, one.content, coalesce(one.published_at, one.updated_at))
        IS NOT DISTINCT FROM
        (other.link, other.title, other.content, coalesce(other.published_at, other.updated_at))
    OR NOT EXISTS (
        SELECT FROM entries e
        WHERE e.feed_id IN (one.feed_id, other.feed_id) AND e.key = one.key
            AND e.id NOT IN (one.id, other.id)
    );

-- A new subscriber gets the newest entry; ids grow from old to new within a feed.
CREATE INDEX entries_newest ON entries (feed_id, id DESC);

-- folds: of a post that several feeds bring, each target of the chat gets one (known_links).
CREATE TABLE chats (
    id bigint PRIMARY KEY,
    kind text NOT NULL,
    title text NOT NULL DEFAULT '',
    folds boolean NOT NULL DEFAULT false,
    suspended_at timestamptz,
    suspended_reason text,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Where messages go: a chat, or one topic of it (0 = none).
CREATE TABLE targets (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chat_id bigint NOT NULL REFERENCES chats ON UPDATE CASCADE ON DELETE CASCADE,
    topic_id bigint NOT NULL DEFAULT 0,
    closed_at timestamptz,
    closed_reason text,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (chat_id, topic_id)
);

CREATE TABLE subscriptions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target_id bigint NOT NULL REFERENCES targets ON DELETE CASCADE,
    feed_id bigint NOT NULL REFERENCES feeds ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (target_id, feed_id)
);

CREATE INDEX subscriptions_feed ON subscriptions (feed_id);

-- One row per (subscription, entry): what must be sent, or was, or could not be. A row without an
-- entry is something to say about the feed itself (heraldo_sync.notices), sent in its turn.
-- stands_for: ids of rows that were merged with this one while they waited.
CREATE TABLE deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription_id bigint NOT NULL REFERENCES subscriptions ON DELETE CASCADE,
    target_id bigint NOT NULL REFERENCES targets ON DELETE CASCADE,
    entry_id bigint REFERENCES entries ON DELETE CASCADE,
    notice jsonb,
    status text NOT NULL DEFAULT 'waiting'
        CHECK (status IN ('held', 'waiting', 'sent', 'set_aside', 'skipped', 'folded')),
    parts_sent integer NOT NULL DEFAULT 0,
    message_ids bigint[] NOT NULL DEFAULT '{}',
    reason text,
    stands_for bigint[],
    created_at timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz,
    UNIQUE (subscription_id, entry_id),
    CHECK ((entry_id IS NULL) <> (notice IS NULL))
);

-- The delivery task reads a target's waiting rows oldest first.
CREATE INDEX deliveries_waiting ON deliveries (target_id, id) WHERE status = 'waiting';

-- Posts whose subscribers were asked whether they want them.
CREATE INDEX deliveries_held ON deliveries (subscription_id) WHERE status = 'held';

CREATE INDEX deliveries_entry ON deliveries (entry_id);

-- Posts that were not sent because another feed had brought them.
CREATE INDEX deliveries_folded ON deliveries (subscription_id) WHERE status = 'folded';

-- The links that a target got of late, as SHA-256, and from which feed (heraldo_sync.folding). It
-- refers to nothing on purpose: it outlives subscriptions and feeds, and recording that something
-- was sent must never wait for the lock of another row.
CREATE TABLE known_links (
    target_id bigint NOT NULL,
    link bytea NOT NULL CHECK (octet_length(link) = 32),
    feed_id bigint NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (target_id, link)
);

-- What we asked somebody, until he answers or it expires.
CREATE TABLE prompts (
    chat_id bigint NOT NULL,
    topic_id bigint NOT NULL,
    user_id bigint NOT NULL,
    command text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chat_id, topic_id, user_id)
);

-- The feeds a page offered, kept for the buttons under the message that lists them.
-- sealed: the private headers to follow them with.
CREATE TABLE choices (
    chat_id bigint NOT NULL,
    message_id bigint NOT NULL,
    target_id bigint NOT NULL REFERENCES targets ON DELETE CASCADE,
    links jsonb NOT NULL,
    sealed text,
    offered_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chat_id, message_id)
);

-- When the next message may go to a chat (0 = to Telegram at all). Losing it costs nothing
-- but a little haste, so it is not logged.
CREATE UNLOGGED TABLE pace (
    chat_id bigint PRIMARY KEY,
    free_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Hosts that asked to be left alone for a while, for all workers. Not logged, as above.
CREATE UNLOGGED TABLE host_holds (
    host text PRIMARY KEY,
    held_until timestamptz NOT NULL
);

-- Hosts that have more feeds due than they may be asked for at once. free_at: when the moments end
-- that ticks have given to checks; asked_at: when the last check asked, or will. Not logged, as above.
CREATE UNLOGGED TABLE busy_hosts (
    host text PRIMARY KEY,
    free_at timestamptz NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT 'epoch'
) WITH (fillfactor = 50);

-- The feeds of hosts that are not busy whose checks the last ticks have queued: a row for a batch of
-- a tick, as one for each feed would be written as often as feeds are checked. Not logged, as above.
CREATE UNLOGGED TABLE met_feeds (
    until timestamptz NOT NULL,
    feed_ids bigint[] NOT NULL,
    hosts text[] NOT NULL
);
