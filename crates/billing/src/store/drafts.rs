//! Drafts: invoices that await approval, each part of its order's row.
//!
//! A draft says what its order says, so the upsert of an order is all it takes to make it or to
//! compute it anew; see [`super::orders`]. When it stops following its order it is frozen: it becomes
//! a row of `invoices`, with the content that it has.

use contract::feed::Epoch;
use contract::order::Order;
use contract::time::Timestamp;
use kit::db::{AssertSqlSafe, Backend, Batch, Error, Result, Row, query};
use kit::random::Random;

use super::{Fit, json, orders};
use crate::dispatch::DispatchState;
use crate::invoice::{Invoice, InvoiceState};

/// The columns of an order's draft: all of them are null when it has none.
const PARTS: [&str; 5] = [
    "invoice_id",
    "invoice_version",
    "invoice_created_at",
    "invoice_computed_at",
    "invoice_replaces",
];

/// What [`read`] needs, of `orders`.
pub(super) const COLUMNS: &str = "orders.number, orders.epoch, orders.version, \
    orders.confirmed_sequence_nr, orders.document, invoice_id, invoice_version, \
    invoice_created_at, invoice_computed_at, invoice_replaces";

/// A draft, whose order's row the transaction holds.
pub(super) struct Draft {
    pub(super) invoice: Invoice,
    /// Which answer it was computed from, with the version of its order.
    pub(super) order_epoch: i64,
    /// Microseconds since 1970; `None` for one that an early version of this program has made.
    pub(super) computed_at: Option<i64>,
}

impl Draft {
    /// It ends in this state, unapproved.
    fn ended(mut self, state: InvoiceState, at: Timestamp) -> Self {
        self.invoice.version += 1;
        self.invoice.state = state;
        self.invoice.closed_at = Some(at);
        self
    }
}

/// The invoice that awaits approval of `order`.
pub(super) fn invoice(
    order: Order,
    id: String,
    version: i64,
    created_at: i64,
    replaces: Option<String>,
) -> Invoice {
    Invoice {
        id,
        version,
        number: None,
        order_number: order.number,
        order_version: order.version,
        state: InvoiceState::AwaitingApproval,
        customer: order.customer,
        currency: order.currency,
        net_minor: order.net_minor,
        tax_minor: order.tax_minor,
        total_minor: order.total_minor,
        lines: order.lines,
        created_at: Timestamp::from_micros(created_at),
        approved_at: None,
        closed_at: None,
        replaces,
        credit_note_number: None,
        dispatch: None,
        order_was_lost: false,
    }
}

/// The draft of a row with [`COLUMNS`].
pub(super) fn read<B: Backend>(row: &Row<B>) -> Result<Draft> {
    saying(orders::read_document(row)?, row)
}

/// The draft of a row with [`COLUMNS`], with what this order says.
fn saying<B: Backend>(order: Order, row: &Row<B>) -> Result<Draft> {
    Ok(Draft {
        invoice: invoice(
            order,
            row.get("invoice_id")?,
            row.get("invoice_version")?,
            row.get("invoice_created_at")?,
            row.get("invoice_replaces")?,
        ),
        order_epoch: row.get("epoch")?,
        computed_at: row.get("invoice_computed_at")?,
    })
}

/// A draft that is to be made.
pub(super) struct New {
    /// UUID version 7.
    pub(super) id: String,
    pub(super) order_number: i64,
    /// The id of the credited invoice that it replaces; `None` when it replaces none.
    pub(super) replaces: Option<String>,
}

/// Makes drafts of orders that are stored and held, and have none.
pub(super) async fn make<B: Backend>(
    conn: &mut B::Connection,
    drafts: &[New],
    at: Timestamp,
) -> Result<()> {
    if drafts.is_empty() {
        return Ok(());
    }
    let batch = Batch::new()
        .text("id", drafts.iter().map(|new| &*new.id))
        .int("order_number", drafts.iter().map(|new| new.order_number))
        .text("replaces", drafts.iter().map(|new| new.replaces.as_deref()));
    let sql = format!(
        "update orders set invoice_id = batch.id, invoice_version = 1, invoice_created_at = $1,
                           invoice_computed_at = $1, invoice_replaces = batch.replaces
         from {} where number = order_number and invoice_id is null",
        batch.table::<B>(2)
    );
    let update = query::<B>(AssertSqlSafe(sql)).bind(at.micros()).bind_batch(batch);
    update.execute_exactly(drafts.len() as u64, conn).await
}

/// Withdraws the drafts of orders that these tombstones of `epoch` are newer than; how many. The orders'
/// rows are held.
///
/// When what a draft says cannot be read any more, it says what the tombstone does: or this, and every
/// page that it stands on, could never be taken in.
pub(super) async fn withdraw_deleted<B: Backend>(
    conn: &mut B::Connection,
    epoch: Epoch,
    tombstones: &[&Fit],
    at: Timestamp,
) -> Result<i64> {
    if tombstones.is_empty() {
        return Ok(0);
    }
    let batch = Batch::new()
        .int("of_order", tombstones.iter().map(|order| order.number))
        .int("newer", tombstones.iter().map(|order| order.version));
    // SQLite reads a cross join from left to right: the orders by their key.
    let sql = format!(
        "select {COLUMNS} from {} cross join orders
         where orders.number = of_order and invoice_id is not null
           and ($1, newer) > (orders.epoch, orders.version)",
        batch.table::<B>(2)
    );
    let select = query::<B>(AssertSqlSafe(sql)).bind(epoch.0).bind_batch(batch);
    let rows = select.fetch_all(&mut *conn).await?;
    let drafts = rows.iter().map(|row| match read(row) {
        Err(Error::Damaged(reason)) => {
            let number: i64 = row.get("number")?;
            tracing::warn!(order.number = number, reason, "a deleted order's copy was damaged");
            let tombstone = tombstones.iter().find(|order| order.number == number);
            let tombstone = tombstone.ok_or(Error::Damaged(reason))?;
            saying(Order { version: row.get("version")?, ..tombstone.order()? }, row)
        }
        draft => draft,
    });
    end::<B>(conn, drafts.collect::<Result<_>>()?, InvoiceState::Withdrawn, at).await
}

/// Withdraws the draft of an order that ordering has lost; whether there was one. The order's row is
/// held.
pub(super) async fn withdraw_lost<B: Backend>(
    conn: &mut B::Connection,
    number: i64,
    at: Timestamp,
) -> Result<bool> {
    let sql = format!("select {COLUMNS} from orders where number = $1 and invoice_id is not null");
    let row = query::<B>(AssertSqlSafe(sql)).bind(number).fetch_optional(&mut *conn).await?;
    let Some(row) = row else { return Ok(false) };
    let mut draft = read(&row)?.ended(InvoiceState::Withdrawn, at);
    draft.invoice.order_was_lost = true;
    freeze::<B>(conn, &[draft]).await?;
    Ok(true)
}

/// Expires drafts that were computed before `before`; how many.
///
/// They are found by their ids, which tell when they were made: none was computed earlier.
///
/// It waits for nobody: an order that another transaction holds is about to change, or its draft to be
/// approved, withdrawn or expired, and is looked at again next time. So it can never be part of a
/// deadlock, in whatever order it takes its rows. PostgreSQL checks the conditions on each row as it
/// is once it is locked. One that cannot be read any more stays until its order is repaired or changes.
pub(super) async fn expire<B: Backend>(
    conn: &mut B::Connection,
    before: Timestamp,
    limit: i64,
    at: Timestamp,
) -> Result<i64> {
    let sql = format!(
        "select {COLUMNS} from orders
         where invoice_id < $3 and invoice_computed_at < $1
         order by invoice_id limit $2{}",
        B::SKIP_LOCKED
    );
    let rows = query::<B>(AssertSqlSafe(sql))
        .bind(before.micros())
        .bind(limit)
        .bind(Random::uuid_behind(before))
        .fetch_all(&mut *conn)
        .await?;
    let mut drafts = Vec::with_capacity(rows.len());
    for row in &rows {
        match read(row) {
            Err(Error::Damaged(reason)) => {
                let number: i64 = row.get("number")?;
                tracing::warn!(order.number = number, reason, "a damaged invoice cannot expire");
            }
            draft => drafts.push(draft?),
        }
    }
    end::<B>(conn, drafts, InvoiceState::Expired, at).await
}

/// Ends drafts, unapproved; how many.
async fn end<B: Backend>(
    conn: &mut B::Connection,
    drafts: Vec<Draft>,
    state: InvoiceState,
    at: Timestamp,
) -> Result<i64> {
    let ended: Vec<_> = drafts.into_iter().map(|draft| draft.ended(state, at)).collect();
    freeze::<B>(conn, &ended).await?;
    Ok(i64::try_from(ended.len()).unwrap_or(i64::MAX))
}

/// Makes rows of `invoices` out of drafts, as they are to be from here on; their orders, which are
/// held, have none any more.
///
/// None of an order's invoices is older than its draft. So the epoch is at least theirs, also when that of
/// the order itself was given up, to let any answer replace it.
pub(super) async fn freeze<B: Backend>(conn: &mut B::Connection, drafts: &[Draft]) -> Result<()> {
    if drafts.is_empty() {
        return Ok(());
    }
    let frozen = || drafts.iter().map(|draft| &draft.invoice);
    let batch = Batch::new()
        .text("id", frozen().map(|it| &*it.id))
        .int("version", frozen().map(|it| it.version))
        .text("number", frozen().map(|it| it.number.as_deref()))
        .int("order_number", frozen().map(|it| it.order_number))
        .int("order_epoch", drafts.iter().map(|draft| draft.order_epoch))
        .int("order_version", frozen().map(|it| it.order_version))
        .text("state", frozen().map(|it| it.state.as_str()))
        .text("customer", frozen().map(|it| json::customer(&it.customer)))
        .text("currency", frozen().map(|it| &*it.currency))
        .int("net_minor", frozen().map(|it| it.net_minor))
        .int("tax_minor", frozen().map(|it| it.tax_minor))
        .int("total_minor", frozen().map(|it| it.total_minor))
        .text("lines", frozen().map(|it| json::lines(&it.lines)))
        .int("created_at", frozen().map(|it| it.created_at.micros()))
        .int("approved_at", frozen().map(|it| it.approved_at.map(Timestamp::micros)))
        .int("closed_at", frozen().map(|it| it.closed_at.map(Timestamp::micros)))
        .text("replaces", frozen().map(|it| it.replaces.as_deref()))
        .text("dispatch", frozen().map(|it| it.dispatch.map(DispatchState::as_str)))
        .int("approved_version", frozen().map(|it| it.approved_at.map(|_| it.version)))
        .int("computed_at", drafts.iter().map(|draft| draft.computed_at))
        .int("was_lost", frozen().map(|it| i64::from(it.order_was_lost)));
    let sql = format!(
        "insert into invoices (id, version, number, order_number, order_epoch, order_version, state,
                               customer, currency, net_minor, tax_minor, total_minor, lines,
                               created_at, approved_at, closed_at, replaces, dispatch,
                               approved_version, computed_at, order_was_lost)
         select id, version, number, order_number,
                coalesce((select max(earlier.order_epoch) from invoices as earlier
                          where earlier.order_number = batch.order_number
                            and earlier.order_epoch > batch.order_epoch), order_epoch),
                order_version, state, customer, currency, net_minor, tax_minor, total_minor, lines,
                created_at, approved_at, closed_at, replaces, dispatch,
                approved_version, computed_at, was_lost = 1
         from {}",
        batch.table::<B>(1)
    );
    let insert = query::<B>(AssertSqlSafe(sql)).bind_batch(batch);
    insert.execute_exactly(drafts.len() as u64, &mut *conn).await?;
    let batch = Batch::new().int("of_order", frozen().map(|it| it.order_number));
    let none = PARTS.map(|column| format!("{column} = null")).join(", ");
    let sql =
        format!("update orders set {none} from {} where number = of_order", batch.table::<B>(1));
    let update = query::<B>(AssertSqlSafe(sql)).bind_batch(batch);
    update.execute_exactly(drafts.len() as u64, conn).await
}
