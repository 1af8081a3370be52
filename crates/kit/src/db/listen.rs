//! What transactions of any process tell when they commit.

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use super::{Error, Result};

/// Hears what is told on a channel of a PostgreSQL database, over a connection of its own.
pub struct Listener(PgListener);

impl Listener {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn connect(options: &PgConnectOptions, channel: &str) -> Result<Self> {
        // One connection, for good.
        let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let pool = pool.connect_with(options.clone()).await.map_err(Error::Unavailable)?;
        let mut listener = PgListener::connect_with(&pool).await.map_err(Error::Unavailable)?;
        listener.listen(channel).await.map_err(Error::Unavailable)?;
        Ok(Self(listener))
    }

    /// What is told next; `None` when the connection is lost, and then anything may have been told that
    /// nobody heard. (`PgListener` would connect again by itself, and say nothing of what it missed.)
    pub async fn hear(&mut self) -> Option<String> {
        let told = self.0.try_recv().await.ok().flatten();
        told.map(|told| told.payload().to_owned())
    }
}
