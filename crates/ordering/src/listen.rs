//! Hears what the sequencers of other processes have done.

use std::time::Duration;

use contract::feed::SequenceNr;
use kit::db::{Listener, PgConnectOptions};
use kit::lifecycle::BoxError;
use tokio_util::sync::CancellationToken;

use crate::news::News;
use crate::store::CHANNEL;

/// How long it waits before it connects again.
const PAUSE: Duration = Duration::from_millis(500);

/// Passes on to `news` what sequencers tell on the PostgreSQL server at `options`, until `shutdown`.
/// Whatever may have been missed makes all who wait look. All this is only hints; the looks at intervals
/// are the guarantee, so a server that is away fails nothing.
///
/// # Errors
/// Never so far; a loop that ends is a failure of the process.
pub async fn run(
    options: PgConnectOptions,
    news: News,
    shutdown: CancellationToken,
) -> Result<(), BoxError> {
    let listening = async {
        loop {
            if let Ok(mut listener) = Listener::connect(&options, CHANNEL).await {
                // What happened before this connection listened.
                news.look();
                while let Some(told) = listener.hear().await {
                    match told.parse() {
                        Ok(last) => news.heard_of(SequenceNr(last)),
                        Err(_) => news.look(),
                    }
                }
                tracing::debug!("the connection that listens for news is lost");
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    shutdown.run_until_cancelled(listening).await;
    Ok(())
}
