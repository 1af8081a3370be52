-- Times are microseconds since 1970 in UTC, money is in minor units of its currency, and ids are
-- UUIDs version 7 as text, compared byte by byte: text order is then time order on every server.

-- The local copy of ordering's orders, one row each, tombstones included.
create table orders (
    number bigint primary key,
    -- Which answer brought it: (epoch, version) only ever rises.
    epoch bigint not null,
    version bigint not null,
    state text not null,
    confirmed_sequence_nr bigint not null,
    -- The order document as JSON.
    document text not null,
    -- 1 when inserted, one more with every update: tells new from changed.
    revision bigint not null,
    missing_at_source boolean not null,
    received_at bigint not null
);

create table invoices (
    id text collate "C" primary key,
    version bigint not null,
    number text unique,
    order_number bigint not null references orders (number),
    -- Which answer it was computed from.
    order_epoch bigint not null,
    order_version bigint not null,
    state text not null
        check (state in ('awaiting_approval', 'approved', 'withdrawn', 'credited', 'expired')),
    -- Customer and lines are JSON, as in the order document.
    customer text not null,
    currency text not null,
    net_minor bigint not null,
    tax_minor bigint not null,
    total_minor bigint not null,
    lines text not null,
    created_at bigint not null,
    approved_at bigint,
    closed_at bigint,
    replaces text collate "C" references invoices (id),
    credit_note_number text unique,
    dispatch text,
    check ((number is null) = (approved_at is null)),
    check ((credit_note_number is not null) = (state = 'credited'))
);

-- An order has at most one live invoice.
create unique index invoices_live on invoices (order_number)
    where state in ('awaiting_approval', 'approved');
create index invoices_by_state on invoices (state, id);
create index invoices_by_order on invoices (order_number, id);

-- The last number given of each series and year. The row stays locked until its transaction ends,
-- so a number that was rolled back is given again: there are no gaps.
create table number_series (
    series text not null,
    year bigint not null,
    last bigint not null,
    primary key (series, year)
);

-- How the pull stands: one row.
create table pull_state (
    id bigint primary key check (id = 1),
    feed_id text,
    epoch bigint,
    continuation_token text,
    last_sequence_nr bigint,
    last_pull_at bigint,
    last_success_at bigint,
    last_error text,
    consecutive_failures bigint not null
);
insert into pull_state (id, consecutive_failures) values (1, 0);

-- What all pulls did so far: one row, apart from pull_state, so that an order pulled by number
-- counts without waiting for a page.
create table pull_totals (
    id bigint primary key check (id = 1),
    pages bigint not null,
    new_orders bigint not null,
    changed_orders bigint not null,
    removed_orders bigint not null,
    unchanged_orders bigint not null,
    quarantined_orders bigint not null
);
insert into pull_totals values (1, 0, 0, 0, 0, 0, 0);

-- The pulls of the last weeks that changed something, for the chart.
create table pulls (
    at bigint primary key,
    pages bigint not null,
    new_orders bigint not null,
    changed_orders bigint not null,
    removed_orders bigint not null,
    unchanged_orders bigint not null,
    quarantined_orders bigint not null
);
