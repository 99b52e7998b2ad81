-- Rooms that people made, and who belongs to them. Open rooms have no row. Every change locks the room's row first, then the
-- counter of its versions.
create table rooms (
    room       text   primary key,
    -- 1: one of its members must be an owner.
    owned      bigint not null,
    -- How many members it has.
    members    bigint not null,
    created_by text   not null,
    created_at bigint not null
);

-- Who was removed keeps a row without a role, so that what follows the versions hears of it.
create table members (
    room    text   not null references rooms (room),
    person  text   not null,
    role    text   check (role in ('member', 'moderator', 'owner')),
    said_by text   not null,
    at      bigint not null,
    counter bigint not null,
    version bigint not null,
    primary key (room, person)
);
create index members_by_person on members (person, room) where role is not null;
create index members_owners on members (room) where role = 'owner';
create index members_by_version on members (counter, version);

-- 64 counters, by a hash of the room, so that changes of different rooms seldom wait for one another.
create table member_versions (
    counter bigint primary key,
    current bigint not null
);
insert into member_versions (counter, current) select counter, 0 from generate_series(0, 63) as counter;
