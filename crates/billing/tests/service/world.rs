//! A database, the service's parts over it, and an ordering under the test's control.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use billing::dispatch::Dispatcher;
use billing::dispatch::receiver::Receiver;
use billing::expiry::Expiry;
use billing::http::{App, AppState, router};
use billing::invoice::Invoice;
use billing::pull::client::FeedClient;
use billing::pull::{Counts, PullError, Puller};
use billing::settings::{DispatchSettings, SourceSettings};
use billing::store::{InvoiceFilter, PullState, Store, open};
use billing::verify::{Job, Verifier};
use contract::feed::ContinuationToken;
use kit::clock::ManualClock;
use kit::random::Random;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tower::ServiceExt;
use wiremock::matchers::{method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::feed::Feed;
use crate::ordering::{AT, order, page};

/// How long billing waits for ordering.
pub(crate) const PULL_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a comparison waits for what is on its way.
pub(crate) const PATIENCE: &[Duration] = &[
    Duration::from_millis(20),
    Duration::from_millis(80),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// How long an invoice may await approval.
pub(crate) const EXPIRY: Duration = Duration::from_hours(30 * 24);
/// How long billing waits for the customer's system.
pub(crate) const DISPATCH_TIMEOUT: Duration = Duration::from_millis(500);
/// What signs invoices that are handed over.
pub(crate) const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// What callers of billing's API must present, and what billing presents to ordering.
pub(crate) const TOKEN: &str = "s3cret";

/// The service's parts over a database of its own.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) puller: Arc<Puller>,
    pub(crate) expiry: Arc<Expiry>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ordering: MockServer,
    pub(crate) database_url: String,
    state: AppState,
    router: Router,
    // Removes the database when the test is over.
    _database: Box<dyn Any>,
}

/// An answer of the API.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl World {
    pub(crate) async fn sqlite() -> Self {
        let file = testkit::sqlite::file();
        Self::over(file.url(), Box::new(file)).await
    }

    pub(crate) async fn postgres() -> Self {
        let database = testkit::postgres::database().await;
        Self::over(database.url(), Box::new(database)).await
    }

    /// Over a database that somebody else takes care of.
    pub(crate) async fn on(database_url: String) -> Self {
        Self::over(database_url, Box::new(())).await
    }

    async fn over(database_url: String, database: Box<dyn Any>) -> Self {
        let ordering = MockServer::start().await;
        let clock = ManualClock::at(AT);
        let store = open(&database_url.parse().unwrap()).await.unwrap();
        let puller = puller(&store, &ordering.uri(), PULL_TIMEOUT, &clock, Random::seeded(7));
        let expiry = Arc::new(Expiry::new(Arc::clone(&store), clock.clone(), EXPIRY));
        let state = Arc::new(App {
            store: Arc::clone(&store),
            puller: Arc::clone(&puller),
            verification: Arc::new(Job::new(
                verifier(&store, &puller, &clock, PATIENCE),
                clock.clone(),
            )),
            expiry: Arc::clone(&expiry),
            dispatcher: None,
            clock: clock.clone(),
            random: Random::seeded(11),
            link_timeout: PULL_TIMEOUT,
            ordering_url: ordering.uri().parse().unwrap(),
        });
        let router = router(state.clone(), Some(TOKEN.parse().unwrap()));
        Self {
            store,
            puller,
            expiry,
            clock,
            ordering,
            database_url,
            state,
            router,
            _database: database,
        }
    }

    /// Switches dispatch on, to the customer's system at `url`; its loop does not run.
    pub(crate) fn dispatch_to(&mut self, url: &str) -> Arc<Dispatcher> {
        let dispatcher = self.dispatcher(url, DISPATCH_TIMEOUT);
        self.switch_dispatch(Some(Arc::clone(&dispatcher)));
        dispatcher
    }

    /// Switches dispatch off.
    pub(crate) fn dispatch_off(&mut self) {
        self.switch_dispatch(None);
    }

    fn switch_dispatch(&mut self, dispatcher: Option<Arc<Dispatcher>>) {
        Arc::make_mut(&mut self.state).dispatcher = dispatcher;
        self.router = router(self.state.clone(), Some(TOKEN.parse().unwrap()));
    }

    /// The dispatch of another process on the same database, to the customer's system at `url`,
    /// which may take its time.
    pub(crate) fn patient_dispatcher(&self, url: &str) -> Arc<Dispatcher> {
        self.dispatcher(url, Duration::from_mins(1))
    }

    fn dispatcher(&self, url: &str, timeout: Duration) -> Arc<Dispatcher> {
        let settings = DispatchSettings {
            dispatch_url: Some(url.parse().unwrap()),
            dispatch_secret: Some(SECRET.parse().unwrap()),
            dispatch_workers: 5,
            dispatch_timeout: timeout,
        };
        let receiver = Receiver::new(&settings, self.clock.clone()).unwrap().unwrap();
        let (store, clock) = (Arc::clone(&self.store), self.clock.clone());
        Arc::new(Dispatcher::new(store, receiver, clock, Random::seeded(17)))
    }

    /// Another puller over the same database, as another process has it: from the ordering at
    /// `address`, which may take its time.
    pub(crate) fn patient_puller(&self, address: &str) -> Arc<Puller> {
        puller(&self.store, address, Duration::from_mins(1), &self.clock, Random::seeded(13))
    }

    /// Lets the service pull with this one.
    pub(crate) fn serve_with(&mut self, puller: &Arc<Puller>) {
        Arc::make_mut(&mut self.state).puller = Arc::clone(puller);
        self.router = router(self.state.clone(), Some(TOKEN.parse().unwrap()));
    }

    /// Another puller over the same database, whose pulls may fail for no longer than `max_age`.
    pub(crate) fn watched_puller(&self, max_age: Duration) -> Arc<Puller> {
        let address = self.ordering.uri();
        let made = make_puller(&self.store, &address, PULL_TIMEOUT, &self.clock, Random::seeded(5));
        Arc::new(made.expecting_success_within(max_age))
    }

    /// Compares both sides, looking again after these pauses.
    pub(crate) fn verifier(&self, patience: &'static [Duration]) -> Verifier {
        let address = self.ordering.uri();
        let limit = Duration::from_mins(1);
        let puller = puller(&self.store, &address, limit, &self.clock, Random::seeded(29));
        verifier(&self.store, &puller, &self.clock, patience)
    }

    /// Ordering answers from `feed`, and to nothing that it answered before.
    pub(crate) async fn answers_from(&self, feed: &Feed) {
        self.ordering.reset().await;
        let mock = Mock::given(method("GET")).respond_with(feed.clone());
        mock.mount(&self.ordering).await;
    }

    /// Runs a statement that billing never would.
    pub(crate) async fn execute(&self, sql: &str) {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        if self.database_url.starts_with("sqlite") {
            let mut conn = SqliteConnection::connect(&self.database_url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
        } else {
            let mut conn = PgConnection::connect(&self.database_url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
        }
    }

    /// Ordering answers with `answer` when it is asked for the page behind `after`, and to nothing
    /// that it answered before.
    pub(crate) async fn answers(
        &self,
        after: Option<&ContinuationToken>,
        answer: ResponseTemplate,
    ) {
        self.ordering.reset().await;
        self.also_answers(after, answer).await;
    }

    /// Like [`World::answers`], beside what it answered before.
    pub(crate) async fn also_answers(
        &self,
        after: Option<&ContinuationToken>,
        answer: ResponseTemplate,
    ) {
        let mock = Mock::given(method("GET")).and(path("/feed/v1/orders"));
        let mock = match after {
            Some(token) => mock.and(query_param("after", token.to_string())),
            None => mock.and(query_param_is_missing("after")),
        };
        mock.respond_with(answer).mount(&self.ordering).await;
    }

    /// Ordering answers with `answer` when it is asked for one order.
    pub(crate) async fn answers_order(&self, number: i64, answer: ResponseTemplate) {
        self.ordering.reset().await;
        self.also_answers_order(number, answer).await;
    }

    /// Like [`World::answers_order`], beside what it answered before.
    pub(crate) async fn also_answers_order(&self, number: i64, answer: ResponseTemplate) {
        Mock::given(method("GET"))
            .and(path(format!("/feed/v1/orders/{number}")))
            .respond_with(answer)
            .mount(&self.ordering)
            .await;
    }

    /// Pulls orders 1 and 2, so that the token is at 2.
    pub(crate) async fn pull_two_orders(&self) {
        let two = page(vec![order(1, 1, 1), order(2, 1, 2)]);
        self.answers(None, crate::ordering::ok(two)).await;
        let counts = self.puller.pull_once().await.unwrap();
        assert_eq!(counts, Counts { pages: 1, new: 2, ..Counts::default() });
    }

    /// Returns once ordering is asked for an order by number.
    pub(crate) async fn asked_for_an_order(&self) {
        testkit::wait::until(
            "ordering is asked for an order",
            Duration::from_secs(30),
            async || {
                let requests = self.ordering.received_requests().await.unwrap();
                requests.iter().any(|request| request.url.path().starts_with("/feed/v1/orders/"))
            },
        )
        .await;
    }

    /// How many times ordering was asked since it was told what to answer.
    pub(crate) async fn times_asked(&self) -> usize {
        self.ordering.received_requests().await.unwrap().len()
    }

    pub(crate) async fn pull_state(&self) -> PullState {
        self.store.pull_state().await.unwrap()
    }

    /// All invoices, newest first.
    pub(crate) async fn invoices(&self) -> Vec<Invoice> {
        self.store.invoices(&InvoiceFilter::default(), 10_000).await.unwrap()
    }

    /// Everything that a failed pull must leave as it is.
    pub(crate) async fn data(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let state = self.pull_state().await;
        let position = (state.identity, state.continuation_token, state.last_sequence_nr);
        let orders = self.store.orders(None, 1_000).await.unwrap();
        let invoices = self.store.invoices(&InvoiceFilter::default(), 1_000).await.unwrap();
        let quarantine = self.store.quarantine(None, 1_000).await.unwrap();
        (position, state.totals, orders, invoices, quarantine)
    }

    /// Pulls in vain, and checks that nothing was changed but the failure noted.
    pub(crate) async fn pull_in_vain(&self) -> PullError {
        let before = self.data().await;
        let failures = self.pull_state().await.consecutive_failures;
        let error = self.puller.pull_once().await.expect_err("the pull was to fail");
        assert_eq!(self.data().await, before, "{error}");
        let after = self.pull_state().await;
        assert_eq!(after.consecutive_failures, failures + 1, "{error}");
        assert_eq!(after.last_error, Some(error.to_string()));
        error
    }

    /// Asks the API with the token.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.ask_with(method, path, &[], body).await
    }

    /// Asks the API with the token and these headers.
    pub(crate) async fn ask_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {TOKEN}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Answer { status: parts.status, headers: parts.headers, body }
    }
}

fn verifier(
    store: &Arc<dyn Store>,
    puller: &Arc<Puller>,
    clock: &Arc<ManualClock>,
    patience: &'static [Duration],
) -> Verifier {
    let (store, puller) = (Arc::clone(store), Arc::clone(puller));
    Verifier::new(store, puller, clock.clone(), Random::seeded(19), patience)
}

fn puller(
    store: &Arc<dyn Store>,
    ordering: &str,
    pull_timeout: Duration,
    clock: &Arc<ManualClock>,
    random: Random,
) -> Arc<Puller> {
    Arc::new(make_puller(store, ordering, pull_timeout, clock, random))
}

fn make_puller(
    store: &Arc<dyn Store>,
    ordering: &str,
    pull_timeout: Duration,
    clock: &Arc<ManualClock>,
    random: Random,
) -> Puller {
    let source = SourceSettings {
        ordering_url: ordering.parse().unwrap(),
        ordering_token: Some(TOKEN.parse().unwrap()),
        pull_limit: 100,
        pull_timeout,
    };
    let client = FeedClient::new(&source, clock.clone()).unwrap();
    Puller::new(Arc::clone(store), client, clock.clone(), random)
}
