-- Times are microseconds since 1970 in UTC, money is in minor units of its currency, and ids are
-- UUIDs version 7 as text. Truth values are 0 and 1.

-- The local copy of ordering's orders, one row each, tombstones included.
create table orders (
    number integer primary key,
    -- Which answer brought it: (epoch, version) only ever rises.
    epoch integer not null,
    version integer not null,
    state text not null,
    confirmed_sequence_nr integer not null,
    -- The order document as JSON.
    document text not null,
    -- 1 when inserted, one more with every update: tells new from changed.
    revision integer not null,
    missing_at_source integer not null,
    received_at integer not null
) strict;

create table invoices (
    id text primary key,
    version integer not null,
    number text unique,
    order_number integer not null references orders (number),
    -- Which answer it was computed from.
    order_epoch integer not null,
    order_version integer not null,
    state text not null
        check (state in ('awaiting_approval', 'approved', 'withdrawn', 'credited', 'expired')),
    -- Customer and lines are JSON, as in the order document.
    customer text not null,
    currency text not null,
    net_minor integer not null,
    tax_minor integer not null,
    total_minor integer not null,
    lines text not null,
    created_at integer not null,
    approved_at integer,
    closed_at integer,
    replaces text references invoices (id),
    credit_note_number text unique,
    dispatch text,
    check ((number is null) = (approved_at is null)),
    check ((credit_note_number is not null) = (state = 'credited'))
) strict;

-- An order has at most one live invoice.
create unique index invoices_live on invoices (order_number)
    where state in ('awaiting_approval', 'approved');
create index invoices_by_state on invoices (state, id);
create index invoices_by_order on invoices (order_number, id);

-- The last number given of each series and year. The row stays locked until its transaction ends,
-- so a number that was rolled back is given again: there are no gaps.
create table number_series (
    series text not null,
    year integer not null,
    last integer not null,
    primary key (series, year)
) strict;

-- How the pull stands: one row.
create table pull_state (
    id integer primary key check (id = 1),
    feed_id text,
    epoch integer,
    continuation_token text,
    last_sequence_nr integer,
    last_pull_at integer,
    last_success_at integer,
    last_error text,
    consecutive_failures integer not null
) strict;
insert into pull_state (id, consecutive_failures) values (1, 0);

-- What all pulls did so far: one row, apart from pull_state, so that an order pulled by number
-- counts without waiting for a page.
create table pull_totals (
    id integer primary key check (id = 1),
    pages integer not null,
    new_orders integer not null,
    changed_orders integer not null,
    removed_orders integer not null,
    unchanged_orders integer not null,
    quarantined_orders integer not null
) strict;
insert into pull_totals values (1, 0, 0, 0, 0, 0, 0);

-- The pulls of the last weeks that changed something, for the chart.
create table pulls (
    at integer primary key,
    pages integer not null,
    new_orders integer not null,
    changed_orders integer not null,
    removed_orders integer not null,
    unchanged_orders integer not null,
    quarantined_orders integer not null
) strict;
