-- Ids grow with time, and so do keys that the hub or our clients make. Where an index begins with them, what is new comes
-- last, whatever its room: a batch touches the last pages of each index, and not one page of each for every room. Each page
-- touched is a page written.

drop index events_by_id;
create unique index events_by_id on events (id, room) where stands;
drop index events_by_key;
create unique index events_by_key on events (key, sender, room) where stands;

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
    primary key (id, room),
    unique (key, sender, room)
) strict;

insert into messages_anew
select room, id, epoch, seq, sender, client, info, key, at, thread, body, annotations,
       edit_epoch, edit_seq, edited_at, delete_epoch, delete_seq
from messages order by rowid;

drop table messages;
alter table messages_anew rename to messages;
