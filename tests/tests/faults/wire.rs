//! Stands between a service and its PostgreSQL server, of whose protocol it understands nothing.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What may be done to what the server says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trick {
    /// It comes late.
    Delay,
    /// Sometimes it does not come, and the connection is gone: a commit that was made, and reported
    /// as failed, among others.
    LoseReply,
}

/// A proxy for any protocol on a port of its own. Ends on drop.
pub(crate) struct Wire {
    port: u16,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    active: Mutex<Option<Trick>>,
    random: Mutex<StdRng>,
    played: AtomicUsize,
}

impl Wire {
    /// Stands before the server on this port of 127.0.0.1.
    pub(crate) async fn before(server: u16, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let state = Arc::new(State {
            active: Mutex::new(None),
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            played: AtomicUsize::new(0),
        });
        let task = tokio::spawn(accept(listener, server, state.clone()));
        Self { port, state, task }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Plays `trick` for this time; how often.
    pub(crate) async fn play(&self, trick: Trick, lasting: Duration) -> usize {
        let before = self.state.played.load(Ordering::Relaxed);
        self.state.set(Some(trick));
        sleep(lasting).await;
        self.state.set(None);
        self.state.played.load(Ordering::Relaxed) - before
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: u16, state: Arc<State>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let state = state.clone();
        // When either side hangs up, so does the other.
        tokio::spawn(async move {
            let server = TcpStream::connect(("127.0.0.1", server)).await?;
            let (mut asks, is_told) = client.into_split();
            let (says, mut is_asked) = server.into_split();
            tokio::select! {
                ended = copy(&mut asks, &mut is_asked) => ended.map(drop),
                ended = tell(says, is_told, &state) => ended,
            }
        });
    }
}

async fn tell(
    mut says: OwnedReadHalf,
    mut is_told: OwnedWriteHalf,
    state: &State,
) -> io::Result<()> {
    let mut said = vec![0; 16 * 1024];
    loop {
        let length = says.read(&mut said).await?;
        if length == 0 {
            return Ok(());
        }
        match state.choose() {
            Some(Trick::Delay) => sleep(state.delay()).await,
            Some(Trick::LoseReply) => return Ok(()),
            None => {}
        }
        is_told.write_all(&said[..length]).await?;
    }
}

impl State {
    fn set(&self, trick: Option<Trick>) {
        *self.active.lock().expect("nobody panics while holding it") = trick;
    }

    fn choose(&self) -> Option<Trick> {
        let trick = (*self.active.lock().expect("nobody panics while holding it"))?;
        // Seldom enough that transactions get as far as their commit.
        let share = if trick == Trick::LoseReply { 0.05 } else { 0.5 };
        let mut random = self.random.lock().expect("nobody panics while holding it");
        let played = random.random_bool(share);
        self.played.fetch_add(usize::from(played), Ordering::Relaxed);
        played.then_some(trick)
    }

    fn delay(&self) -> Duration {
        let mut random = self.random.lock().expect("nobody panics while holding it");
        Duration::from_millis(random.random_range(1..60))
    }
}
