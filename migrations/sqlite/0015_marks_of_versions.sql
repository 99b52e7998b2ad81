-- A random mark for each version of who may not speak or be where: a database that took the place of another, and lacks its last
-- versions, gives out the same numbers with other marks. The oldest are removed.
create table sanction_marks (
    version integer primary key,
    mark    text   not null
) strict;
