-- What plugins want to say about a held event once it is published: a list in JSON.

alter table held add column says text;
