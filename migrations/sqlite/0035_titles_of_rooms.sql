-- What people call a room, and what it is about; empty where nobody said.
alter table rooms add column title text not null default '';
alter table rooms add column topic text not null default '';
