-- The history that the current epoch names, as the database itself tells it apart: a restored copy
-- or a promoted standby tells another. Null until it was looked at first.
alter table feed_state add column history text;

-- The epochs of this feed, and why each began.
create table epochs (
    epoch integer not null primary key,
    began_at integer not null,
    -- The newest number that was given when it began.
    last_sequence_nr integer not null,
    reason text not null
        check (reason in ('created', 'by-hand', 'failover', 'restored', 'lost-history'))
) strict;

-- Until here nobody noted why an epoch began, and its name is the time at which it did.
insert into epochs (epoch, began_at, last_sequence_nr, reason)
select epoch, epoch * 1000, 0, 'created' from feed_state;
