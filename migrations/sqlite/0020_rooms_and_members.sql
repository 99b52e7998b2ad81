-- Rooms that people made, and who belongs to them. Open rooms have no row. Every change locks the room's row first, then the
-- counter of its versions.
create table rooms (
    room       text   primary key,
    -- 1: one of its members must be an owner.
    owned      integer not null,
    -- How many members it has.
    members    integer not null,
    created_by text   not null,
    created_at integer not null
) strict;

-- Who was removed keeps a row without a role, so that what follows the versions hears of it.
create table members (
    room    text   not null references rooms (room),
    person  text   not null,
    role    text   check (role in ('member', 'moderator', 'owner')),
    said_by text   not null,
    at      integer not null,
    counter integer not null,
    version integer not null,
    primary key (room, person)
) strict;
create index members_by_person on members (person, room) where role is not null;
create index members_owners on members (room) where role = 'owner';
create index members_by_version on members (counter, version);

-- 64 counters, by a hash of the room, so that changes of different rooms seldom wait for one another.
create table member_versions (
    counter integer primary key,
    current integer not null
) strict;
insert into member_versions (counter, current)
    with recursive counters (counter) as (select 0 union all select counter + 1 from counters where counter < 63)
    select counter, 0 from counters;
