"""The first tables: the queue's, and the feed domain's.

Revision ID: 0001
Revises:
"""

from alembic import op

from colmillo import schema

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

QUEUE_VERSION = 1

# Frozen: heraldo_sync/sql/schema.sql goes on changing, this does not.
UPGRADE = [
    """
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
)
    """,
    """
CREATE INDEX feeds_due ON feeds (next_check_at)
    """,
    """
CREATE TABLE feed_items (
    feed_id bigint PRIMARY KEY REFERENCES feeds ON DELETE CASCADE,
    items bytea NOT NULL
)
    """,
    """
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
)
    """,
    """
CREATE INDEX websub_due ON websub (try_at)
    """,
    """
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
)
    """,
    """
CREATE INDEX entries_key ON entries (feed_id, key)
    """,
    """
CREATE INDEX entries_likeness ON entries (feed_id, likeness) WHERE likeness IS NOT NULL
    """,
    """
CREATE FUNCTION same_post(one entries, other entries) RETURNS boolean
LANGUAGE sql STABLE
RETURN (one.link, one.title, one.content, coalesce(one.published_at, one.updated_at))
        IS NOT DISTINCT FROM
        (other.link, other.title, other.content, coalesce(other.published_at, other.updated_at))
    OR NOT EXISTS (
        SELECT FROM entries e
        WHERE e.feed_id IN (one.feed_id, other.feed_id) AND e.key = one.key
            AND e.id NOT IN (one.id, other.id)
    )
    """,
    """
CREATE INDEX entries_newest ON entries (feed_id, id DESC)
    """,
    """
CREATE TABLE chats (
    id bigint PRIMARY KEY,
    kind text NOT NULL,
    title text NOT NULL DEFAULT '',
    folds boolean NOT NULL DEFAULT false,
    suspended_at timestamptz,
    suspended_reason text,
    created_at timestamptz NOT NULL DEFAULT now()
)
    """,
    """
CREATE TABLE targets (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chat_id bigint NOT NULL REFERENCES chats ON UPDATE CASCADE ON DELETE CASCADE,
    topic_id bigint NOT NULL DEFAULT 0,
    closed_at timestamptz,
    closed_reason text,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (chat_id, topic_id)
)
    """,
    """
CREATE TABLE subscriptions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target_id bigint NOT NULL REFERENCES targets ON DELETE CASCADE,
    feed_id bigint NOT NULL REFERENCES feeds ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (target_id, feed_id)
)
    """,
    """
CREATE INDEX subscriptions_feed ON subscriptions (feed_id)
    """,
    """
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
)
    """,
    """
CREATE INDEX deliveries_waiting ON deliveries (target_id, id) WHERE status = 'waiting'
    """,
    """
CREATE INDEX deliveries_held ON deliveries (subscription_id) WHERE status = 'held'
    """,
    """
CREATE INDEX deliveries_entry ON deliveries (entry_id)
    """,
    """
CREATE INDEX deliveries_folded ON deliveries (subscription_id) WHERE status = 'folded'
    """,
    """
CREATE TABLE known_links (
    target_id bigint NOT NULL,
    link bytea NOT NULL CHECK (octet_length(link) = 32),
    feed_id bigint NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (target_id, link)
)
    """,
    """
CREATE TABLE prompts (
    chat_id bigint NOT NULL,
    topic_id bigint NOT NULL,
    user_id bigint NOT NULL,
    command text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chat_id, topic_id, user_id)
)
    """,
    """
CREATE TABLE choices (
    chat_id bigint NOT NULL,
    message_id bigint NOT NULL,
    target_id bigint NOT NULL REFERENCES targets ON DELETE CASCADE,
    links jsonb NOT NULL,
    sealed text,
    offered_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chat_id, message_id)
)
    """,
    """
CREATE UNLOGGED TABLE pace (
    chat_id bigint PRIMARY KEY,
    free_at timestamptz NOT NULL
) WITH (fillfactor = 50)
    """,
    """
CREATE UNLOGGED TABLE host_holds (
    host text PRIMARY KEY,
    held_until timestamptz NOT NULL
)
    """,
    """
CREATE UNLOGGED TABLE busy_hosts (
    host text PRIMARY KEY,
    free_at timestamptz NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT 'epoch'
) WITH (fillfactor = 50)
    """,
    """
CREATE UNLOGGED TABLE met_feeds (
    until timestamptz NOT NULL,
    feed_ids bigint[] NOT NULL,
    hosts text[] NOT NULL
)
    """,
]


def upgrade() -> None:
    for statement in schema.statements(until=QUEUE_VERSION):
        op.execute(statement)
    for statement in UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("Migrations only go forward; restore a backup to go back.")
