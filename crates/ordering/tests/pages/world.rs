//! The service as a browser meets it, and a billing that comes and goes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, Request, StatusCode, request};
use axum::routing::get;
use contract::order::Order;
use contract::time::Timestamp;
use kit::clock::{Clock, ManualClock, SharedClock};
use kit::random::Random;
use ordering::http::{App, Head, LastStale, Limits, Line, hand_out, router};
use ordering::order::{Customer, CustomerInput, LineInput, OrderInput};
use ordering::sequencer::Sequencer;
use ordering::store::Change;
use ordering::store::{OrderFilter, Store, open};
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use testkit::sqlite::TestFile;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;
use url::{Url, form_urlencoded};

/// When a test begins: 2026-05-01T10:00:00Z.
pub(crate) const AT: Timestamp = Timestamp::from_micros(1_777_629_600_000_000);
/// What a browser asks for.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
/// Where the browser finds billing.
pub(crate) const BILLING: &str = "https://shop.example/billing";

/// Ordering, and the billing it asks for.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sequencer: Sequencer,
    clock: Arc<ManualClock>,
    random: Random,
    router: Router,
    billing_port: u16,
    // Removes the database when the test is over.
    file: TestFile,
}

impl World {
    /// Over SQLite; billing is away.
    pub(crate) async fn new() -> Self {
        let file = testkit::sqlite::file();
        let random = Random::seeded(7);
        let store = open(&file.url().parse().unwrap(), &random, AT).await.unwrap();
        let clock = ManualClock::at(AT);
        let shared: SharedClock = clock.clone();
        let interval = Duration::from_secs(1);
        let sequencer = Sequencer::new(Arc::clone(&store), Arc::clone(&shared), interval);
        let billing_port = testkit::net::free_port();
        let state = Arc::new(App {
            feed: Arc::clone(&store) as _,
            store: Arc::clone(&store),
            clock: shared,
            random: random.clone(),
            bell: sequencer.bell(),
            news: sequencer.news(),
            head: Head::default(),
            line: Line::default(),
            heartbeat: sequencer.heartbeat(),
            sequencer_interval: interval,
            last_stale: LastStale::default(),
            limits: Limits { sequencer_silence: interval * 10, unstamped_age: interval * 60 },
            shutdown: CancellationToken::new(),
            billing_url: BILLING.parse().unwrap(),
            billing_probe_url: Url::parse(&format!("http://127.0.0.1:{billing_port}")).unwrap(),
            client: reqwest::Client::builder().build().unwrap(),
        });
        tokio::spawn(hand_out(state.clone()));
        let router = router(state, None);
        Self { store, sequencer, clock, random, router, billing_port, file }
    }

    /// Billing is there until the answer is dropped.
    pub(crate) async fn billing_comes(&self) -> DropGuard {
        let listener = TcpListener::bind(("127.0.0.1", self.billing_port)).await.unwrap();
        let routes = Router::new().route("/health/live", get(|| async { "live" }));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! {
                () = stopped => {}
                served = async { axum::serve(listener, routes).await } => served.unwrap(),
            }
        });
        stop.drop_guard()
    }

    /// From now on every question to the database fails.
    pub(crate) async fn database_breaks(&self) {
        let mut conn = SqliteConnection::connect(&self.file.url()).await.unwrap();
        for table in ["customers", "orders"] {
            let sql = AssertSqlSafe(format!("alter table {table} rename to no_more_{table}"));
            sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
        }
    }

    pub(crate) async fn customer(&self, name: &str) -> Customer {
        self.clock.advance(Duration::from_millis(1));
        let input =
            CustomerInput { name: name.into(), email: "ada@example.com".into(), address: None };
        let now = self.clock.now();
        let created =
            self.store.create_customer(&self.random.uuid(now), &input, None, now).await.unwrap();
        let Change::Done(customer) = created else { panic!("{created:?}") };
        customer
    }

    /// A draft of 40 bolts.
    pub(crate) async fn draft(&self, customer: &Customer, reference: &str) -> Order {
        let line = LineInput {
            sku: "BOLT-8".into(),
            description: Some("Bolt M8".into()),
            quantity: 40,
            unit_price_minor: 35,
            tax_basis_points: 2100,
        };
        let input = OrderInput {
            customer_id: customer.id.clone(),
            currency: "EUR".into(),
            reference: Some(reference.into()),
            note: None,
            lines: vec![line],
        };
        let created = self.store.create_order(&input, None, self.clock.now()).await.unwrap();
        let Change::Done(order) = created else { panic!("{created:?}") };
        order
    }

    pub(crate) async fn confirmed(&self, customer: &Customer, reference: &str) -> Order {
        let draft = self.draft(customer, reference).await;
        let now = self.clock.now();
        let change = self.store.confirm_order(draft.number, None, now).await.unwrap();
        let Change::Done(order) = change else { panic!("{change:?}") };
        order
    }

    pub(crate) async fn delete(&self, number: i64) {
        let change = self.store.delete_order(number, None, self.clock.now()).await.unwrap();
        assert!(matches!(change, Change::Done(_)), "{change:?}");
    }

    /// All orders, newest first.
    pub(crate) async fn orders(&self) -> Vec<Order> {
        self.store.orders(&OrderFilter::default(), 1_000).await.unwrap()
    }

    /// Opens a page like a browser.
    pub(crate) async fn get(&self, address: &str) -> Page {
        self.send(Request::get(address).header(ACCEPT, BROWSER), String::new()).await
    }

    /// Sends a form of one of our own pages like a browser.
    pub(crate) async fn post(&self, address: &str, fields: &[(&str, &str)]) -> Page {
        self.post_from("same-origin", address, fields).await
    }

    /// Sends a form of a page elsewhere like a browser.
    pub(crate) async fn post_from(
        &self,
        site: &str,
        address: &str,
        fields: &[(&str, &str)],
    ) -> Page {
        let request = Request::post(address)
            .header(ACCEPT, BROWSER)
            .header("sec-fetch-site", site)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send(request, form).await
    }

    async fn send(&self, request: request::Builder, body: String) -> Page {
        let request = request.body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Page { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Page {
    /// Where it sends the browser.
    #[track_caller]
    pub(crate) fn leads_to(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{self:?}");
        self.header(LOCATION)
    }

    /// The page's text, when it is a page with this status.
    #[track_caller]
    pub(crate) fn text(&self, status: u16) -> &str {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header(CONTENT_TYPE), "text/html; charset=utf-8");
        &self.body
    }

    /// The page, when it has this status and says each of these.
    #[track_caller]
    pub(crate) fn says(&self, status: u16, parts: &[&str]) {
        let text = self.text(status);
        for part in parts {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    }

    /// A header's value; empty when it is not there.
    pub(crate) fn header(&self, name: HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// What the hidden or visible field `name` holds.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> &str {
        let named = format!("name=\"{name}\" value=\"");
        let (_, rest) =
            self.body.split_once(&named).unwrap_or_else(|| panic!("no {name}: {self:?}"));
        rest.split('"').next().unwrap()
    }
}
