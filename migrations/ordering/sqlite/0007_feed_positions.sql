-- Where an order stands in the feed, beside the order: a stamp writes this narrow row and two index
-- entries, and leaves the order as it is. There is a row for each order that was confirmed at some time.
-- It has no foreign key: only the triggers below make rows, together with their orders, and orders are
-- never removed.
create table feed_positions (
    number integer not null primary key,
    -- The number that the order was given last, its place in the feed. A change that waits for its own
    -- leaves it as it is; meanwhile the confirmed sequence number is -1. Null until the first number.
    feed_sequence_nr integer check (feed_sequence_nr > 0),
    -- Since when the order waits for the sequencer; null when it does not wait.
    unstamped_since integer,
    -- How often the order was written, whoever did it: a document of the feed that was made before the
    -- last time counts no more.
    revision integer not null default 1,
    check (feed_sequence_nr is not null or unstamped_since is not null)
) strict;

insert into feed_positions (number, feed_sequence_nr, unstamped_since)
select number, feed_sequence_nr, unstamped_since from orders where confirmed_at is not null
order by number;

create unique index feed_positions_feed_sequence_nr on feed_positions (feed_sequence_nr)
    where feed_sequence_nr is not null;
create index feed_positions_unstamped on feed_positions (unstamped_since, number)
    where unstamped_since is not null;

-- The columns have left orders. Checks of the whole table name them, so the table is made anew. Those who
-- refer to it are looked at again when the transaction ends, and then all orders are back.
pragma defer_foreign_keys = on;
create temp table orders_before as select * from orders;
drop table orders;

create table orders (
    number integer not null primary key autoincrement,
    state text not null check (state in ('draft', 'confirmed', 'deleted')),
    -- Every write raises the version.
    version integer not null check (version >= 1),
    customer_id text not null references customers (id),
    -- The order's own copy of its customer; a draft has none and shows the customer as it is now.
    customer_name text,
    customer_email text,
    customer_address_line1 text,
    customer_address_line2 text,
    customer_postal_code text,
    customer_city text,
    customer_country text,
    currency text not null,
    reference text,
    note text,
    net_minor integer not null check (net_minor >= 0),
    tax_minor integer not null check (tax_minor >= 0),
    total_minor integer not null check (total_minor = net_minor + tax_minor),
    line_count integer not null check (line_count >= 1),
    created_at integer not null,
    changed_at integer not null,
    -- Set once and for all: an order that was confirmed at some time is exposed.
    confirmed_at integer,
    deleted_at integer,
    check ((state = 'draft') = (customer_name is null)),
    check ((customer_name is null) = (customer_email is null)),
    check (case state when 'draft' then confirmed_at is null
                      when 'confirmed' then confirmed_at is not null
                      else true end),
    check ((state = 'deleted') = (deleted_at is not null))
) strict;

insert into orders (number, state, version, customer_id, customer_name, customer_email,
    customer_address_line1, customer_address_line2, customer_postal_code, customer_city, customer_country,
    currency, reference, note, net_minor, tax_minor, total_minor, line_count, created_at, changed_at,
    confirmed_at, deleted_at)
select number, state, version, customer_id, customer_name, customer_email,
    customer_address_line1, customer_address_line2, customer_postal_code, customer_city, customer_country,
    currency, reference, note, net_minor, tax_minor, total_minor, line_count, created_at, changed_at,
    confirmed_at, deleted_at
from orders_before order by number;
drop table orders_before;
-- The next number is not one that was given, and the first is 1001.
delete from sqlite_sequence where name = 'orders';
insert into sqlite_sequence (name, seq) select 'orders', max(1000, coalesce(max(number), 0)) from orders;

create index orders_reference on orders (reference);
create index orders_customer on orders (customer_id, number);
create index orders_state on orders (state, number) where state <> 'confirmed';

-- A deletion must be told to consumers, so it is a state; a row that is gone could not be told.
create trigger orders_no_delete before delete on orders
begin
    select raise(abort, 'orders are never physically deleted');
end;

-- "insert or replace" deletes the row it replaces without firing the trigger above.
create trigger orders_no_replace before insert on orders
    when exists (select 1 from orders where number = new.number)
begin
    select raise(abort, 'orders are never physically deleted');
end;

-- Whoever writes an exposed order, and whatever they write, the same statement lets it wait for its next
-- number. An order that waits already keeps its place among those waiting.
create trigger orders_unstamp_inserted after insert on orders when new.confirmed_at is not null
begin
    insert into feed_positions (number, unstamped_since) values (new.number, new.changed_at);
end;
create trigger orders_unstamp_updated after update on orders when new.confirmed_at is not null
begin
    insert into feed_positions (number, unstamped_since) values (new.number, new.changed_at)
    on conflict (number) do update
        set unstamped_since = coalesce(unstamped_since, excluded.unstamped_since),
            revision = revision + 1;
end;

-- An order without its place would be told to nobody.
create trigger feed_positions_no_delete before delete on feed_positions
begin
    select raise(abort, 'orders are never physically deleted');
end;
