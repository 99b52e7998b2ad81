-- Ids grow with time, and so do keys that the hub or our clients make. Where an index begins with them, what is new comes
-- last, whatever its room: a batch touches the last pages of each index, and not one page of each for every room.

drop index events_by_id;
create unique index events_by_id on events (id, room) where stands;
drop index events_by_key;
create unique index events_by_key on events (key, sender, room) where stands;

alter table messages
    drop constraint messages_pkey,
    drop constraint messages_room_sender_key_key,
    add primary key (id, room),
    add unique (key, sender, room);
