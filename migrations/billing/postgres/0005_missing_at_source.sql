-- Every order of an older epoch than the adopted one must be seen again. They are found by the data
-- alone, in the order in which they are asked for, so that no crash can lose the duty.
create index orders_unseen on orders (epoch, number) where not missing_at_source;
-- Since when that epoch is adopted; null when that is not known.
alter table pull_state add column adopted_at bigint;

-- Orders that ordering has lost. They keep the epoch and the version of what is stored.
create index orders_missing on orders (number) where missing_at_source;
-- When ordering was found to know the order no more; null when it knows it, or that is not known.
alter table orders add column missing_since bigint;
-- When a person decided that the order counts all the same; null when nobody has. Goes with the mark.
alter table orders add column kept_at bigint;
-- Whether a person withdrew the invoice because ordering had lost its order.
alter table invoices add column order_was_lost boolean not null default false;
