-- The event of the record before a position: whoever goes on there looks whether it is still the one that lies before it. Nothing
-- where that record named no event.

alter table positions add column last_id uuid;
