-- Who may not speak where, and what plugins asked moderators to look at.

-- One row for a person in a room, the last word on them. A mute that was lifted is one that has ended. Rows are removed a
-- day after their end.
create table mutes (
    room    text    not null,
    person  text    not null,
    until   integer not null,
    reason  text    not null,
    said_by text    not null,
    at      integer not null,
    version integer not null,
    primary key (room, person)
) strict;

-- Hubs read what is newer than the last version that they know.
create index mutes_by_version on mutes (version);
create index mutes_by_end on mutes (until);

-- The last version given out. Whoever gives one out holds this row until the mute stands, so that versions become visible
-- in their order. One row.
create table mute_versions (
    only_row integer primary key default 1 check (only_row = 1),
    current  integer not null
) strict;

insert into mute_versions (current) values (0);

-- Events that somebody should look at. `said` is the event where it is to be found nowhere else.
create table flags (
    event      blob    not null,
    n          integer not null,
    room       text    not null,
    sender     text    not null,
    plugin     text    not null,
    reason     text    not null,
    at         integer not null,
    said       text,
    closed_by  text,
    closed_at  integer,
    closed_why text,
    primary key (event, n)
) strict;

create index flags_open on flags (at, event, n) where closed_at is null;
create index flags_closed on flags (closed_at) where closed_at is not null;
