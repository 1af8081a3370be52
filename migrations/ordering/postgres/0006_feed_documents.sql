-- The documents of the feed: each order that was ever confirmed, as the feed shows it, but for its place.
-- Written with every version of the order, in the same transaction; read by every page.
create table feed_documents (
    number bigint primary key references orders (number),
    -- Which writing of the order it was made from; it counts as long as that is the last one.
    revision bigint not null,
    document text not null
);

-- The documents of the orders that are there already, as the service itself writes them.
create function pg_temp.json(value text) returns text language sql immutable
    return coalesce(to_json(value)::text, 'null');

create function pg_temp.json(at bigint) returns text language sql immutable
    return coalesce(to_char(timestamp 'epoch' + at * interval '1 microsecond',
                            '"\""YYYY-MM-DD"T"HH24:MI:SS.US"Z\""'), 'null');

insert into feed_documents (number, revision, document)
select number, 1, concat(
    '{"number":', number, ',"state":"', state, '","version":', version,
    ',"confirmedSequenceNr":-1,"customer":{"id":', pg_temp.json(customer_id),
    ',"name":', pg_temp.json(customer_name), ',"email":', pg_temp.json(customer_email),
    ',"address":',
    case when coalesce(customer_address_line1, customer_address_line2, customer_postal_code,
                       customer_city, customer_country) is null then 'null'
    else concat(
        '{"line1":', pg_temp.json(customer_address_line1),
        ',"line2":', pg_temp.json(customer_address_line2),
        ',"postalCode":', pg_temp.json(customer_postal_code),
        ',"city":', pg_temp.json(customer_city),
        ',"country":', pg_temp.json(customer_country), '}') end,
    '},"currency":', pg_temp.json(currency), ',"reference":', pg_temp.json(reference),
    ',"note":', pg_temp.json(note), ',"lines":[',
    (select string_agg(concat(
         '{"lineNo":', line_no, ',"sku":', pg_temp.json(sku),
         ',"description":', pg_temp.json(description), ',"quantity":', quantity,
         ',"unitPriceMinor":', unit_price_minor, ',"taxBasisPoints":', tax_basis_points, '}'),
         ',' order by line_no)
     from order_lines where order_number = number),
    '],"netMinor":', net_minor, ',"taxMinor":', tax_minor, ',"totalMinor":', total_minor,
    ',"confirmedAt":', pg_temp.json(confirmed_at), ',"changedAt":', pg_temp.json(changed_at),
    ',"deletedAt":', pg_temp.json(deleted_at), '}')
from orders where confirmed_at is not null;
