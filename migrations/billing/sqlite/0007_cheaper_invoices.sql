-- What has waited too long is found by its id, which begins with the time at which it was made. So
-- computing an invoice anew changes no column of any index.
drop index invoices_awaiting;
