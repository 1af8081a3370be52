//! The service as a browser meets it: the real router and store, and an ordering that says what a
//! test wants.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, Request, StatusCode, request};
use billing::dispatch::Dispatcher;
use billing::dispatch::receiver::Receiver;
use billing::expiry::Expiry;
use billing::http::{App, AppState, router};
use billing::invoice::Invoice;
use billing::pull::Puller;
use billing::pull::client::FeedClient;
use billing::settings::{DispatchSettings, SourceSettings};
use billing::store::{Applied, InvoiceFilter, Received, Store, open};
use billing::verify::{Job, Verifier};
use contract::feed::{ContinuationToken, Epoch, FeedIdentity, FeedOrder, FeedPage, SequenceNr};
use contract::money::Totals;
use contract::order::{Address, Customer, Line, Order, OrderState};
use contract::problem::{Problem, ProblemCode};
use contract::time::Timestamp;
use kit::clock::{Clock, ManualClock, SharedClock};
use kit::random::Random;
use sqlx::{Connection as _, SqliteConnection};
use testkit::sqlite::TestFile;
use tower::ServiceExt;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// When a test begins: 2026-05-01T10:00:00Z.
pub(crate) const AT: Timestamp = Timestamp::from_micros(1_777_629_600_000_000);
/// What a browser asks for.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
/// The feed and the history that ordering answers from.
pub(crate) const FEED: &str = "k3v9x2ab";
pub(crate) const EPOCH: i64 = 1_000;
/// How long the deep link waits: longer than an answer at hand ever takes.
const LINK_TIMEOUT: Duration = Duration::from_secs(1);

/// Billing, and the ordering it asks.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ordering: MockServer,
    random: Random,
    state: AppState,
    router: Router,
    /// Removes the database when the test is over; `None` when somebody else does.
    file: Option<TestFile>,
}

impl World {
    /// Over SQLite.
    pub(crate) async fn new() -> Self {
        let file = testkit::sqlite::file();
        let url = file.url();
        Self { file: Some(file), ..Self::over(&url).await }
    }

    /// Over SQLite, with another ordering than the one that a test tells what to answer, for whose
    /// answers the deep link has all the time they take.
    pub(crate) async fn patient(address: &str) -> Self {
        let file = testkit::sqlite::file();
        let url = file.url();
        let world = Self::made(&url, Some(address), Duration::from_mins(1)).await;
        Self { file: Some(file), ..world }
    }

    /// Over the database at `url`.
    pub(crate) async fn over(url: &str) -> Self {
        Self::made(url, None, LINK_TIMEOUT).await
    }

    async fn made(url: &str, address: Option<&str>, link_timeout: Duration) -> Self {
        let ordering = MockServer::start().await;
        let store = open(&url.parse().unwrap()).await.unwrap();
        let clock = ManualClock::at(AT);
        let shared: SharedClock = clock.clone();
        let random = Random::seeded(7);
        let source = SourceSettings {
            ordering_url: address.unwrap_or(&ordering.uri()).parse().unwrap(),
            ordering_token: None,
            pull_limit: 100,
            pull_timeout: Duration::from_secs(10),
        };
        let client = FeedClient::new(&source, Arc::clone(&shared)).unwrap();
        let puller =
            Arc::new(Puller::new(Arc::clone(&store), client, Arc::clone(&shared), random.clone()));
        let verifier = Verifier::new(
            Arc::clone(&store),
            Arc::clone(&puller),
            Arc::clone(&shared),
            random.clone(),
            &[],
        );
        let expiry = Expiry::new(Arc::clone(&store), Arc::clone(&shared), Duration::from_hours(1));
        let state = Arc::new(App {
            store: Arc::clone(&store),
            puller,
            verification: Arc::new(Job::new(verifier, Arc::clone(&shared))),
            expiry: Arc::new(expiry),
            dispatcher: None,
            clock: shared,
            random: random.clone(),
            link_timeout,
            ordering_url: "https://shop.example/ordering/".parse().unwrap(),
        });
        let router = router(state.clone(), None);
        Self { store, clock, ordering, random, state, router, file: None }
    }

    /// Switches dispatch on, to a customer's system at `url`; its loop does not run.
    pub(crate) fn dispatch_to(&mut self, url: &str) -> Arc<Dispatcher> {
        let settings = DispatchSettings {
            dispatch_url: Some(url.parse().unwrap()),
            dispatch_secret: Some(
                "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse().unwrap(),
            ),
            dispatch_workers: 1,
            dispatch_timeout: Duration::from_secs(10),
        };
        let receiver = Receiver::new(&settings, self.clock.clone()).unwrap().unwrap();
        let (store, random) = (Arc::clone(&self.store), self.random.clone());
        let dispatcher = Arc::new(Dispatcher::new(store, receiver, self.clock.clone(), random));
        self.switch_dispatch(Some(Arc::clone(&dispatcher)));
        dispatcher
    }

    /// Switches dispatch on or off.
    pub(crate) fn switch_dispatch(&mut self, dispatcher: Option<Arc<Dispatcher>>) {
        Arc::make_mut(&mut self.state).dispatcher = dispatcher;
        self.router = router(self.state.clone(), None);
    }

    /// Opens a page like a browser.
    pub(crate) async fn get(&self, address: &str) -> Page {
        self.send(Request::get(address).header(ACCEPT, BROWSER), "").await
    }

    /// Asks like a program that wants JSON.
    pub(crate) async fn get_json(&self, address: &str) -> Page {
        self.send(Request::get(address).header(ACCEPT, "application/json"), "").await
    }

    /// Sends a form of one of our own pages like a browser.
    pub(crate) async fn post(&self, address: &str, form: &str) -> Page {
        self.post_from("same-origin", address, form).await
    }

    /// Sends a form of a page elsewhere like a browser.
    pub(crate) async fn post_from(&self, site: &str, address: &str, form: &str) -> Page {
        let request = Request::post(address)
            .header(ACCEPT, BROWSER)
            .header("sec-fetch-site", site)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request, form).await
    }

    async fn send(&self, request: request::Builder, body: &str) -> Page {
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Page { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// Billing has this order already.
    pub(crate) async fn holds(&self, order: Order) {
        self.holds_in(EPOCH, order).await;
    }

    /// Billing has this order of an epoch already.
    pub(crate) async fn holds_in(&self, epoch: i64, order: Order) {
        let received = Received {
            identity: identity(epoch),
            orders: vec![order.into()],
            unfit: Vec::new(),
            advance: None,
        };
        let applied = self.store.apply(&received, &self.random, self.clock.now()).await.unwrap();
        assert!(matches!(applied, Applied::Done(_)), "{applied:?}");
        // So that the next invoice is newer than this one.
        self.clock.advance(Duration::from_millis(1));
    }

    /// Ordering was found to know this order, of which billing has a copy, no more.
    pub(crate) async fn lacks_at_source(&self, number: i64) {
        let file = self.file.as_ref().expect("a world over SQLite");
        let mut database = SqliteConnection::connect(&file.url()).await.unwrap();
        sqlx::query("update orders set missing_at_source = true where number = $1")
            .bind(number)
            .execute(&mut database)
            .await
            .unwrap();
    }

    /// This epoch, which is adopted, does not know these orders.
    pub(crate) async fn loses(&self, epoch: i64, numbers: &[i64]) {
        let (identity, now) = (identity(epoch), self.clock.now());
        self.store.adopt_epoch(&identity, now).await.unwrap();
        let marked = self.store.mark_missing(&identity, numbers, now).await.unwrap();
        assert_eq!(usize::try_from(marked).unwrap(), numbers.len());
    }

    /// The newest invoice of an order.
    pub(crate) async fn invoice(&self, order_number: i64) -> Invoice {
        let filter = InvoiceFilter { order_number: Some(order_number), ..InvoiceFilter::default() };
        self.store.invoices(&filter, 1).await.unwrap().remove(0)
    }

    /// Ordering answers the question for this order with it, in this epoch.
    pub(crate) async fn ordering_has(&self, order: &Order) {
        self.ordering_has_in(EPOCH, order).await;
    }

    pub(crate) async fn ordering_has_in(&self, epoch: i64, order: &Order) {
        self.ordering_answers(order.number, with_order(epoch, order)).await;
    }

    /// Ordering knows no order of this number.
    pub(crate) async fn ordering_lacks(&self, number: i64) {
        self.ordering_answers(number, no_such_order()).await;
    }

    /// Ordering answers the question for this order like this, whatever it answered before.
    pub(crate) async fn ordering_answers(&self, number: i64, answer: ResponseTemplate) {
        self.ordering.reset().await;
        self.ordering_also_answers(number, answer).await;
    }

    /// Ordering answers the question for this order like this, and others as before.
    pub(crate) async fn ordering_also_answers(&self, number: i64, answer: ResponseTemplate) {
        Mock::given(method("GET"))
            .and(path(format!("/feed/v1/orders/{number}")))
            .respond_with(answer)
            .mount(&self.ordering)
            .await;
    }

    /// Ordering's feed is one page of these orders, of feed `feed_id`.
    pub(crate) async fn ordering_feeds(&self, feed_id: &str, orders: Vec<Order>) {
        let last = orders.last().map_or(SequenceNr::BEGINNING, |last| last.confirmed_sequence_nr);
        let identity = FeedIdentity { feed_id: feed_id.parse().unwrap(), epoch: Epoch(EPOCH) };
        let page = FeedPage {
            orders,
            continuation_token: ContinuationToken {
                feed_id: identity.feed_id.clone(),
                epoch: identity.epoch,
                sequence_nr: last,
            },
            feed_id: identity.feed_id,
            epoch: identity.epoch,
            has_more: false,
            last_sequence_nr: last,
        };
        self.ordering.reset().await;
        Mock::given(method("GET"))
            .and(path("/feed/v1/orders"))
            .respond_with(ResponseTemplate::new(200).set_body_json(page))
            .mount(&self.ordering)
            .await;
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
        self.headers[LOCATION].to_str().unwrap()
    }

    /// The page's text, when it is a page with this status.
    #[track_caller]
    pub(crate) fn text(&self, status: u16) -> &str {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header(CONTENT_TYPE), "text/html; charset=utf-8");
        &self.body
    }

    /// The problem's code, when it is a problem document with this status.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> ProblemCode {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header(CONTENT_TYPE), "application/problem+json");
        serde_json::from_str::<Problem>(&self.body).unwrap().code
    }

    /// A header's value; empty when it is not there.
    pub(crate) fn header(&self, name: HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Asserts that a page's text holds each of these.
#[track_caller]
pub(crate) fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

/// Ordering's answer with an order, of an epoch.
pub(crate) fn with_order(epoch: i64, order: &Order) -> ResponseTemplate {
    let FeedIdentity { feed_id, epoch } = identity(epoch);
    let document = FeedOrder { feed_id, epoch, order: order.clone() };
    ResponseTemplate::new(200).set_body_json(document)
}

/// Ordering's answer that there is no such order.
pub(crate) fn no_such_order() -> ResponseTemplate {
    let problem = Problem {
        feed: Some(identity(EPOCH)),
        ..Problem::new(ProblemCode::NotFound, "There is no such order.")
    };
    ResponseTemplate::new(404).set_body_json(problem)
}

pub(crate) fn identity(epoch: i64) -> FeedIdentity {
    FeedIdentity { feed_id: FEED.parse().unwrap(), epoch: Epoch(epoch) }
}

/// A confirmed order of one line: 40 bolts, 16.94 EUR with tax.
pub(crate) fn order(number: i64) -> Order {
    let lines = vec![Line {
        line_no: 1,
        sku: "BOLT-8".into(),
        description: Some("Bolt M8".into()),
        quantity: 40,
        unit_price_minor: 35,
        tax_basis_points: 2100,
    }];
    with_lines(
        Order {
            number,
            state: OrderState::Confirmed,
            version: 1,
            confirmed_sequence_nr: SequenceNr(number),
            customer: Customer {
                id: "0197b2c4-7d1e-7c3a-9b1f-2a54c8d0e911".into(),
                name: "Ada Yards".into(),
                email: "ada@example.com".into(),
                address: Some(Address {
                    line1: Some("1 Quay St".into()),
                    line2: None,
                    postal_code: Some("1011".into()),
                    city: Some("Delft".into()),
                    country: Some("JP".into()),
                }),
            },
            currency: "EUR".into(),
            reference: Some("PO-77".into()),
            note: None,
            lines: Vec::new(),
            net_minor: 0,
            tax_minor: 0,
            total_minor: 0,
            confirmed_at: Some(AT),
            changed_at: AT,
            deleted_at: None,
        },
        lines,
    )
}

/// The next version of the order, with 1,000 bolts.
pub(crate) fn changed(order: &Order) -> Order {
    let lines = vec![Line { quantity: 1_000, ..order.lines[0].clone() }];
    with_lines(Order { version: order.version + 1, ..order.clone() }, lines)
}

/// The next version of the order, which is its removal.
pub(crate) fn removed(order: &Order) -> Order {
    Order {
        version: order.version + 1,
        state: OrderState::Deleted,
        deleted_at: Some(AT),
        ..order.clone()
    }
}

fn with_lines(order: Order, lines: Vec<Line>) -> Order {
    let totals = Totals::of(&lines).unwrap();
    Order {
        lines,
        net_minor: totals.net_minor,
        tax_minor: totals.tax_minor,
        total_minor: totals.total_minor,
        ..order
    }
}
