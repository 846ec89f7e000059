-- What is dropped first: archived tasks are kept for a while only.
CREATE INDEX archive_archived ON {schema}.archive (archived_at)
