-- The place up to which retention has removed an epoch's events: nothing is served from there, and a record of there that comes
-- again is not stored. It moves in the transaction that removes them.

alter table contiguous add column floor integer not null default 0;
