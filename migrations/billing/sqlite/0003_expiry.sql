-- Since when there is what an invoice says: the time limit for its approval begins then, and begins
-- anew when its order is changed. Null only when a process of an earlier version made the invoice
-- after this migration: without a beginning there is no limit, which is safer than one that is over.
alter table invoices add column computed_at integer;
-- Of what was computed anew, only the time is known at which its order last arrived: rather late
-- than too early.
update invoices set computed_at = case
    when version = 1 then created_at
    else (select received_at from orders where number = order_number)
end;

-- What waits, longest first. With its constant first column, SQLite prefers it to the index by state.
create index invoices_awaiting on invoices (state, computed_at) where state = 'awaiting_approval';
