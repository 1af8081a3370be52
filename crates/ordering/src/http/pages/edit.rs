//! Writing an order: the form, and what becomes of what was typed. Whatever goes wrong, the form
//! comes back with everything that was typed.

use askama::Template;
use askama_web::WebTemplate;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use contract::order::{Order, OrderState};
use contract::problem::ProblemCode;
use kit::db;
use kit::http::etag::IfMatch;
use kit::http::frame::Frame;
use kit::http::list::cut;
use kit::http::read::Params;
use sha2::{Digest, Sha256};

use super::conflict::Conflict;
use super::field_errors::FieldErrors;
use super::order_form::OrderForm;
use super::{Notice, frame, searchable};
use crate::error::{Error, Result};
use crate::http::AppState;
use crate::http::extract::{OrderNumber, no_order};
use crate::order::OrderInput;
use crate::store::Change;
use crate::store::IdempotencyKey;

/// How many customers the form lists; more would be slow to load and no help in finding one.
const LISTED_CUSTOMERS: i64 = 200;

/// Currencies to choose from; an order that has another one keeps it.
const CURRENCIES: [&str; 20] = [
    "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "INR", "JPY", "KWD",
    "MXN", "NOK", "NZD", "PLN", "SEK", "SGD", "USD",
];

#[derive(Template, WebTemplate)]
#[template(path = "order_form.html")]
struct FormPage {
    frame: Frame,
    title: String,
    /// Where the form leads.
    action: String,
    /// Where "Cancel" leads.
    back: String,
    notice: Option<Notice>,
    conflict: Option<Conflict>,
    form: OrderForm,
    errors: FieldErrors,
    customers: Customers,
    currencies: Vec<String>,
}

/// The customers to choose from.
#[derive(Default)]
struct Customers {
    /// Id and name.
    listed: Vec<(String, String)>,
    /// Whether there are others.
    more: bool,
}

impl Customers {
    /// The name of the customer with this id; empty when it is not among those listed.
    fn name(&self, id: &str) -> String {
        let found = self.listed.iter().find(|(listed, _)| listed == id);
        found.map(|(_, name)| name.clone()).unwrap_or_default()
    }
}

/// An empty form; `?customer=` chooses the customer.
pub(super) async fn new(State(state): State<AppState>, params: Params) -> Result<Response> {
    let customer = searchable(params.text("customer"));
    let form = OrderForm::new(new_key(&state), customer);
    let customers = customers(&state, &form.customer_id).await?;
    Ok(Editor::new(&state).page(form, FieldErrors::default(), None, customers).into_response())
}

/// Keeps a new order as a draft.
pub(super) async fn create(State(state): State<AppState>, body: Bytes) -> Response {
    let editor = Editor::new(&state);
    let mut form = OrderForm::posted(&body);
    if form.change_lines() {
        return editor.again(StatusCode::OK, form, FieldErrors::default(), None).await;
    }
    let (input, errors) = form.read();
    if !errors.is_empty() {
        return editor.wrong(form, errors).await;
    }
    if !is_key(&form.key) {
        form.key = new_key(&state);
    }
    // The same form sent twice, by a double click or after going back, is the same order.
    let fingerprint = format!("{:x}", Sha256::digest(&body));
    let key = IdempotencyKey { key: form.key.clone(), fingerprint };
    match state.store.create_order(&input, Some(&key), state.clock.now()).await {
        Ok(Change::Done(order)) => {
            state.bell.ring().await;
            Redirect::to(&format!("/orders/{}", order.number)).into_response()
        }
        Ok(Change::KeyReused) => {
            form.key = new_key(&state);
            let text = "It was an order then, which is in the list. What you see here differs from \
                        it: save again to make a second order.";
            editor.refused(StatusCode::CONFLICT, form, "This form was saved before", text).await
        }
        Ok(other) => editor.unsaved(form, other).await,
        Err(error) => editor.failed(form, error).await,
    }
}

/// The form of an order that exists.
pub(super) async fn edit(
    State(state): State<AppState>,
    OrderNumber(number): OrderNumber,
) -> Result<Response> {
    let order = state.store.order(number).await?.ok_or_else(no_order)?;
    if order.is_deleted() {
        let detail = format!("Order {number} is deleted and stays as it is.");
        return Err(Error::new(ProblemCode::Conflict, detail));
    }
    let form = OrderForm::of(&order);
    let customers = customers(&state, &form.customer_id).await?;
    let editor = Editor { state: &state, number: Some(number) };
    let confirmed = (order.state == OrderState::Confirmed).then(|| Notice {
        kind: "warning",
        title: "This order is confirmed".to_owned(),
        text:
            "Saving changes it for billing too: an invoice that is approved already is credited, \
               and a new one awaits approval."
                .to_owned(),
    });
    Ok(editor.page(form, FieldErrors::default(), confirmed, customers).into_response())
}

/// Replaces an order's content.
pub(super) async fn update(
    State(state): State<AppState>,
    OrderNumber(number): OrderNumber,
    body: Bytes,
) -> Response {
    let editor = Editor { state: &state, number: Some(number) };
    let mut form = OrderForm::posted(&body);
    if form.change_lines() {
        return editor.again(StatusCode::OK, form, FieldErrors::default(), None).await;
    }
    let (input, errors) = form.read();
    if !errors.is_empty() {
        return editor.wrong(form, errors).await;
    }
    // No version that can be read is like an old one: the person sees what is there now.
    let expected = IfMatch::Versions(form.version.parse().into_iter().collect());
    match state.store.replace_order(number, &expected, &input, state.clock.now()).await {
        Ok(Change::Done(_)) => {
            state.bell.ring().await;
            Redirect::to(&format!("/orders/{number}")).into_response()
        }
        Ok(Change::VersionConflict(_)) => editor.conflict(form, &input).await,
        Ok(other) => editor.unsaved(form, other).await,
        Err(error) => editor.failed(form, error).await,
    }
}

/// The form of one order, or of a new one.
struct Editor<'a> {
    state: &'a AppState,
    /// `None` for a new order.
    number: Option<i64>,
}

impl<'a> Editor<'a> {
    fn new(state: &'a AppState) -> Self {
        Self { state, number: None }
    }

    fn page(
        &self,
        form: OrderForm,
        errors: FieldErrors,
        notice: Option<Notice>,
        customers: Customers,
    ) -> FormPage {
        let (title, action, back) = match self.number {
            None => ("New order".to_owned(), "/orders".to_owned(), "/orders".to_owned()),
            Some(number) => (
                format!("Edit order {number}"),
                format!("/orders/{number}/edit"),
                format!("/orders/{number}"),
            ),
        };
        let mut currencies: Vec<_> = CURRENCIES.map(str::to_owned).into();
        if !form.currency.is_empty() && !currencies.contains(&form.currency) {
            currencies.push(form.currency.clone());
        }
        let frame = frame("/orders");
        FormPage {
            frame,
            title,
            action,
            back,
            notice,
            conflict: None,
            form,
            errors,
            customers,
            currencies,
        }
    }

    /// The form again, with everything that was typed. When the database cannot even name the
    /// customers, the one that was chosen still is.
    async fn again(
        &self,
        status: StatusCode,
        form: OrderForm,
        errors: FieldErrors,
        notice: Option<Notice>,
    ) -> Response {
        let customers = self.customers(&form).await;
        (status, self.page(form, errors, notice, customers)).into_response()
    }

    async fn customers(&self, form: &OrderForm) -> Customers {
        customers(self.state, &form.customer_id).await.unwrap_or_else(|error| {
            tracing::warn!(error = kit::telemetry::chain(&error), "a form without its customers");
            let chosen = (form.customer_id.clone(), "The customer chosen before".to_owned());
            Customers { listed: vec![chosen], more: true }
        })
    }

    /// Some fields are wrong.
    async fn wrong(&self, form: OrderForm, errors: FieldErrors) -> Response {
        self.again(StatusCode::UNPROCESSABLE_ENTITY, form, errors, None).await
    }

    /// The fields are right, but the order cannot be kept.
    async fn refused(
        &self,
        status: StatusCode,
        form: OrderForm,
        title: &str,
        text: &str,
    ) -> Response {
        let notice = Notice { kind: "error", title: title.to_owned(), text: text.to_owned() };
        self.again(status, form, FieldErrors::default(), Some(notice)).await
    }

    /// Somebody else saved first: both versions side by side, and in the form what was typed, which
    /// is now meant for the version that is there.
    async fn conflict(&self, mut form: OrderForm, yours: &OrderInput) -> Response {
        let number = self.number.unwrap_or_default();
        let now = match self.state.store.order(number).await {
            Ok(now) => now,
            Err(error) => return self.failed(form, error).await,
        };
        let customers = self.customers(&form).await;
        let notice = Notice {
            kind: "error",
            title: format!("Order {number} has changed meanwhile"),
            text: "Somebody else saved it after you opened it. What you typed is still here, not \
                   saved yet."
                .to_owned(),
        };
        let customer = customers.name(&yours.customer_id);
        let conflict = now.map(|now| Conflict::of_orders(yours, &customer, &now));
        if let Some(conflict) = &conflict {
            form.version = conflict.current.to_string();
        }
        let page = self.page(form, FieldErrors::default(), Some(notice), customers);
        (StatusCode::PRECONDITION_FAILED, FormPage { conflict, ..page }).into_response()
    }

    /// The order as it was typed cannot be kept.
    async fn unsaved(&self, form: OrderForm, change: Change<Order>) -> Response {
        let number = self.number.unwrap_or_default();
        let (status, title, text) = match change {
            Change::Invalid(violations) => {
                let mut errors = FieldErrors::default();
                form.mark(&mut errors, violations);
                return self.wrong(form, errors).await;
            }
            Change::Deleted => (
                StatusCode::CONFLICT,
                format!("Order {number} was deleted meanwhile"),
                "It cannot be changed any more. What you typed is still here, so that you can take \
                 it over into a new order.",
            ),
            _ => (
                StatusCode::NOT_FOUND,
                format!("There is no order {number}"),
                "What you typed is still here, so that you can take it over into a new order.",
            ),
        };
        self.refused(status, form, &title, text).await
    }

    /// The database failed.
    async fn failed(&self, form: OrderForm, error: db::Error) -> Response {
        let problem = Error::from(error).into_problem();
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.refused(status, form, "The order was not saved", &problem.detail).await
    }
}

/// The first customers, and the one that is chosen.
async fn customers(state: &AppState, chosen: &str) -> db::Result<Customers> {
    let mut customers = state.store.customers(None, LISTED_CUSTOMERS + 1).await?;
    let more = cut(&mut customers, LISTED_CUSTOMERS);
    let mut listed: Vec<_> =
        customers.into_iter().map(|customer| (customer.id, customer.input.name)).collect();
    let chosen = searchable(Some(chosen));
    if !chosen.is_empty()
        && !listed.iter().any(|(id, _)| *id == chosen)
        && let Some(customer) = state.store.customer(&chosen).await?
    {
        listed.push((customer.id, customer.input.name));
    }
    listed.sort_by_cached_key(|(_, name)| name.to_lowercase());
    Ok(Customers { listed, more })
}

fn new_key(state: &AppState) -> String {
    state.random.uuid(state.clock.now())
}

/// Whether a key may be one that a form of ours was given.
fn is_key(key: &str) -> bool {
    uuid::Uuid::try_parse(key).is_ok()
}
