-- A page of the feed makes or recomputes a thousand invoices: what each of them costs counts.

-- Numbers are given late or never: what has none need not be in their indexes.
alter table invoices drop constraint invoices_number_key;
alter table invoices drop constraint invoices_credit_note_number_key;
create unique index invoices_number on invoices (number) where number is not null;
create unique index invoices_credit_note_number on invoices (credit_note_number)
    where credit_note_number is not null;

-- What has waited too long is found by its id, which begins with the time at which it was made. So
-- computing an invoice anew changes no column of any index.
drop index invoices_awaiting;

-- An invoice is made by the very transaction that has stored its order and holds the invoice that it
-- replaces, and neither is ever removed. Looking up and locking the order once more, invoice by invoice,
-- took as long as all the rest.
alter table invoices drop constraint invoices_order_number_fkey;
alter table invoices drop constraint invoices_replaces_fkey;

-- Half of each page is left for the next version of its rows: an order that changes, and an invoice
-- that is computed anew, then cost no index entry. Without it, a change of everything made the tables
-- as large anyway, and took more than twice as long.
alter table orders set (fillfactor = 50);
alter table invoices set (fillfactor = 50);
