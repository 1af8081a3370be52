-- The order's place in the feed: the number that it was given last. A change that waits for its number
-- leaves it as it is, so that an order which is written before each look of the sequencer's, or of a
-- consumer's, is read all the same. Null until the first number.
alter table orders add column feed_sequence_nr integer;
update orders set feed_sequence_nr = confirmed_sequence_nr where confirmed_sequence_nr > 0;
-- A sequencer of an earlier version, which does not know the place, fails rather than give a number
-- that no consumer would see. (A check of the whole table cannot be added here.)
create trigger orders_stamped_in_the_feed before update on orders
when new.confirmed_sequence_nr > 0 and new.feed_sequence_nr is not new.confirmed_sequence_nr
begin
    select raise(abort, 'a number is given without its place in the feed');
end;

drop index orders_confirmed_sequence_nr;
create unique index orders_feed_sequence_nr on orders (feed_sequence_nr)
    where feed_sequence_nr is not null;
