//! Pages of the feed over connections, where they are answered past the routes. Where something sleeps, it is
//! so that who asked before stands in line by then; who does not yet is answered at once, and rightly too.

use std::sync::atomic::Ordering;
use std::time::Duration;

use contract::feed::FeedPage;
use contract::problem::{Problem, ProblemCode};
use ordering::http::front;
use ordering::store::EpochReason;
use testkit::net::answer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::fixture::{App, on_both_databases, start};
use crate::wait::watched;

on_both_databases!(
    the_answer_is_that_of_the_routes,
    who_waits_is_answered_again_and_again,
    many_who_wait_share_one_read,
    a_new_epoch_is_told_to_all_who_wait,
    what_is_wrong_is_told_by_the_routes,
    a_stop_ends_the_wait,
);

const PROMPTLY: Duration = Duration::from_secs(20);
/// How an answer begins that does not come from the routes, whose date stands elsewhere.
const PAST_THE_ROUTES: &str = "HTTP/1.1 200 OK\r\ndate: ";

/// A connection to the service.
struct Client(TcpStream);

impl Client {
    async fn to(app: &App, api_token: Option<&str>) -> Self {
        Self::several_to(app, api_token, 1).await.remove(0)
    }

    async fn several_to(app: &App, api_token: Option<&str>, count: usize) -> Vec<Self> {
        let front = front(app.state.clone(), api_token.map(|token| token.parse().unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(front.serve(listener, app.state.shutdown.clone()));
        let mut clients = Vec::new();
        for _ in 0..count {
            clients.push(Self(TcpStream::connect(address).await.unwrap()));
        }
        clients
    }

    async fn ask(&mut self, query: &str, fields: &str) {
        let head = format!("GET /feed/v1/orders?{query} HTTP/1.1\r\nhost: here\r\n{fields}\r\n");
        self.0.write_all(head.as_bytes()).await.unwrap();
    }

    async fn get(&mut self, query: &str, fields: &str) -> (String, Vec<u8>) {
        self.ask(query, fields).await;
        self.answer().await
    }

    /// Head and body of the next answer.
    async fn answer(&mut self) -> (String, Vec<u8>) {
        answer(&mut self.0).await
    }

    /// The next answer, which is a problem of this status.
    async fn problem(&mut self, status: &str) -> Problem {
        let (head, body) = self.answer().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        serde_json::from_slice(&body).unwrap()
    }

    async fn page(&mut self) -> FeedPage {
        let (head, body) = self.answer().await;
        assert!(head.starts_with(PAST_THE_ROUTES), "{head}");
        serde_json::from_slice(&body).unwrap()
    }
}

async fn the_answer_is_that_of_the_routes(app: App) {
    app.confirmed().await;
    app.tick().await;
    let mut client = Client::to(&app, Some("secret")).await;
    let fields = "authorization: Bearer secret\r\nx-request-id: r-1\r\naccept: */*\r\n";
    for query in ["", "limit=1", "wait=9", "wait=9&limit=1"] {
        let (fast, page) = client.get(query, fields).await;
        assert!(fast.starts_with(PAST_THE_ROUTES), "{fast}");
        let identity = format!("{fields}accept-encoding: identity\r\n");
        let (usual, same) = Client::to(&app, Some("secret")).await.get(query, &identity).await;
        assert!(!usual.starts_with(PAST_THE_ROUTES), "{usual}");
        assert_eq!(page, same);
        let [fast, usual] = [&fast, &usual].map(|head| {
            let mut fields: Vec<&str> =
                head.lines().filter(|line| !line.starts_with("date: ")).collect();
            fields.sort_unstable();
            fields
        });
        assert_eq!(fast, usual);
    }
}

async fn who_waits_is_answered_again_and_again(app: App) {
    let mut client = Client::to(&app, None).await;
    let mut after = app.get("/feed/v1/orders").await.page().continuation_token;
    for _ in 0..3 {
        client.ask(&format!("after={after}&wait=60"), "").await;
        sleep(Duration::from_millis(20)).await;
        let order = app.confirmed().await;
        app.tick().await;
        let page = client.page().await;
        assert_eq!(page.orders[0].number, order.number);
        after = page.continuation_token;
    }
    for _ in 0..2 {
        let started = Instant::now();
        client.ask(&format!("after={after}&wait=1"), "").await;
        assert_eq!(client.page().await.orders.len(), 0);
        assert!(started.elapsed() >= Duration::from_secs(1));
    }
}

const MANY: usize = 50;

/// So many who wait behind the end of the feed.
async fn many_waiting(app: &App) -> Vec<Client> {
    let end = app.get("/feed/v1/orders").await.page().continuation_token;
    let mut clients = Client::several_to(app, None, MANY).await;
    for client in &mut clients {
        client.ask(&format!("after={end}&wait=60"), "").await;
    }
    sleep(Duration::from_millis(100)).await;
    clients
}

async fn many_who_wait_share_one_read(app: App) {
    let (app, reader) = watched(&app);
    let mut clients = many_waiting(&app).await;
    let before = reader.reads.load(Ordering::Relaxed);
    let order = app.confirmed().await;
    app.tick().await;
    for client in &mut clients {
        assert_eq!(client.page().await.orders[0].number, order.number);
    }
    assert!(reader.reads.load(Ordering::Relaxed) <= before + 1);
}

async fn a_new_epoch_is_told_to_all_who_wait(app: App) {
    let mut clients = many_waiting(&app).await;
    let identity = app.store.identity().await.unwrap();
    app.store.begin_epoch(identity.epoch, EpochReason::ByHand, start()).await.unwrap();
    app.state.news.look();
    for client in &mut clients {
        assert_eq!(client.problem("409").await.code, ProblemCode::FeedReset);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_told_that_the_database_is_away_without_another_look() {
    let (app, reader) = watched(&App::sqlite().await);
    let mut clients = many_waiting(&app).await;
    reader.is_away.store(true, Ordering::Relaxed);
    let before = reader.reads.load(Ordering::Relaxed);
    app.state.news.look();
    for client in &mut clients {
        assert_eq!(client.problem("503").await.code, ProblemCode::Unavailable);
    }
    // Once for the line, and once by each.
    assert!(reader.reads.load(Ordering::Relaxed) <= before + 1 + MANY);
}

async fn what_is_wrong_is_told_by_the_routes(app: App) {
    let end = app.get("/feed/v1/orders").await.page().continuation_token.to_string();
    let other = end.replacen(|_| true, "x", 1);
    let secret = "authorization: Bearer secret\r\n";
    for (query, fields, status) in [
        ("wait=9", "", "401"),
        ("wait=9", "authorization: Bearer other\r\n", "401"),
        ("wait=61", secret, "400"),
        ("wait=9&after=x", secret, "400"),
        ("wait=9&after=%zz&x=\"", secret, "400"),
        (&format!("wait=9&after={other}"), secret, "409"),
    ] {
        let mut client = Client::to(&app, Some("secret")).await;
        let (head, body) = client.get(query, fields).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{query} {head}");
        if !query.contains('"') {
            let problem: Problem = serde_json::from_slice(&body).unwrap();
            assert_eq!(problem.status.to_string(), status);
        }
        // The connection is the routes' from then on.
        if status != "400" {
            let (head, _) = client.get("wait=9&limit=0", secret).await;
            assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        }
    }
}

async fn a_stop_ends_the_wait(app: App) {
    let end = app.get("/feed/v1/orders").await.page().continuation_token;
    let mut client = Client::to(&app, None).await;
    client.ask(&format!("after={end}&wait=60"), "").await;
    sleep(Duration::from_millis(50)).await;
    app.state.shutdown.cancel();
    assert_eq!(client.page().await.orders.len(), 0);
    let mut rest = Vec::new();
    timeout(PROMPTLY, client.0.read_to_end(&mut rest)).await.expect("ends promptly").unwrap();
    assert_eq!(rest, b"");
}
