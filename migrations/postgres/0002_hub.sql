-- What the hub itself writes, in the transaction of the command that asks for it.

-- Events that wait for a moderator. `event` is the event as the journal would have it, without a place.
create table held (
    id         uuid             primary key,
    room       text collate "C" not null,
    event      text             not null,
    plugin     text             not null,
    reason     text             not null,
    held_at    bigint           not null,
    state      text collate "C" not null check (state in ('waiting', 'approved', 'denied')),
    decided_by text,
    decided_at bigint
);

create index held_by_state on held (state, held_at, id);

-- The number of the current generation, where no journal topic counts them (the embedded hub). One row.
create table generations (
    only_row boolean primary key default true check (only_row),
    current  bigint  not null
);

insert into generations (current) values (1);
