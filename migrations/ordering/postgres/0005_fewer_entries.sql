-- Each stamp writes an entry into every index of its order, so what is seldom asked for costs all orders.
-- A list of one state other than confirmed has its own index still; most orders are confirmed, and a
-- list of those finds them by their numbers.
drop index orders_state;
create index orders_state on orders (state, number) where state <> 'confirmed';

-- Rows are written in the order of these two, and again soon after, when they are stamped: room for the
-- second entry beside the first spares splitting every page.
alter index orders_pkey set (fillfactor = 50);
alter index orders_reference set (fillfactor = 50);

-- Each look of the sequencer's walks over the entries of orders that were stamped since the table was
-- cleaned up last: not only when a fifth of all orders were.
alter table orders set (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 5000);
