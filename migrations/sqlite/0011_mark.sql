-- What the hub that used this database last wrote into it, and beside it: where the two differ, this is an earlier state of
-- the database (restored from a copy, say), and places may have been given out that it does not know.

alter table generations add column mark text;
