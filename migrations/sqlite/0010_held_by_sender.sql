-- Who sent what is held: so many events of one sender wait at most. Those that were held before count for nobody.

alter table held add column sender text;
create index held_waiting_by_sender on held (sender) where state = 'waiting';
