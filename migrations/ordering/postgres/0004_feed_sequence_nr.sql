-- The order's place in the feed: the number that it was given last. A change that waits for its number
-- leaves it as it is, so that an order which is written before each look of the sequencer's, or of a
-- consumer's, is read all the same. Null until the first number.
alter table orders add column feed_sequence_nr bigint
    check (confirmed_sequence_nr = -1 or confirmed_sequence_nr = feed_sequence_nr);
update orders set feed_sequence_nr = confirmed_sequence_nr where confirmed_sequence_nr > 0;

drop index orders_confirmed_sequence_nr;
create unique index orders_feed_sequence_nr on orders (feed_sequence_nr)
    where feed_sequence_nr is not null;
