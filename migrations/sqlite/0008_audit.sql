-- What operators and moderators did, and what they were refused.

-- One row an act, never changed; the oldest are removed. `said_by` is an operator's token or a moderator's id, `via` the way
-- they came (`admin-api`, `rpc`, `socketio`), `verb` what they did, to whom or what it says `room`, `person` and `event`,
-- where there is such, and `details` (JSON) all else. `result` is `ok`, or the refusal.
create table audit (
    id      integer primary key autoincrement,
    at      integer not null,
    said_by text    not null,
    via     text    not null,
    verb    text    not null,
    room    text,
    person  text,
    event   text,
    reason  text,
    result  text    not null,
    details text
) strict;

create index audit_by_time on audit (at);
create index audit_by_person on audit (person, id) where person is not null;
