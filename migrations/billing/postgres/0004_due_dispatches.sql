-- When the next attempt may begin: null unless the dispatch is pending. What is due is then found by
-- this table and its index alone, however much is pending.
alter table dispatches alter column next_attempt_at drop not null;
update dispatches set next_attempt_at = null
where invoice_id in (select id from invoices where dispatch <> 'pending');

create index dispatches_due on dispatches (next_attempt_at, invoice_id)
    where next_attempt_at is not null;
