-- The same key with another draft is another thing, however much later it comes: a client that counts its keys from 1 again
-- must not have what it says taken for what it said before. Two events of one draft are still one.

drop index events_by_key;
create unique index events_by_key on events (key, sender, room, digest) where stands;

alter table messages drop constraint messages_key_sender_room_key;
