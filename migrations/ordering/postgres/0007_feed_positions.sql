-- Where an order stands in the feed, beside the order: a stamp writes this narrow row and two index
-- entries, and leaves the order as it is. There is a row for each order that was confirmed at some time.
-- It has no foreign key, which would take as long to check as the row to write: only the triggers below
-- make rows, together with their orders, and orders are never removed.
create table feed_positions (
    number bigint not null primary key with (fillfactor = 50),
    -- The number that the order was given last, its place in the feed. A change that waits for its own
    -- leaves it as it is; meanwhile the confirmed sequence number is -1. Null until the first number.
    feed_sequence_nr bigint check (feed_sequence_nr > 0),
    -- Since when the order waits for the sequencer; null when it does not wait.
    unstamped_since bigint,
    -- How often the order was written, whoever did it: a document of the feed that was made before the
    -- last time counts no more.
    revision bigint not null default 1,
    check (feed_sequence_nr is not null or unstamped_since is not null)
-- A change and its stamp write the row anew, and its entry in the index of numbers: half of each page is
-- left for that, or a stamp would split page after page.
) with (fillfactor = 50);

insert into feed_positions (number, feed_sequence_nr, unstamped_since)
select number, feed_sequence_nr, unstamped_since from orders where confirmed_at is not null
order by feed_sequence_nr;

create unique index feed_positions_feed_sequence_nr on feed_positions (feed_sequence_nr)
    where feed_sequence_nr is not null;
-- By number too: the sequencer numbers those who wait since the same moment as they stand here.
create index feed_positions_unstamped on feed_positions (unstamped_since, number)
    where unstamped_since is not null;
-- Each look of the sequencer's walks over the entries of orders that were stamped since the table was
-- cleaned up last: not only when a fifth of all orders were.
alter table feed_positions
    set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000);

-- Indexes and checks of these go with them; what made room for stamps, and cleaned up behind them, is
-- of no more use. A process of an earlier version fails rather than write what nobody would number.
alter table orders
    drop column confirmed_sequence_nr,
    drop column unstamped_since,
    drop column feed_sequence_nr;
alter table orders reset (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);
alter index orders_pkey reset (fillfactor);
alter index orders_reference reset (fillfactor);

-- Whoever writes an exposed order, and whatever they write, the same statement lets it wait for its next
-- number. An order that waits already keeps its place among those waiting, but its row is written all the
-- same: so the sequencer passes over it until the writer has committed.
create function unstamp_orders() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into feed_positions (number, unstamped_since)
        select number, changed_at from written where confirmed_at is not null;
    else
        insert into feed_positions (number, unstamped_since)
        select number, changed_at from written where confirmed_at is not null
        on conflict (number) do update
            set unstamped_since = coalesce(feed_positions.unstamped_since, excluded.unstamped_since),
                revision = feed_positions.revision + 1;
    end if;
    return null;
end
$$;

create trigger orders_unstamp_inserted after insert on orders referencing new table as written
    for each statement execute function unstamp_orders();
create trigger orders_unstamp_updated after update on orders referencing new table as written
    for each statement execute function unstamp_orders();

-- An order without its place would be told to nobody.
create trigger feed_positions_no_delete before delete on feed_positions
    for each row execute function refuse_physical_delete();
create trigger feed_positions_no_truncate before truncate on feed_positions
    for each statement execute function refuse_physical_delete();
