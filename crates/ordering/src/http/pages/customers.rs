//! Customers: the list, and the form of one.

use askama::Template;
use askama_web::WebTemplate;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use contract::order::{Address, countries};
use contract::problem::Violation;
use kit::db;
use kit::http::etag::IfMatch;
use kit::http::frame::Frame;
use kit::http::list::cut;
use kit::http::read::Params;
use kit::show;

use super::conflict::Conflict;
use super::field_errors::FieldErrors;
use super::{Notice, address, fields, frame, searchable};
use crate::error::{Error, Result};
use crate::http::AppState;
use crate::order::{Customer, CustomerInput};
use crate::store::Change;

/// Customers a page.
const PAGE: i64 = 50;

#[derive(Template, WebTemplate)]
#[template(path = "customers.html")]
pub(super) struct ListPage {
    frame: Frame,
    customers: Vec<Customer>,
    /// Where the first page is; `None` on that page.
    first: Option<String>,
    /// Where the next page is; `None` on the last one.
    more: Option<String>,
}

impl ListPage {
    /// Where a customer is: `Delft, Netherlands`.
    fn place(customer: &Customer) -> String {
        let Some(address) = &customer.input.address else { return String::new() };
        let parts = [address.city.clone(), address.country.as_deref().map(show::country)];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// The list; `after` turns the page.
pub(super) async fn list(State(state): State<AppState>, params: Params) -> Result<ListPage> {
    let after = Some(searchable(params.text("after"))).filter(|after| !after.is_empty());
    let mut customers = state.store.customers(after.as_deref(), PAGE + 1).await?;
    let more = cut(&mut customers, PAGE);
    let last = customers.last().filter(|_| more);
    Ok(ListPage {
        frame: frame("/customers"),
        more: last.map(|customer| address("/customers", &[("after", &customer.id)])),
        first: after.map(|_| "/customers".to_owned()),
        customers,
    })
}

#[derive(Template, WebTemplate)]
#[template(path = "customer_form.html")]
struct FormPage {
    frame: Frame,
    title: String,
    /// Where the form leads.
    action: String,
    notice: Option<Notice>,
    conflict: Option<Conflict>,
    form: CustomerForm,
    errors: FieldErrors,
    /// Code and name, by name.
    countries: Vec<(&'static str, &'static str)>,
}

impl FormPage {
    /// The form of the customer with this id; `None` for a new one.
    fn new(id: Option<&str>, form: CustomerForm) -> Self {
        let (title, action) = match id {
            None => ("New customer".to_owned(), "/customers".to_owned()),
            Some(id) => ("Edit customer".to_owned(), format!("/customers/{id}/edit")),
        };
        let mut countries: Vec<_> = countries().collect();
        countries.sort_by_key(|(_, name)| *name);
        let (frame, errors) = (frame("/customers"), FieldErrors::default());
        Self { frame, title, action, notice: None, conflict: None, form, errors, countries }
    }

    /// Somebody else saved first: both versions side by side, and in the form what was typed, which
    /// is now meant for the version that is there.
    fn conflict(mut self, yours: &CustomerInput, now: Option<&Customer>) -> Response {
        if let Some(now) = now {
            self.form.version = now.version.to_string();
            self.conflict = Some(Conflict::of_customers(yours, now));
        }
        let text = "Somebody else saved it after you opened it. What you typed is still here, not \
                    saved yet.";
        let status = StatusCode::PRECONDITION_FAILED;
        self.refused(status, "The customer has changed meanwhile", text)
    }

    /// The customer as it was typed cannot be kept.
    fn unsaved(self, change: Change<Customer>) -> Response {
        if let Change::Invalid(violations) = change {
            return self.wrong(field_errors(violations));
        }
        let text = "What you typed is still here, so that you can take it over.";
        self.refused(StatusCode::NOT_FOUND, "There is no such customer", text)
    }

    fn wrong(self, errors: FieldErrors) -> Response {
        (StatusCode::UNPROCESSABLE_ENTITY, Self { errors, ..self }).into_response()
    }

    fn refused(self, status: StatusCode, title: &str, text: &str) -> Response {
        let notice = Notice { kind: "error", title: title.to_owned(), text: text.to_owned() };
        (status, Self { notice: Some(notice), ..self }).into_response()
    }

    fn failed(self, error: db::Error) -> Response {
        let problem = Error::from(error).into_problem();
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.refused(status, "The customer was not saved", &problem.detail)
    }
}

/// An empty form.
pub(super) async fn new() -> impl IntoResponse {
    FormPage::new(None, CustomerForm::default())
}

/// Keeps a new customer.
pub(super) async fn create(State(state): State<AppState>, body: Bytes) -> Response {
    let form = CustomerForm::posted(&body);
    let (input, errors) = form.read();
    let page = FormPage::new(None, form);
    if !errors.is_empty() {
        return page.wrong(errors);
    }
    let now = state.clock.now();
    match state.store.create_customer(&state.random.uuid(now), &input, None, now).await {
        Ok(Change::Done(customer)) => {
            Redirect::to(&address("/orders/new", &[("customer", &customer.id)])).into_response()
        }
        Ok(other) => page.unsaved(other),
        Err(error) => page.failed(error),
    }
}

/// The form of a customer who exists.
pub(super) async fn edit(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Response> {
    let customer = state.store.customer(&searchable(Some(&id))).await?;
    let customer = customer.ok_or_else(|| Error::not_found("such customer"))?;
    Ok(FormPage::new(Some(&customer.id), CustomerForm::of(&customer)).into_response())
}

/// Replaces a customer's content.
pub(super) async fn update(
    State(state): State<AppState>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let id = searchable(Some(&id));
    let form = CustomerForm::posted(&body);
    let (input, errors) = form.read();
    // No version that can be read is like an old one: the person sees what is there now.
    let expected = IfMatch::Versions(form.version.parse().into_iter().collect());
    let page = FormPage::new(Some(&id), form);
    if !errors.is_empty() {
        return page.wrong(errors);
    }
    match state.store.update_customer(&id, &expected, &input, state.clock.now()).await {
        Ok(Change::Done(_)) => Redirect::to("/customers").into_response(),
        Ok(Change::VersionConflict(_)) => match state.store.customer(&id).await {
            Ok(now) => page.conflict(&input, now.as_ref()),
            Err(error) => page.failed(error),
        },
        Ok(other) => page.unsaved(other),
        Err(error) => page.failed(error),
    }
}

/// The form of a customer, as it was typed.
#[derive(Clone, Debug, Default)]
struct CustomerForm {
    /// The version that is edited; empty for a new customer.
    version: String,
    name: String,
    email: String,
    line1: String,
    line2: String,
    postal_code: String,
    city: String,
    country: String,
}

impl CustomerForm {
    fn of(customer: &Customer) -> Self {
        let input = customer.input.clone();
        let address = input.address.unwrap_or_default();
        Self {
            version: customer.version.to_string(),
            name: input.name,
            email: input.email,
            line1: address.line1.unwrap_or_default(),
            line2: address.line2.unwrap_or_default(),
            postal_code: address.postal_code.unwrap_or_default(),
            city: address.city.unwrap_or_default(),
            country: address.country.unwrap_or_default(),
        }
    }

    fn posted(body: &[u8]) -> Self {
        let mut form = Self::default();
        for (name, value) in fields(body) {
            let field = match name.as_str() {
                "version" => &mut form.version,
                "name" => &mut form.name,
                "email" => &mut form.email,
                "line1" => &mut form.line1,
                "line2" => &mut form.line2,
                "postalCode" => &mut form.postal_code,
                "city" => &mut form.city,
                "country" => &mut form.country,
                _ => continue,
            };
            *field = value;
        }
        form
    }

    /// The customer that was typed, and everything that is wrong with it.
    fn read(&self) -> (CustomerInput, FieldErrors) {
        let part = |typed: &str| Some(typed.trim().to_owned()).filter(|text| !text.is_empty());
        let address = Address {
            line1: part(&self.line1),
            line2: part(&self.line2),
            postal_code: part(&self.postal_code),
            city: part(&self.city),
            country: part(&self.country),
        };
        let input = CustomerInput {
            name: self.name.trim().to_owned(),
            email: self.email.trim().to_owned(),
            address: Some(address).filter(|address| *address != Address::default()),
        };
        let errors = field_errors(input.violations());
        (input, errors)
    }
}

fn field_errors(violations: Vec<Violation>) -> FieldErrors {
    let mut errors = FieldErrors::default();
    for violation in violations {
        let id = violation.pointer.rsplit('/').next().unwrap_or_default();
        errors.add(id, label(id), &violation.detail);
    }
    errors
}

fn label(id: &str) -> &'static str {
    match id {
        "name" => "Name",
        "email" => "Email",
        "line1" => "Street and number",
        "line2" => "Second line",
        "postalCode" => "Postal code",
        "city" => "City",
        _ => "Country",
    }
}
