-- What a moderator said for a decision, and the way to the latest decisions: hubs tell the senders that they serve.

alter table held add column decided_why text;

create index held_by_decision on held (decided_at) where decided_at is not null;
