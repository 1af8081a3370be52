//! Making up, stamping and changing orders, as the product does it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use contract::order::{Line, Order};
use kit::clock::{Clock, SystemClock};
use kit::http::etag::IfMatch;
use kit::random::Random;
use ordering::order::{LineInput, OrderInput};
use ordering::scope::{Outcome, Scope};
use ordering::store::{OrderFilter, Store};
use testkit::process::{Program, Service};
use tokio::time::{sleep, timeout};

use crate::database::Database;
use crate::report::short;
use crate::statistics::rate;
use crate::{Result, services};

/// Between two looks at how far something has come, each of which takes a moment from what is looked at.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);
/// How long anything that is waited for may take.
pub(crate) const LIMIT: Duration = Duration::from_mins(30);
/// Orders that are changed in one transaction.
const CHUNK: i64 = 1_000;

/// So many orders, in words.
pub(crate) fn called(count: u32) -> String {
    format!("{} orders", short(count.into()))
}

/// Makes up confirmed orders of three lines, with `ordering seed`.
pub(crate) async fn seed(database_url: &str, orders: u32) -> Result<()> {
    let program = services::service("ordering").args(["seed", "--orders", &orders.to_string()]);
    services::finish(&program.args(["--database-url", database_url])).await
}

/// Opens ordering's store in this process.
pub(crate) async fn store(database_url: &str) -> Result<Arc<dyn Store>> {
    let random = Random::from_os();
    Ok(ordering::store::open(&database_url.parse()?, &random, SystemClock.now()).await?)
}

/// Changes every order through ordering's own store: its note, and a line, so that all its lines
/// are deleted and inserted again. Transactions of 1,000.
pub(crate) async fn change_all(database_url: &str) -> Result<()> {
    let store = store(database_url).await?;
    let mut filter = OrderFilter::default();
    loop {
        let orders = store.orders(&filter, CHUNK).await?;
        let Some(last) = orders.last() else { return Ok(()) };
        filter.after = Some(last.number);
        let mut scope = Scope::new();
        for order in &orders {
            let expected = IfMatch::Versions(vec![order.version]);
            scope.replace_order(order.number, expected, changed(order), false);
        }
        match store.commit(&scope, None, SystemClock.now()).await? {
            Outcome::Done(_) => {}
            refused => return Err(format!("orders could not be changed: {refused:?}").into()),
        }
    }
}

/// Content that differs from what the order has, and is as long.
pub(crate) fn changed(order: &Order) -> OrderInput {
    let line = |line: &Line| LineInput {
        sku: line.sku.clone(),
        description: line.description.clone(),
        quantity: line.quantity + i64::from(line.line_no == 1),
        unit_price_minor: line.unit_price_minor,
        tax_basis_points: line.tax_basis_points,
    };
    OrderInput {
        customer_id: order.customer.id.clone(),
        currency: order.currency.clone(),
        reference: order.reference.clone(),
        note: Some("changed".into()),
        lines: order.lines.iter().map(line).collect(),
    }
}

/// Starts ordering, and waits until the counter has reached `through`. Beside it: how many orders a
/// second it stamped, from the first batch that shows to the last.
pub(crate) async fn stamp(
    program: &Program,
    database_url: &str,
    through: i64,
) -> Result<(Service, f64)> {
    const COUNTER: &str = "select last_sequence_nr from feed_state";
    let mut database = Database::connect(database_url).await?;
    let before = database.number(COUNTER).await?;
    let started = Instant::now();
    let stamped = async {
        let (mut first, mut counter) = (None, before);
        while counter < through {
            sleep(PAUSE).await;
            counter = database.number(COUNTER).await?;
            if counter > before && first.is_none() {
                first = Some((counter, started.elapsed()));
            }
        }
        let ended = started.elapsed();
        Ok::<_, kit::lifecycle::BoxError>(match first {
            // All in one batch, or nearly: the start of the process is all that there is to see.
            Some((counter, _)) if counter >= through => rate(through - before, ended.as_secs_f64()),
            Some((counter, at)) => rate(through - counter, ended.saturating_sub(at).as_secs_f64()),
            None => 0.0,
        })
    };
    let (service, stamped) = tokio::join!(program.start(), timeout(LIMIT, stamped));
    Ok((service, stamped.map_err(|_| "the sequencer does not get to its end")??))
}
