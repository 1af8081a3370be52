-- An invoice that awaits approval says what its order says and nothing else: it is a draft, and part of
-- its order's row. It becomes a row of `invoices` when it stops following the order: when it is
-- approved, withdrawn or expires. Until then an order that is new or changes is written once, not twice.
alter table orders add column invoice_id text;
alter table orders add column invoice_version integer;
alter table orders add column invoice_created_at integer;
-- Since when there is what it says: the time limit for its approval begins then.
alter table orders add column invoice_computed_at integer;
alter table orders add column invoice_replaces text;

update orders set invoice_id = invoices.id,
    invoice_version = invoices.version,
    invoice_created_at = invoices.created_at,
    invoice_computed_at = invoices.computed_at,
    invoice_replaces = invoices.replaces,
    -- The place in the feed is no part of the document any more: what comes again with the same content
    -- leaves the draft as it is. How a document begins stands nowhere else in it: what stands third in a
    -- line is a text.
    document = replace(document,
        '[' || orders.number || ',"' || orders.state || '",' || orders.version || ','
            || confirmed_sequence_nr || ',',
        '[' || orders.number || ',"' || orders.state || '",' || orders.version || ',0,')
from invoices
where order_number = orders.number and invoices.state = 'awaiting_approval'
  and orders.state <> 'deleted';
delete from invoices where state = 'awaiting_approval'
    and exists (select 1 from orders where number = order_number and invoice_id = invoices.id);
-- There are no others, unless somebody has changed the tables by hand.
update invoices set state = 'withdrawn', version = version + 1, closed_at = created_at
where state = 'awaiting_approval';

create unique index orders_invoice on orders (invoice_id) where invoice_id is not null;

-- An order has at most one invoice that stands for it: its draft, or one that is approved.
drop index invoices_live;
create unique index invoices_live on invoices (order_number) where state = 'approved';

-- All invoices, drafts among them. What a draft takes from its order is in the order's document.
create view all_invoices as
select id, version, number, order_number, order_version, state, customer, currency, net_minor,
       tax_minor, total_minor, lines, created_at, approved_at, closed_at, replaces,
       credit_note_number, dispatch, order_was_lost, computed_at, null as document
from invoices
union all
select invoice_id, invoice_version, null, number, version, 'awaiting_approval', null, null, null,
       null, null, null, invoice_created_at, null, null, invoice_replaces,
       null, null, false, invoice_computed_at, document
from orders where invoice_id is not null;
