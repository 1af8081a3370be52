//! A customer's system, to which billing hands approved invoices over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use standardwebhooks::Webhook;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What the receiver's messages are signed with.
pub const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Takes every message in whose signature is right, and remembers it. Stops listening on drop.
#[derive(Debug)]
pub struct Receiver {
    url: String,
    memory: Arc<Memory>,
    serving: JoinHandle<()>,
}

/// What it remembers, and how it answers.
#[derive(Debug)]
struct Memory {
    takes: Duration,
    lies: bool,
    seen: Mutex<Seen>,
}

/// What a receiver has seen so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The bodies that came under each `webhook-id`, in order.
    pub bodies: BTreeMap<String, Vec<Bytes>>,
    /// Those whose message came while the same one was being taken in already.
    pub overlapping: BTreeSet<String>,
    /// The most that were being taken in at the same time.
    pub most_at_a_time: usize,
    under_way: BTreeMap<String, usize>,
}

impl Seen {
    /// How many messages came, repetitions included.
    pub fn deliveries(&self) -> usize {
        self.bodies.values().map(Vec::len).sum()
    }
}

impl Receiver {
    /// One that takes so long for each message and then accepts it. With `lies`, it says of every
    /// fourth message that it was not accepted.
    ///
    /// # Panics
    /// When it cannot listen.
    pub async fn start(takes: Duration, lies: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let memory = Arc::new(Memory { takes, lies, seen: Mutex::default() });
        let router = Router::new().route("/hooks", post(accept)).with_state(Arc::clone(&memory));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("serving does not end");
        });
        Self { url: format!("http://{address}/hooks"), memory, serving }
    }

    /// Where it takes messages.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it has seen so far.
    pub fn seen(&self) -> Seen {
        self.memory.lock().clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message that is being taken in, until it is answered or its sender has gone.
struct UnderWay {
    memory: Arc<Memory>,
    id: String,
}

impl UnderWay {
    fn begin(memory: Arc<Memory>, id: String) -> Self {
        let mut seen = memory.lock();
        if seen.under_way.contains_key(&id) {
            seen.overlapping.insert(id.clone());
        }
        *seen.under_way.entry(id.clone()).or_default() += 1;
        seen.most_at_a_time = seen.most_at_a_time.max(seen.under_way.values().sum());
        drop(seen);
        Self { memory, id }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut seen = self.memory.lock();
        if let Some(count) = seen.under_way.get_mut(&self.id) {
            *count -= 1;
        }
        seen.under_way.retain(|_, count| *count > 0);
    }
}

async fn accept(State(memory): State<Arc<Memory>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let webhook = Webhook::new(SECRET).expect("the secret is one");
    if webhook.verify(&body, &headers).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let Some(id) = header("webhook-id").map(str::to_owned) else {
        return StatusCode::BAD_REQUEST;
    };
    let under_way = UnderWay::begin(Arc::clone(&memory), id.clone());
    tokio::time::sleep(memory.takes).await;
    let mut seen = memory.lock();
    seen.bodies.entry(id).or_default().push(body);
    let is_lie = memory.lies && seen.deliveries() % 4 == 0;
    drop(seen);
    drop(under_way);
    if is_lie { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}
