-- The documents of the feed: each order that was ever confirmed, as the feed shows it, but for its place.
-- Written with every version of the order, in the same transaction; read by every page.
create table feed_documents (
    number integer not null primary key references orders (number),
    -- Which writing of the order it was made from; it counts as long as that is the last one.
    revision integer not null,
    document text not null
) strict;

-- The documents of the orders that are there already, as the service itself writes them.
insert into feed_documents (number, revision, document)
select number, 1,
    '{"number":' || number || ',"state":"' || state || '","version":' || version
    || ',"confirmedSequenceNr":-1,"customer":{"id":' || json_quote(customer_id)
    || ',"name":' || json_quote(customer_name) || ',"email":' || json_quote(customer_email)
    || ',"address":'
    || case when coalesce(customer_address_line1, customer_address_line2, customer_postal_code,
                          customer_city, customer_country) is null then 'null'
    else '{"line1":' || json_quote(customer_address_line1)
        || ',"line2":' || json_quote(customer_address_line2)
        || ',"postalCode":' || json_quote(customer_postal_code)
        || ',"city":' || json_quote(customer_city)
        || ',"country":' || json_quote(customer_country) || '}' end
    || '},"currency":' || json_quote(currency) || ',"reference":' || json_quote(reference)
    || ',"note":' || json_quote(note) || ',"lines":['
    || (select group_concat(line, ',') from (
            select '{"lineNo":' || line_no || ',"sku":' || json_quote(sku)
                || ',"description":' || json_quote(description) || ',"quantity":' || quantity
                || ',"unitPriceMinor":' || unit_price_minor
                || ',"taxBasisPoints":' || tax_basis_points || '}' as line
            from order_lines where order_number = number order by line_no))
    || '],"netMinor":' || net_minor || ',"taxMinor":' || tax_minor || ',"totalMinor":' || total_minor
    || ',"confirmedAt":' || coalesce(strftime('"%Y-%m-%dT%H:%M:%S', confirmed_at / 1000000, 'unixepoch')
                                     || printf('.%06dZ"', confirmed_at % 1000000), 'null')
    || ',"changedAt":' || strftime('"%Y-%m-%dT%H:%M:%S', changed_at / 1000000, 'unixepoch')
    || printf('.%06dZ"', changed_at % 1000000)
    || ',"deletedAt":' || coalesce(strftime('"%Y-%m-%dT%H:%M:%S', deleted_at / 1000000, 'unixepoch')
                                   || printf('.%06dZ"', deleted_at % 1000000), 'null')
    || '}'
from orders where confirmed_at is not null;
