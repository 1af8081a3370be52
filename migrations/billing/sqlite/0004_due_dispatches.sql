-- When the next attempt may begin: null unless the dispatch is pending. What is due is then found by
-- this table and its index alone, however much is pending.
-- SQLite lets no column become nullable: a new one takes its place.
alter table dispatches rename column next_attempt_at to due;
alter table dispatches add column next_attempt_at integer;
update dispatches set next_attempt_at = due
where invoice_id in (select id from invoices where dispatch = 'pending');
alter table dispatches drop column due;

create index dispatches_due on dispatches (next_attempt_at, invoice_id)
    where next_attempt_at is not null;
