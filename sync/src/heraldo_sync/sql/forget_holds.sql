-- Holds that are over; one that is being prolonged is left for the next time.
DELETE FROM host_holds
WHERE host IN (SELECT host FROM host_holds WHERE held_until < now() FOR UPDATE SKIP LOCKED)
