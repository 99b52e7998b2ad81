-- Who may not be where.

-- One row for a person in a room, or, where `room` is empty, on the whole hub; the last word on them. `until` is the highest
-- number there is where no end was said. Otherwise as `mutes`, and versions are given out by the same row of
-- `mute_versions`, so that hubs read what is newer than the last version that they know of both.
create table bans (
    room    text    not null,
    person  text    not null,
    until   integer not null,
    reason  text    not null,
    said_by text    not null,
    at      integer not null,
    version integer not null,
    primary key (room, person)
) strict;

create index bans_by_version on bans (version);
create index bans_by_end on bans (until);
create index bans_by_person on bans (person);
