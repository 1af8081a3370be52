//! One request and its answer, which may be written from anywhere: by whoever has it, without waking the
//! task of the connection.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};

use axum::body::Bytes;
use axum::http::header::{CONTENT_LENGTH, VARY};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use bytes::Buf;
use contract::time::Timestamp;
use tokio::net::tcp::OwnedWriteHalf;

use crate::http::measured::InFlight;
use crate::http::site::{Common, REQUEST_ID};

/// An answer of status 200, ready but for what differs from one caller to the next.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Fields of the head, and the empty line behind it.
    head: Bytes,
    document: Bytes,
}

/// One request and its answer.
pub struct Exchange {
    /// Of the connection's task, which is the only one that keeps it for long.
    connection: Weak<OwnedWriteHalf>,
    common: Arc<Common>,
    route: &'static str,
    id: Option<String>,
    started: Timestamp,
    turn: Mutex<Turn>,
}

struct Turn {
    state: State,
    /// Of the connection's task.
    waker: Option<Waker>,
    /// Whether it is to be woken by the answer.
    is_awaited: bool,
}

enum State {
    /// Not answered yet.
    Open {
        _in_flight: InFlight,
        /// Whoever was to answer it did not, and its task has not been told yet.
        was_let_go: bool,
    },
    /// By somebody, who holds no lock meanwhile: whoever has read the answer may come back before its writer
    /// has noted that it is written, and is not to wait for that as for a lock.
    Writing,
    Answered,
    /// The answer could not be written to its end.
    Broken,
    /// Nobody waits for an answer from here.
    Withdrawn,
}

/// The right to answer. Dropped without an answer, it tells so; see [`Exchange::let_go`].
pub struct Reply {
    exchange: Arc<Exchange>,
    was_used: bool,
}

impl Reply {
    /// Sends the answer, unless there is one already; whether it is on its way.
    pub fn send(mut self, answer: &Prepared) -> bool {
        self.was_used = true;
        self.exchange.send(answer, false)
    }

    /// Whether nobody waits any more.
    pub fn is_closed(&self) -> bool {
        !matches!(self.exchange.turn().state, State::Open { .. })
    }

    /// What it answers.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reply").field(&self.exchange.route).finish()
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.was_used {
            return;
        }
        let mut turn = self.exchange.turn();
        if let State::Open { was_let_go, .. } = &mut turn.state {
            *was_let_go = true;
            turn.wake();
        }
    }
}

impl Turn {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Exchange {
    pub(super) fn new(
        connection: &Arc<OwnedWriteHalf>,
        common: Arc<Common>,
        route: &'static str,
        id: Option<&str>,
    ) -> Arc<Self> {
        let state = State::Open { _in_flight: common.measured.enter(), was_let_go: false };
        Arc::new(Self {
            connection: Arc::downgrade(connection),
            route,
            id: id.map(str::to_owned),
            started: common.site.clock.now(),
            common,
            turn: Mutex::new(Turn { state, waker: None, is_awaited: false }),
        })
    }

    /// Lets somebody else answer.
    pub fn reply(self: &Arc<Self>) -> Reply {
        Reply { exchange: Arc::clone(self), was_used: false }
    }

    /// Until a [`Reply`] was dropped without an answer; once for each.
    pub async fn let_go(&self) {
        self.until(|turn| match &mut turn.state {
            State::Open { was_let_go, .. } => mem::take(was_let_go).then_some(()),
            _ => None,
        })
        .await;
    }

    /// An answer with these fields, and those that all answers have.
    pub fn prepare(&self, mut fields: HeaderMap, document: Bytes) -> Prepared {
        fields.insert(VARY, HeaderValue::from_static("accept-encoding"));
        fields.insert(CONTENT_LENGTH, document.len().into());
        self.common.complete(&mut fields, false);
        let mut head = Vec::with_capacity(512);
        for (name, value) in &fields {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        Prepared { head: head.into(), document }
    }

    /// See [`Reply::send`]. Behind the last answer the connection is closed.
    pub(super) fn send(self: &Arc<Self>, answer: &Prepared, is_last: bool) -> bool {
        let Some(connection) = self.begin() else { return false };
        // As with the routes, what it takes to write the answer is not measured.
        let now = self.common.site.clock.now();
        let first = Bytes::from(self.first_fields(now, is_last));
        let mut rest = first.chain(answer.head.clone()).chain(answer.document.clone());
        let written = write(&connection, &mut rest);
        let took = now.since(self.started);
        self.common.measured.record(&Method::GET, self.route, StatusCode::OK, took);
        if written.is_ok() && rest.has_remaining() {
            let exchange = Arc::clone(self);
            tokio::spawn(async move { exchange.write_on(connection, rest).await });
        } else {
            self.finish(connection, &written);
        }
        true
    }

    /// The connection, for who is the first to answer.
    fn begin(&self) -> Option<Arc<OwnedWriteHalf>> {
        let mut turn = self.turn();
        if !matches!(turn.state, State::Open { .. }) {
            // Not even for a moment: its task may be handing the connection on.
            return None;
        }
        let connection = self.connection.upgrade()?;
        turn.state = State::Writing;
        Some(connection)
    }

    /// Writes what the connection had no room for.
    async fn write_on(&self, connection: Arc<OwnedWriteHalf>, mut rest: impl Buf) {
        let mut written = Ok(());
        while written.is_ok() && rest.has_remaining() {
            let is_writable = connection.writable().await;
            written = is_writable.and_then(|()| write(&connection, &mut rest));
        }
        self.finish(connection, &written);
    }

    fn finish(&self, connection: Arc<OwnedWriteHalf>, written: &io::Result<()>) {
        // Before its task may want to hand it on.
        drop(connection);
        let mut turn = self.turn();
        turn.state = if written.is_ok() { State::Answered } else { State::Broken };
        if turn.is_awaited {
            turn.wake();
        }
    }

    /// What an answer begins with that is only this one's.
    fn first_fields(&self, now: Timestamp, is_last: bool) -> String {
        let id = self.id.clone().unwrap_or_else(|| self.common.site.random.uuid(now));
        let end = if is_last { "connection: close\r\n" } else { "" };
        let date = self.common.date(now);
        ["HTTP/1.1 200 OK\r\ndate: ", &date, "\r\n", REQUEST_ID.as_str(), ": ", &id, "\r\n", end]
            .concat()
    }

    /// Until the whole answer was written, or cannot be. Only who `is_awaiting` it is woken by that.
    ///
    /// # Errors
    /// When it cannot be.
    pub(super) async fn answered(&self, is_awaiting: bool) -> io::Result<()> {
        self.until(|turn| {
            turn.is_awaited |= is_awaiting;
            match turn.state {
                State::Answered => Some(Ok(())),
                State::Broken => Some(Err(ErrorKind::BrokenPipe.into())),
                State::Open { .. } | State::Writing | State::Withdrawn => None,
            }
        })
        .await
    }

    /// Nobody waits for an answer from here any more; false when there is one.
    pub(super) fn withdraw(&self) -> bool {
        let mut turn = self.turn();
        let is_open = matches!(turn.state, State::Open { .. });
        if is_open {
            turn.state = State::Withdrawn;
        }
        is_open
    }

    async fn until<T>(&self, mut look: impl FnMut(&mut Turn) -> Option<T>) -> T {
        poll_fn(|context| {
            let mut turn = self.turn();
            if let Some(seen) = look(&mut turn) {
                return Poll::Ready(seen);
            }
            // It asks two things here, and its waker is to be copied once.
            if turn.waker.as_ref().is_none_or(|known| !known.will_wake(context.waker())) {
                turn.waker = Some(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what the connection has room for now.
fn write(connection: &OwnedWriteHalf, rest: &mut impl Buf) -> io::Result<()> {
    let mut parts = [IoSlice::new(&[]); 4];
    let count = rest.chunks_vectored(&mut parts);
    match connection.try_write_vectored(&parts[..count]) {
        Ok(written) => rest.advance(written),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
