-- The parents of a child, those that have not ended together: whether there is one of them is one
-- look, however many there are.
CREATE INDEX dependencies_child ON {schema}.dependencies (child, open, parent)
