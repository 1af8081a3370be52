//! The list of orders, one order, and its deletion.

use askama::Template;
use askama_web::WebTemplate;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use contract::feed::SequenceNr;
use contract::money::line_net;
use contract::order::{Line, Order, OrderState};
use contract::problem::ProblemCode;
use kit::http::etag::IfMatch;
use kit::http::frame::Frame;
use kit::http::list::cut;
use kit::http::read::Params;
use kit::show;

use super::{Notice, address, confirm, fields, frame, searchable};
use crate::error::Result;
use crate::http::AppState;
use crate::http::extract::{OrderNumber, no_order};
use crate::order::Customer;
use crate::store::Change;
use crate::store::{HistoryEntry, OrderFilter};

/// Orders a page.
const PAGE: i64 = 50;

#[derive(Template, WebTemplate)]
#[template(path = "orders.html")]
pub(super) struct ListPage {
    frame: Frame,
    search: String,
    chosen: Option<OrderState>,
    /// Whose orders are shown; `None` for everybody's.
    customer: Option<Customer>,
    /// Whether only some of the orders are asked for.
    filtered: bool,
    orders: Vec<Order>,
    /// Where the first page is; `None` on that page.
    newest: Option<String>,
    /// Where the next page is; `None` on the last one.
    older: Option<String>,
}

/// The list: `q`, `state` and `customerId` choose, `after` turns the page. A value that makes no
/// sense chooses nothing: it stands in an address that somebody typed.
pub(super) async fn list(State(state): State<AppState>, params: Params) -> Result<ListPage> {
    let search = searchable(params.text("q"));
    let chosen = params.text("state").and_then(OrderState::parse);
    let after = params.text("after").and_then(|number| number.parse().ok());
    let customer = match searchable(params.text("customerId")) {
        id if id.is_empty() => None,
        id => state.store.customer(&id).await?,
    };
    let filter = OrderFilter {
        state: chosen,
        customer_id: customer.as_ref().map(|customer| customer.id.clone()),
        search: Some(search.clone()).filter(|search| !search.is_empty()),
        after,
    };
    // One more than fits tells whether there is a next page.
    let mut orders = state.store.orders(&filter, PAGE + 1).await?;
    let more = cut(&mut orders, PAGE);
    let page_after = |after: &str| {
        let state = chosen.map(OrderState::as_str).unwrap_or_default();
        let customer = filter.customer_id.as_deref().unwrap_or_default();
        let parameters =
            [("q", &*search), ("state", state), ("customerId", customer), ("after", after)];
        address("/orders", &parameters)
    };
    let older = orders.last().filter(|_| more).map(|order| page_after(&order.number.to_string()));
    Ok(ListPage {
        frame: frame("/orders"),
        newest: after.map(|_| page_after("")),
        older,
        filtered: filter != OrderFilter::default(),
        search,
        chosen,
        customer,
        orders,
    })
}

#[derive(Template, WebTemplate)]
#[template(path = "order.html")]
struct OrderPage {
    frame: Frame,
    order: Order,
    history: Vec<HistoryEntry>,
    /// The customer's address, line by line.
    address: Vec<String>,
    /// The deep link to the order's invoice.
    invoice: String,
    notice: Option<Notice>,
}

impl OrderPage {
    /// What a line comes to.
    fn net(&self, line: &Line) -> String {
        let net = line_net(line.quantity, line.unit_price_minor);
        show::amount(net.unwrap_or(i64::MAX), &self.order.currency)
    }
}

/// One order.
pub(super) async fn show(
    State(state): State<AppState>,
    OrderNumber(number): OrderNumber,
) -> Result<Response> {
    page(&state, number, StatusCode::OK, None).await
}

async fn page(
    state: &AppState,
    number: i64,
    status: StatusCode,
    notice: Option<Notice>,
) -> Result<Response> {
    let order = find(state, number).await?;
    let page = OrderPage {
        frame: frame("/orders"),
        history: state.store.history(number).await?,
        address: order.customer.address.as_ref().map(show::address_lines).unwrap_or_default(),
        invoice: confirm::deep_link(&state.billing_url, number),
        notice,
        order,
    };
    Ok((status, page).into_response())
}

/// The order, with what was asked for and cannot be done above it.
pub(super) async fn refused(
    state: &AppState,
    number: i64,
    code: ProblemCode,
    title: &str,
    text: &str,
) -> Result<Response> {
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::CONFLICT);
    let notice = Notice { kind: "error", title: title.to_owned(), text: text.to_owned() };
    page(state, number, status, Some(notice)).await
}

/// The order has another version than the one that was seen.
pub(super) async fn changed_meanwhile(
    state: &AppState,
    number: i64,
    seen: Option<&IfMatch>,
    current: i64,
) -> Result<Response> {
    let seen = match seen {
        Some(IfMatch::Versions(versions)) => versions.first(),
        Some(IfMatch::Any) | None => None,
    };
    let seen = seen.map(|version| format!("You saw version {version}. ")).unwrap_or_default();
    let text = format!(
        "{seen}This is version {current}, and the history says what was done in between. Nothing was \
         done with it: go on from here, or leave it."
    );
    refused(state, number, ProblemCode::VersionConflict, "The order has changed meanwhile", &text)
        .await
}

#[derive(Template, WebTemplate)]
#[template(path = "order_delete.html")]
struct DeletePage {
    frame: Frame,
    order: Order,
}

/// Asks whether the order is meant to be deleted.
pub(super) async fn ask_delete(
    State(state): State<AppState>,
    OrderNumber(number): OrderNumber,
) -> Result<Response> {
    let order = find(&state, number).await?;
    if order.is_deleted() {
        return Ok(Redirect::to(&format!("/orders/{number}")).into_response());
    }
    Ok(DeletePage { frame: frame("/orders"), order }.into_response())
}

/// Deletes the order.
pub(super) async fn delete(
    State(state): State<AppState>,
    OrderNumber(number): OrderNumber,
    body: Bytes,
) -> Result<Response> {
    let expected = seen_version(&body);
    match state.store.delete_order(number, expected.as_ref(), state.clock.now()).await? {
        Change::Done(_) | Change::Deleted => {
            state.bell.ring().await;
            Ok(Redirect::to(&format!("/orders/{number}")).into_response())
        }
        Change::VersionConflict(current) => {
            changed_meanwhile(&state, number, expected.as_ref(), current).await
        }
        _ => Err(no_order()),
    }
}

/// The version that the page showed on which a button was pressed; `None` when the form has none.
pub(super) fn seen_version(body: &[u8]) -> Option<IfMatch> {
    let (_, version) = fields(body).find(|(name, _)| name == "version")?;
    Some(IfMatch::Versions(version.parse().into_iter().collect()))
}

/// The order with this number.
pub(super) async fn find(state: &AppState, number: i64) -> Result<Order> {
    state.store.order(number).await?.ok_or_else(no_order)
}
