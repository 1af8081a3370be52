//! The service on a database of its own, and requests to it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, Request, StatusCode};
use contract::feed::{FeedOrder, FeedPage, FeedStatus};
use contract::order::Order;
use contract::problem::{MEDIA_TYPE, Problem, ProblemCode};
use contract::time::Timestamp;
use kit::clock::{Clock, ManualClock};
use kit::db::DatabaseUrl;
use kit::random::Random;
use ordering::http::{self, AppState, Head, LastStale, Limits, Line, hand_out, router};
use ordering::sequencer::Sequencer;
use ordering::store::{FeedReader, Store, open};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Makes each case, a function that takes an [`App`], a test on each database.
macro_rules! on_both_databases {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case($crate::fixture::App::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case($crate::fixture::App::postgres().await).await;
            })+
        }
    };
}
pub(crate) use on_both_databases;

/// Long enough to never come within a test.
const NEVER: Duration = Duration::from_hours(1);

/// What makes the service not ready.
pub(crate) const LIMITS: Limits =
    Limits { sequencer_silence: Duration::from_secs(30), unstamped_age: Duration::from_mins(1) };

/// The service without a listener.
#[derive(Clone)]
pub(crate) struct App {
    router: Router,
    pub(crate) state: AppState,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    sequencer: Arc<Sequencer>,
    database: Arc<Database>,
}

/// Removed with the last clone of its [`App`].
enum Database {
    Sqlite(testkit::sqlite::TestFile),
    Postgres(Box<testkit::postgres::TestDatabase>),
}

impl Database {
    fn url(&self) -> String {
        match self {
            Self::Sqlite(file) => file.url(),
            Self::Postgres(database) => database.url(),
        }
    }
}

impl App {
    pub(crate) async fn sqlite() -> Self {
        Self::on(Database::Sqlite(testkit::sqlite::file()), NEVER).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::on(Database::Postgres(Box::new(testkit::postgres::database().await)), NEVER).await
    }

    /// A service that looks for itself every `interval` for what others have stamped.
    pub(crate) async fn looking_every(interval: Duration) -> Self {
        Self::on(Database::Sqlite(testkit::sqlite::file()), interval).await
    }

    /// Another process on the same database, which hears what is told there.
    pub(crate) async fn another(&self) -> Self {
        let another = Self::over(Arc::clone(&self.database), NEVER).await;
        if let DatabaseUrl::Postgres(options) = another.database.url().parse().unwrap() {
            let (news, shutdown) = (another.state.news.clone(), another.state.shutdown.clone());
            tokio::spawn(ordering::listen::run(*options, news, shutdown));
        }
        another
    }

    /// The same service, whose pages are read from `feed`.
    pub(crate) fn reading(&self, feed: Arc<dyn FeedReader>) -> Self {
        let line = Line::default();
        let state = Arc::new(http::App { feed, line, ..http::App::clone(&self.state) });
        tokio::spawn(hand_out(state.clone()));
        Self { router: router(state.clone(), None), state, ..self.clone() }
    }

    async fn on(database: Database, interval: Duration) -> Self {
        Self::over(Arc::new(database), interval).await
    }

    async fn over(database: Arc<Database>, interval: Duration) -> Self {
        let clock = ManualClock::at("2026-05-01T10:00:00Z".parse().unwrap());
        let random = Random::seeded(7);
        let store = open(&database.url().parse().unwrap(), &random, clock.now()).await.unwrap();
        let sequencer = Sequencer::new(Arc::clone(&store), clock.clone(), interval);
        let billing_url: url::Url = "http://billing.example:8081/".parse().unwrap();
        let state = Arc::new(http::App {
            feed: Arc::clone(&store) as _,
            store: Arc::clone(&store),
            clock: clock.clone(),
            random,
            bell: sequencer.bell(),
            news: sequencer.news(),
            head: Head::default(),
            line: Line::default(),
            heartbeat: sequencer.heartbeat(),
            sequencer_interval: interval,
            limits: LIMITS,
            last_stale: LastStale::default(),
            shutdown: CancellationToken::new(),
            billing_probe_url: billing_url.clone(),
            billing_url,
            client: reqwest::Client::builder().build().unwrap(),
        });
        tokio::spawn(hand_out(state.clone()));
        Self {
            router: router(state.clone(), None),
            state,
            store,
            clock,
            sequencer: Arc::new(sequencer),
            database,
        }
    }

    /// The same service, whose feed and API ask for a token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        let token = token.parse().unwrap();
        Self { router: router(self.state.clone(), Some(token)), ..self.clone() }
    }

    /// Where a SQLite service keeps its data.
    pub(crate) fn sqlite_url(&self) -> String {
        let Database::Sqlite(file) = &*self.database else { panic!("is on PostgreSQL") };
        file.url()
    }

    /// Another program's connection to the same database, on PostgreSQL.
    pub(crate) async fn outsider(&self) -> sqlx::PgConnection {
        let Database::Postgres(database) = &*self.database else { panic!("is on SQLite") };
        <sqlx::PgConnection as sqlx::Connection>::connect(&database.url()).await.unwrap()
    }

    /// Lets the sequencer look once.
    pub(crate) async fn tick(&self) {
        self.sequencer.tick().await.unwrap();
    }

    pub(crate) async fn send(&self, ask: Ask) -> Answer {
        ask.send_to(self.router.clone()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Ask::get(path)).await
    }

    /// A new customer's id.
    pub(crate) async fn customer(&self) -> String {
        let answer = self.send(Ask::post("/api/v1/customers").json(&ada())).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.value()["id"].as_str().unwrap().to_owned()
    }

    /// A new draft.
    pub(crate) async fn draft(&self) -> Order {
        let order = bolts(&self.customer().await);
        let answer = self.send(Ask::post("/api/v1/orders").json(&order)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.order()
    }

    /// A new confirmed order.
    pub(crate) async fn confirmed(&self) -> Order {
        self.confirm(self.draft().await.number).await
    }

    pub(crate) async fn confirm(&self, number: i64) -> Order {
        let answer = self.send(Ask::post(&format!("/api/v1/orders/{number}/confirm"))).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.order()
    }
}

/// A request.
pub(crate) struct Ask(Request<Body>);

impl Ask {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self(Request::builder().method(method).uri(path).body(Body::empty()).unwrap())
    }

    pub(crate) async fn send_to(self, service: Router) -> Answer {
        let (parts, body) = service.oneshot(self.0).await.unwrap().into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub(crate) fn post(path: &str) -> Self {
        Self::new("POST", path)
    }

    pub(crate) fn put(path: &str) -> Self {
        Self::new("PUT", path)
    }

    pub(crate) fn delete(path: &str) -> Self {
        Self::new("DELETE", path)
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.0.headers_mut().append(name, value.parse().unwrap());
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    /// For this version only.
    pub(crate) fn version(self, version: i64) -> Self {
        self.header("if-match", &format!("\"{version}\""))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub(crate) fn body(self, media: &str, body: impl Into<Body>) -> Self {
        let mut ask = self.header(CONTENT_TYPE.as_str(), media);
        *ask.0.body_mut() = body.into();
        ask
    }
}

/// A response that has been read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let Some(value) = self.headers.get(name) else { panic!("no {name} in {self:?}") };
        value.to_str().unwrap()
    }

    pub(crate) fn etag(&self) -> &str {
        self.header(ETAG.as_str())
    }

    #[track_caller]
    pub(crate) fn read<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn value(&self) -> Value {
        self.read()
    }

    #[track_caller]
    pub(crate) fn order(&self) -> Order {
        self.read()
    }

    #[track_caller]
    pub(crate) fn page(&self) -> FeedPage {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self.read()
    }

    #[track_caller]
    pub(crate) fn feed_order(&self) -> FeedOrder {
        self.read()
    }

    #[track_caller]
    pub(crate) fn feed_status(&self) -> FeedStatus {
        self.read()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The problem that this answer is, which must have this code.
    #[track_caller]
    pub(crate) fn problem(&self, code: ProblemCode) -> Problem {
        assert_eq!(self.status.as_u16(), code.status(), "{self:?}");
        assert_eq!(self.header("content-type"), MEDIA_TYPE);
        assert_eq!(self.header("cache-control"), "no-store");
        let problem: Problem = self.read();
        assert_eq!((problem.code, problem.status), (code, code.status()));
        assert_eq!(problem.type_uri, format!("/problems/{code}"));
        let instance = format!("/requests/{}", self.header("x-request-id"));
        assert_eq!(problem.instance, Some(instance));
        problem
    }

    /// Where the problem sees violations, and which.
    #[track_caller]
    pub(crate) fn violations(&self, code: ProblemCode) -> Vec<(String, String)> {
        let errors = self.problem(code).errors;
        errors.into_iter().map(|violation| (violation.pointer, violation.code)).collect()
    }
}

/// Pairs as [`Answer::violations`] gives them.
pub(crate) fn pairs<const N: usize>(expected: [(&str, &str); N]) -> Vec<(String, String)> {
    expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned())).to_vec()
}

/// A customer as a request gives it.
pub(crate) fn ada() -> Value {
    json!({
        "name": "Ada Yards",
        "email": "ada@example.com",
        "address": {"line1": "1 Quay St", "postalCode": "1011", "city": "Delft", "country": "NL"},
    })
}

/// An order as a request gives it: 1400 net, 294 tax.
pub(crate) fn bolts(customer_id: &str) -> Value {
    json!({
        "customerId": customer_id,
        "currency": "EUR",
        "reference": "PO-77",
        "lines": [{
            "sku": "BOLT-8", "description": "Bolt M8", "quantity": 40,
            "unitPriceMinor": 35, "taxBasisPoints": 2100,
        }],
    })
}

/// The time at which every case begins.
pub(crate) fn start() -> Timestamp {
    "2026-05-01T10:00:00Z".parse().unwrap()
}
