//! What the fast path answers, and what it leaves to the routes, over real connections.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use kit::clock::SystemClock;
use kit::http::fast_path::{Exchange, FastPath, Left, Prepared, Reply, Request};
use kit::http::frame::Frame;
use kit::http::site::Site;
use kit::random::Random;
use testkit::net::answer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Nothing here takes so long unless it never comes.
const PROMPTLY: Duration = Duration::from_secs(20);

/// Answers with what is asked, but for a few words.
struct Words {
    replies: mpsc::UnboundedSender<Reply>,
    stop: CancellationToken,
}

impl FastPath for Words {
    type Asked = String;
    type Left = &'static str;

    const ROUTE: &'static str = "/fast";

    fn read(&self, request: &Request<'_>) -> Option<String> {
        (request.path == Self::ROUTE).then(|| request.query.unwrap_or_default().to_owned())
    }

    async fn answer(
        &self,
        asked: String,
        exchange: &Arc<Exchange>,
    ) -> Result<Prepared, &'static str> {
        match asked.as_str() {
            "elsewhere" => {
                self.replies.send(exchange.reply()).unwrap();
                exchange.let_go().await;
                return Err("let go");
            }
            "stop" => self.stop.cancelled().await,
            "routes" => return Err("for the routes"),
            "late" => {
                self.stop.cancelled().await;
                return Err("too late");
            }
            "panic" => panic!("on purpose"),
            _ => {}
        }
        Ok(prepared(exchange, asked))
    }
}

fn prepared(exchange: &Exchange, document: impl Into<Bytes>) -> Prepared {
    exchange.prepare(HeaderMap::new(), document.into())
}

/// What was left to the routes, once.
async fn by_the_routes(request: axum::extract::Request) -> String {
    let left: Option<&Left<&str>> = request.extensions().get();
    format!("by the routes: {}", left.and_then(Left::take).unwrap_or("nothing was left"))
}

/// A service, until it is dropped.
struct Service {
    address: String,
    replies: mpsc::UnboundedReceiver<Reply>,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Service {
    async fn start() -> Self {
        let site = Site {
            clock: Arc::new(SystemClock),
            random: Random::seeded(1),
            frame: Frame { app: "Tried", apps: &[], menu: &[], current: "" },
            form_targets: String::new(),
        };
        let routes = Router::new()
            .route("/fast", get(by_the_routes))
            .route("/echo", post(|body: String| async { body }));
        let (sender, replies) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let words = Words { replies: sender, stop: stop.clone() };
        let front = site.wrap_behind(words, routes);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serving = tokio::spawn(front.serve(listener, stop.clone()));
        Self { address, replies, stop, serving }
    }

    async fn client(&self) -> Client {
        Client(TcpStream::connect(&self.address).await.unwrap())
    }

    async fn reply(&mut self) -> Reply {
        timeout(PROMPTLY, self.replies.recv()).await.expect("is asked promptly").unwrap()
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn get(&mut self, query: &str) -> String {
        self.send(&ask(query)).await;
        self.body().await
    }

    async fn body(&mut self) -> String {
        self.answer().await.1
    }

    /// Head and body of the next answer.
    async fn answer(&mut self) -> (String, String) {
        let (head, body) = answer(&mut self.0).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        (head, String::from_utf8(body).unwrap())
    }

    async fn ends(&mut self) {
        let mut rest = Vec::new();
        timeout(PROMPTLY, self.0.read_to_end(&mut rest)).await.expect("ends promptly").unwrap();
        assert_eq!(rest, b"");
    }
}

fn ask(query: &str) -> String {
    format!("GET /fast?{query} HTTP/1.1\r\nhost: here\r\n\r\n")
}

const ECHO: &str = "POST /echo HTTP/1.1\r\nhost: here\r\ncontent-length: 5\r\n\r\nhello";

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_answered_past_the_routes_until_something_is_for_them() {
    let service = Service::start().await;
    let mut client = service.client().await;
    assert_eq!(client.get("one").await, "one");
    for byte in ask("two").chars() {
        client.send(&byte.to_string()).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.body().await, "two");
    client.send("GET /fast?three HTTP/1.1\r\nx-request-id: r-3\r\n\r\n").await;
    let (head, body) = client.answer().await;
    assert_eq!(body, "three");
    assert!(head.contains("\r\nx-request-id: r-3\r\n"), "{head}");
    client.send(ECHO).await;
    assert_eq!(client.body().await, "hello");
    assert_eq!(client.get("four").await, "by the routes: nothing was left");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_ahead_is_answered_in_its_order() {
    let mut service = Service::start().await;
    let mut client = service.client().await;
    client.send(&[&ask("elsewhere"), &ask("two"), ECHO].concat()).await;
    let reply = service.reply().await;
    // A while in which the others could be answered before it.
    sleep(Duration::from_millis(50)).await;
    let one = prepared(reply.exchange(), "one");
    assert!(reply.send(&one));
    for expected in ["one", "two", "hello"] {
        assert_eq!(client.body().await, expected);
    }
    let mut client = service.client().await;
    client.send(&ask("elsewhere")).await;
    let reply = service.reply().await;
    client.send(&ask("two")).await;
    sleep(Duration::from_millis(50)).await;
    let one = prepared(reply.exchange(), "one");
    assert!(reply.send(&one));
    assert_eq!((client.body().await, client.body().await), ("one".into(), "two".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_connection_has_room_for_arrives_whole() {
    let mut service = Service::start().await;
    let mut client = service.client().await;
    let large = "0123456789".repeat(2_000_000);
    for is_stopping in [false, true] {
        client.send(&ask("elsewhere")).await;
        let reply = service.reply().await;
        let answer = prepared(reply.exchange(), large.clone());
        assert!(reply.send(&answer));
        if is_stopping {
            service.stop.cancel();
        }
        // Until there is no room.
        sleep(Duration::from_millis(50)).await;
        assert!(client.body().await == large);
        if !is_stopping {
            assert_eq!(client.get("next").await, "next");
        }
    }
    client.ends().await;
    timeout(PROMPTLY, service.serving).await.expect("ends promptly").unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_answered_is_left_to_the_routes() {
    let mut service = Service::start().await;
    for (query, left) in [("routes", "for the routes"), ("panic", "nothing was left")] {
        let mut client = service.client().await;
        assert_eq!(client.get(query).await, format!("by the routes: {left}"));
        assert_eq!(client.get(query).await, "by the routes: nothing was left");
    }
    let mut client = service.client().await;
    client.send(&ask("elsewhere")).await;
    drop(service.reply().await);
    assert_eq!(client.body().await, "by the routes: let go");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_gone_is_answered_no_more() {
    let mut service = Service::start().await;
    let mut client = service.client().await;
    client.send(&ask("elsewhere")).await;
    let reply = service.reply().await;
    assert!(!reply.is_closed());
    drop(client);
    let gone = async {
        while !reply.is_closed() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PROMPTLY, gone).await.expect("is noticed promptly");
    let late = prepared(reply.exchange(), "late");
    assert!(!reply.send(&late));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_stop_who_waits_is_answered_and_every_connection_ends() {
    let service = Service::start().await;
    let [mut new, mut idle, mut waiting, mut late] = [
        service.client().await,
        service.client().await,
        service.client().await,
        service.client().await,
    ];
    assert_eq!(idle.get("one").await, "one");
    waiting.send(&ask("stop")).await;
    late.send(&ask("late")).await;
    new.send("GET /fa").await;
    sleep(Duration::from_millis(50)).await;
    service.stop.cancel();
    let (head, body) = waiting.answer().await;
    assert_eq!(body, "stop");
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    assert_eq!(late.body().await, "by the routes: too late");
    // Those who do not wait are told to go once nobody can come any more.
    idle.ends().await;
    assert!(TcpStream::connect(&service.address).await.is_err(), "nobody is let in any more");
    for mut client in [new, waiting, late] {
        client.ends().await;
    }
    timeout(PROMPTLY, service.serving).await.expect("ends promptly").unwrap().unwrap();
}
