-- The same logical schema as in ../postgres; a test compares the two.
-- Times are microseconds since 1970 in UTC, amounts are in minor units of the order's currency.

create table customers (
    id text not null primary key,
    version integer not null check (version >= 1),
    -- What an imported customer is called in the system it came from.
    external_id text,
    name text not null,
    email text not null,
    address_line1 text,
    address_line2 text,
    postal_code text,
    city text,
    country text,
    created_at integer not null,
    changed_at integer not null
) strict;

create unique index customers_external_id on customers (external_id);

create table orders (
    number integer not null primary key autoincrement,
    state text not null check (state in ('draft', 'confirmed', 'deleted')),
    -- Every write raises the version and sets the sequence number to -1, in the same statement.
    version integer not null check (version >= 1),
    confirmed_sequence_nr integer not null default -1
        check (confirmed_sequence_nr = -1 or confirmed_sequence_nr > 0),
    -- Since when an exposed order waits for the sequencer; null when it does not wait.
    unstamped_since integer,
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
    check ((state = 'deleted') = (deleted_at is not null)),
    check ((unstamped_since is not null)
        = (confirmed_at is not null and confirmed_sequence_nr = -1)),
    check (confirmed_at is not null or confirmed_sequence_nr = -1)
) strict;

create unique index orders_confirmed_sequence_nr on orders (confirmed_sequence_nr)
    where confirmed_sequence_nr > 0;
create index orders_unstamped on orders (unstamped_since, number)
    where unstamped_since is not null;
create index orders_reference on orders (reference);
create index orders_customer on orders (customer_id, number);
create index orders_state on orders (state, number);

create table order_lines (
    order_number integer not null references orders (number),
    line_no integer not null check (line_no >= 1),
    sku text not null,
    description text,
    quantity integer not null check (quantity >= 1),
    unit_price_minor integer not null check (unit_price_minor >= 0),
    tax_basis_points integer not null check (tax_basis_points >= 0),
    primary key (order_number, line_no)
) strict, without rowid;

-- What happened to an order: one row for each version.
create table order_versions (
    order_number integer not null references orders (number),
    version integer not null,
    state text not null,
    action text not null,
    at integer not null,
    primary key (order_number, version)
) strict, without rowid;

create table idempotency_keys (
    key text not null primary key,
    fingerprint text not null,
    -- The document that was answered; null only inside the transaction that makes it.
    response text,
    created_at integer not null
) strict;

-- One row: which feed this is, and the counter that the sequencer numbers from.
create table feed_state (
    id integer not null primary key check (id = 1),
    feed_id text not null,
    epoch integer not null,
    last_sequence_nr integer not null,
    last_tick_at integer
) strict;

-- Rows that are locked to keep others out of something that has no row of its own.
create table locks (
    name text not null primary key
) strict;

insert into locks (name) values ('import');

-- Order numbers begin at 1001.
insert into sqlite_sequence (name, seq) values ('orders', 1000);

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
