-- A random mark for each version of who belongs to rooms: a database that took the place of another, and lacks its last versions,
-- gives out the same numbers with other marks. The oldest are removed.
create table member_marks (
    counter bigint not null,
    version bigint not null,
    mark    text   not null,
    primary key (counter, version)
);
