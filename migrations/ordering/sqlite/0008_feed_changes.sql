-- The places in the feed, in three tables. A writer appends its change to the first two, and nothing that it
-- has written is ever changed. A stamp deletes from the queue, and notes which run of changes got which run
-- of numbers: in one row, or by making the last one longer, for thousands as a rule.

-- The changes that the feed shows: the last one of each exposed order, and, while it waits for its number,
-- the one that was stamped last before it.
create table feed_changes (
    -- In the order in which they were written.
    change_id integer not null primary key autoincrement,
    number integer not null
) strict;

-- The changes that wait for the sequencer.
create table feed_queue (
    change_id integer not null primary key,
    number integer not null,
    -- The order's change before, which leaves the feed when this one gets its number; null for the first.
    previous_change_id integer,
    waiting_since integer not null
) strict;

-- Which changes have which numbers: those from first_change_id on, as many as the run is long, have those
-- from first_sequence_nr on, one by one. A change that no run holds waits for its number.
create table feed_runs (
    first_sequence_nr integer not null primary key check (first_sequence_nr > 0),
    first_change_id integer not null,
    length integer not null check (length > 0)
) strict;

-- What has a number keeps it: it is taken for the id of the change, too.
insert into feed_changes (change_id, number)
select feed_sequence_nr, number from feed_positions where feed_sequence_nr is not null
order by feed_sequence_nr;
insert into feed_runs (first_sequence_nr, first_change_id, length)
select 1, 1, last_sequence_nr from feed_state where last_sequence_nr > 0;
insert into feed_queue (change_id, number, previous_change_id, waiting_since)
select coalesce((select last_sequence_nr from feed_state), 0)
        + row_number() over (order by unstamped_since, number),
    number, feed_sequence_nr, unstamped_since
from feed_positions where unstamped_since is not null;
insert into feed_changes (change_id, number) select change_id, number from feed_queue order by change_id;
-- No id that a run holds already is given again.
delete from sqlite_sequence where name = 'feed_changes';
insert into sqlite_sequence (name, seq)
select 'feed_changes', max(coalesce((select max(change_id) from feed_changes), 0),
                           coalesce((select last_sequence_nr from feed_state), 0));

create index feed_changes_number on feed_changes (number, change_id);
create unique index feed_runs_first_change_id on feed_runs (first_change_id);

create view feed_places as
select number, change_id,
    -- Null while the change waits for its number.
    (select first_sequence_nr + change_id - first_change_id from feed_runs
     where first_change_id
            = (select max(first_change_id) from feed_runs where first_change_id <= change_id)
        and change_id < first_change_id + length) as feed_sequence_nr
from feed_changes;

-- A document says of which change it is; it counts as long as that is the order's last.
update feed_documents set revision = coalesce(
    (select max(change_id) from feed_changes join feed_positions using (number)
     where number = feed_documents.number and feed_positions.revision = feed_documents.revision), 0);
alter table feed_documents rename column revision to change_id;

drop trigger orders_unstamp_inserted;
drop trigger orders_unstamp_updated;
-- A process of an earlier version fails rather than write what nobody would number. Its own trigger would
-- refuse to let it go.
drop trigger feed_positions_no_delete;
drop table feed_positions;

-- Whoever writes an exposed order, and whatever they write, the same statement appends a change of it,
-- which waits for its number.
create trigger orders_append_inserted after insert on orders when new.confirmed_at is not null
begin
    insert into feed_changes (number) values (new.number);
    insert into feed_queue (change_id, number, waiting_since)
    values (last_insert_rowid(), new.number, new.changed_at);
end;
create trigger orders_append_updated after update on orders when new.confirmed_at is not null
begin
    insert into feed_changes (number) values (new.number);
    insert into feed_queue (change_id, number, previous_change_id, waiting_since)
    select last_insert_rowid(), new.number, max(change_id), new.changed_at
    from feed_changes where number = new.number and change_id < last_insert_rowid();
end;

-- An order whose last change is gone would be told to nobody.
create trigger feed_changes_keep_last before delete on feed_changes
    when not exists (select 1 from feed_changes
                     where number = old.number and change_id > old.change_id)
begin
    select raise(abort, 'the last change of an order is never physically deleted');
end;
