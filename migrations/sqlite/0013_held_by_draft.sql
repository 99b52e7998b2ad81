-- A draft that is held on two hubs, or twice, is held once: a draft is known by its room, sender, key and digest. Those that
-- were held before have no key here.

alter table held add column key text;
alter table held add column digest text;
create unique index held_by_draft on held (key, sender, room, digest) where key is not null;
