-- What happened in the rooms, and what it adds up to.
--
-- A place in a room's order is (epoch, seq): the protocol calls the second half `offset`, which is a reserved word here.
-- JSON is kept as text: what was sent is what is served, byte for byte. Ids are the 16 bytes of the UUID.
-- Times are milliseconds since 1970, as in the protocol.

-- Every record of the journal has a row, so that no place in the order is missing. Rows are never removed, and only two
-- things about them change: a delete blanks bodies, and a readable copy takes the place of an unreadable one.
create table events (
    room         text    not null,
    epoch        integer not null,
    seq          integer not null,
    id           blob    not null,
    kind         text    not null,  -- a kind of the protocol, or 'unreadable'
    sender       text,
    key          text,
    digest       text,              -- of the draft: the same key with another draft is another thing
    at           integer,
    body         text,              -- 'null' once deleted; SQL null only where the record was unreadable
    target       blob,
    thread       blob,
    annotations  text,
    trail        text,              -- which chain judged it, and what each plugin said
    client       text,
    info         text,
    version      integer not null,  -- of the record's format
    stands       integer not null,  -- it is the event itself: no duplicate, and readable
    duplicate_of blob,              -- the event that stands for this one; its own id if only the place is new
    reason       text,              -- why it is unreadable
    -- The id is part of the key so that two events that claim one place, which must not happen, are both kept to be looked at.
    primary key (room, epoch, seq, id),
    check (kind = 'unreadable'
           or (sender is not null and key is not null and digest is not null and at is not null and body is not null)),
    check (stands = (duplicate_of is null and kind <> 'unreadable'))
) strict;

-- An event stands once. It may legally be appended again, with the same id, in a new generation: that row has its place
-- and `duplicate_of`. An unreadable row only keeps a place; it must not be in the way of the same event elsewhere.
create unique index events_by_id on events (room, id) where stands;
-- Sent twice is said once, for every kind, however much later the second came.
create unique index events_by_key on events (room, sender, key) where stands;
-- The exceptions, in indexes of their own: they are few, so these cost nearly nothing.
create index events_set_aside on events (room, id) where not stands;
create index events_duplicates on events (room, duplicate_of) where not stands;
-- A delete must find the edits that carry the deleted words.
create index events_edits on events (room, target) where kind = 'edit';
-- "Which keys were used since?" is asked at every start of the embedded hub.
create index events_by_time on events (at);

-- What a message is now: the fold of its events. Every part remembers the place that wrote it, and an older place never
-- overwrites a newer one, so the order in which records arrive does not matter. A row without `seq` waits for its message:
-- an edit or a delete came first.
create table messages (
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
    primary key (room, id),
    unique (room, sender, key)
) strict;

-- The last word of each user on each reaction. A reaction taken back keeps its row: an older one that comes late must
-- not bring it back.
create table reactions (
    room     text    not null,
    target   blob    not null,
    user_id  text    not null,
    reaction text    not null,
    epoch    integer not null,
    seq      integer not null,
    present  integer not null,
    primary key (room, target, user_id, reaction)
) strict, without rowid;

-- How far each user has read each room.
create table markers (
    room    text    not null,
    user_id text    not null,
    epoch   integer not null,
    seq     integer not null,
    at      integer not null,
    primary key (room, user_id)
) strict, without rowid;

-- How far each (room, epoch) is known without a hole (`through`), and the highest place seen (`top`). Readers by cursor
-- stop at `through`.
create table contiguous (
    room    text    not null,
    epoch   integer not null,
    through integer not null,
    top     integer not null,
    primary key (room, epoch)
) strict, without rowid;

-- Where the consumer goes on reading: the number of the next record of each partition. Moved in the transaction that
-- writes the rows, and only from where the writer thought it was, so a consumer that has been replaced cannot write.
create table positions (
    topic     text    not null,
    partition integer not null,
    next      integer not null,
    primary key (topic, partition)
) strict, without rowid;
