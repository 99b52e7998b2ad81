-- The same key with another draft is another thing, however much later it comes: a client that counts its keys from 1 again
-- must not have what it says taken for what it said before. Two events of one draft are still one.

drop index events_by_key;
create unique index events_by_key on events (key, sender, room, digest) where stands;

create table messages_anew (
    room         text    not null,
    id           blob    not null,
    epoch        integer,
    seq          integer,
    sender       text,
    client       text,
    info         text,
    key          text,
    at           integer,
    thread       blob,
    body         text,  -- of the newest edit, else of the message; null while waiting and once deleted
    annotations  text,  -- belong to the body
    edit_epoch   integer,
    edit_seq     integer,
    edited_at    integer,
    delete_epoch integer,
    delete_seq   integer,
    primary key (id, room)
) strict;

insert into messages_anew
select room, id, epoch, seq, sender, client, info, key, at, thread, body, annotations,
       edit_epoch, edit_seq, edited_at, delete_epoch, delete_seq
from messages order by rowid;

drop table messages;
alter table messages_anew rename to messages;
