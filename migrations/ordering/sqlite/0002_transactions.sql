-- One row for each unit of work that was committed, and what it wrote.
create table transactions (
    id text not null primary key,
    at integer not null
);

create table transaction_entities (
    transaction_id text not null references transactions (id),
    place integer not null,
    kind text not null check (kind in ('customer', 'order')),
    -- The customer's id or the order's number.
    key text not null,
    action text not null,
    version integer not null,
    primary key (transaction_id, place)
);

-- What is kept for a key is now all that its transaction wrote; until here it was one order.
update idempotency_keys
set response = '{"transaction":"","customers":[],"orders":[' || response || ']}'
where response is not null;
