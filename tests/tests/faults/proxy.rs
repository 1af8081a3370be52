//! Stands between a client and a service, and does what networks, caches and broken gateways do.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What may be done to an exchange.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Trick {
    /// The answer comes late.
    Delay,
    /// The answer ends somewhere in its body.
    Cut,
    /// The work is done, and nothing is answered.
    LoseReply,
    /// An earlier answer to the same path comes once more; nothing is asked.
    OldReply,
    /// Something comes that was never said.
    Garbage,
}

/// So many earlier answers are kept for each path.
const KEPT: usize = 20;

/// A proxy for HTTP/1.1 on a port of its own; with several services behind it, it takes turns. Each
/// exchange has a connection of its own. Ends on drop.
pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    services: Vec<u16>,
    turn: AtomicUsize,
    inner: Mutex<Inner>,
}

struct Inner {
    random: StdRng,
    active: Vec<Trick>,
    played: BTreeMap<Trick, usize>,
    earlier: HashMap<String, Vec<Vec<u8>>>,
}

impl Proxy {
    /// Stands before the services on these ports of 127.0.0.1.
    pub(crate) async fn before(services: Vec<u16>, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let inner = Mutex::new(Inner {
            random: StdRng::seed_from_u64(seed),
            active: Vec::new(),
            played: BTreeMap::new(),
            earlier: HashMap::new(),
        });
        let state = Arc::new(State { services, turn: AtomicUsize::new(0), inner });
        let task = tokio::spawn(accept(listener, state.clone()));
        Self { port, state, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Plays `trick` on many of the exchanges of this time; on how many.
    pub(crate) async fn play(&self, trick: Trick, lasting: Duration) -> usize {
        let before = {
            let mut inner = self.state.lock();
            inner.active.push(trick);
            inner.played(trick)
        };
        sleep(lasting).await;
        let mut inner = self.state.lock();
        if let Some(at) = inner.active.iter().position(|active| *active == trick) {
            inner.active.remove(at);
        }
        inner.played(trick) - before
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let state = state.clone();
        // A connection that breaks off is what this is for.
        tokio::spawn(async move { exchange(client, &state).await });
    }
}

async fn exchange(mut client: TcpStream, state: &State) -> io::Result<()> {
    let request = read_request(&mut client).await?;
    let path = path(&request);
    let trick = state.choose(&path);
    match trick {
        Some(Trick::Garbage) => return client.write_all(&state.garbage()).await,
        Some(Trick::OldReply) => return client.write_all(&state.earlier(&path)).await,
        _ => {}
    }
    let turn = state.turn.fetch_add(1, Ordering::Relaxed);
    let service = state.services[turn % state.services.len()];
    let mut service = TcpStream::connect(("127.0.0.1", service)).await?;
    service.write_all(&request).await?;
    let mut reply = Vec::new();
    // What came before it broke off is passed on.
    let whole = service.read_to_end(&mut reply).await.is_ok();
    match trick {
        Some(Trick::Delay) => sleep(state.delay()).await,
        Some(Trick::Cut) => reply.truncate(state.middle_of_body(&reply)),
        Some(Trick::LoseReply) => return Ok(()),
        _ if whole => state.keep(path, &reply),
        _ => {}
    }
    client.write_all(&reply).await
}

impl Inner {
    fn played(&self, trick: Trick) -> usize {
        self.played.get(&trick).copied().unwrap_or_default()
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics while holding it")
    }

    /// The trick to play on this exchange, if any.
    fn choose(&self, path: &str) -> Option<Trick> {
        let mut inner = self.lock();
        let Inner { random, active, .. } = &mut *inner;
        let trick = *active.choose(random)?;
        let possible = trick != Trick::OldReply || inner.earlier.contains_key(path);
        let played = possible && inner.random.random_bool(0.6);
        if played {
            *inner.played.entry(trick).or_default() += 1;
        }
        played.then_some(trick)
    }

    fn keep(&self, path: String, reply: &[u8]) {
        let mut inner = self.lock();
        let kept = inner.earlier.entry(path).or_default();
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push(reply.to_vec());
    }

    fn earlier(&self, path: &str) -> Vec<u8> {
        let mut inner = self.lock();
        let Inner { random, earlier, .. } = &mut *inner;
        let kept = earlier.get(path).and_then(|kept| kept.choose(random));
        kept.cloned().unwrap_or_default()
    }

    fn delay(&self) -> Duration {
        Duration::from_millis(self.lock().random.random_range(50..1500))
    }

    fn middle_of_body(&self, reply: &[u8]) -> usize {
        let body = head_length(reply).unwrap_or_default();
        self.lock().random.random_range(body..reply.len().max(body + 1))
    }

    /// Not HTTP; HTTP that is no JSON; JSON that is no page; a page of nonsense; an answer that
    /// promises more than it holds.
    fn garbage(&self) -> Vec<u8> {
        let mut inner = self.lock();
        let answer = |media: &str, body: &str| {
            let length = body.len();
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .into_bytes()
        };
        match inner.random.random_range(0..5) {
            0 => (0..200).map(|_| inner.random.random()).collect(),
            1 => answer("text/html", "<html><title>502 Bad Gateway</title></html>"),
            2 => answer("application/json", r#"{"orders": []}"#),
            3 => answer(
                "application/json",
                r#"{"feedId": 7, "epoch": "x", "orders": {}, "continuationToken": null}"#,
            ),
            _ => b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{\"feedId\": \"".to_vec(),
        }
    }
}

/// A whole request, which asks for the connection to be closed after the answer.
async fn read_request(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let head = loop {
        if let Some(length) = head_length(&request) {
            break length;
        }
        if client.read_buf(&mut request).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let text = String::from_utf8_lossy(&request[..head]).into_owned();
    let whole = head + content_length(&text);
    while request.len() < whole {
        if client.read_buf(&mut request).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let is_kept = |line: &&str| !line.is_empty() && !names(line, "connection");
    let lines: Vec<_> = text.split("\r\n").filter(is_kept).collect();
    let mut changed = format!("{}\r\nconnection: close\r\n\r\n", lines.join("\r\n")).into_bytes();
    changed.extend(&request[head..whole]);
    Ok(changed)
}

/// With the empty line at its end; `None` while that has not come.
fn head_length(message: &[u8]) -> Option<usize> {
    message.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

fn names(line: &str, header: &str) -> bool {
    line.split_once(':').is_some_and(|(name, _)| name.eq_ignore_ascii_case(header))
}

fn content_length(head: &str) -> usize {
    let line = head.split("\r\n").find(|line| names(line, "content-length"));
    line.and_then(|line| line.split_once(':')?.1.trim().parse().ok()).unwrap_or_default()
}

/// Without the query: an old answer is that to another question as well.
fn path(request: &[u8]) -> String {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    line.split(['?', ' ']).nth(1).unwrap_or_default().to_owned()
}
