-- Whose tokens of before a time are good no more.

-- One row for a user: tokens issued before `before`, in milliseconds since 1970, or at a time that they do not say, are refused.
-- Rows stay, since a token may be good for ever. Versions are given out by the row of `mute_versions`, so that hubs read what
-- is newer than the last version that they know of mutes, bans and revocations alike.
create table token_revocations (
    person  text    not null primary key,
    before  integer not null,
    said_by text    not null,
    at      integer not null,
    version integer not null
) strict;

create index token_revocations_by_version on token_revocations (version);
