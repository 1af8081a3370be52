-- Quarantine: orders that ordering sent and that could not be taken in. The token has moved on; here is
-- what was sent, and why it was put aside. A row counts only while `orders` holds no copy that is at
-- least as new: two transactions may bring an order to both tables at the same moment.
create table quarantine (
    number bigint primary key,
    -- Which answer brought it, as in `orders`. The version is null when it cannot be read; the place in
    -- the feed, −1 when it has none, then has to tell which of two is newer.
    epoch bigint not null,
    version bigint,
    sequence_nr bigint not null,
    reason text not null,
    -- As it was received.
    document text not null,
    since bigint not null
);
