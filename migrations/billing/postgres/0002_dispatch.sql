-- Dispatch: handing approved invoices over to the customer's system.

-- `invoices.dispatch` says how the handing over stands; here is what carries it out. A row is
-- written when the invoice is approved, and stays when it is delivered or has failed.
create table dispatches (
    invoice_id text collate "C" primary key references invoices (id),
    -- The exact body, so that every attempt sends the same bytes.
    payload text not null,
    -- How many attempts have begun. The number of the last one is its fencing token: only that
    -- attempt may record how it ended.
    attempts bigint not null,
    -- How many have failed since the approval, or since somebody asked to try again.
    failures bigint not null,
    next_attempt_at bigint not null,
    -- Until when an attempt is under way; null when none is. One that ended without a word was
    -- killed: when its lease has run out, the next attempt may begin.
    leased_until bigint,
    -- What went wrong last, as JSON; null when nothing did, and once it is delivered.
    fault text,
    delivered_at bigint
);

-- Those that are pending are looked for all the time, those that have failed are counted.
create index invoices_by_dispatch on invoices (dispatch, id) where dispatch is not null;

-- The version that the approval gave the invoice; null until then. The version goes on rising while
-- the invoice is handed over, and an approval that is repeated must be recognised all the same.
alter table invoices add column approved_version bigint;
update invoices set approved_version = version where state = 'approved';
