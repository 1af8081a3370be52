//! Puts the parts of the service together.

use std::net::SocketAddr;
use std::sync::Arc;

use kit::clock::{SharedClock, SystemClock};
use kit::db::DatabaseUrl;
use kit::lifecycle::{BoxError, Lifecycle};
use kit::random::Random;
use kit::settings::bind;

use crate::http::{self, AppState};
use crate::pull::Puller;
use crate::pull::client::FeedClient;
use crate::settings::{Command, ServeSettings};
use crate::store::{self, Store};

/// Runs a command of the program.
///
/// # Errors
/// Why it could not be done, for the person who started it.
pub async fn run(command: Command) -> Result<(), BoxError> {
    let clock: SharedClock = Arc::new(SystemClock);
    let random = Random::from_os();
    match command {
        Command::Serve(settings) => {
            let mut lifecycle = Lifecycle::new();
            serve(settings, &mut lifecycle, clock, random).await?;
            Ok(lifecycle.run().await?)
        }
        Command::Migrate(database) => {
            open(&database.database_url).await?;
            println!("The schema of {} is up to date.", database.database_url);
            Ok(())
        }
        Command::Pull { database, source } => {
            let store = open(&database.database_url).await?;
            let client = FeedClient::new(&source, Arc::clone(&clock))?;
            let counts = Puller::new(store, client, clock, random).pull_once().await?;
            println!("{counts}");
            Ok(())
        }
        Command::ResetToken { to, database } => {
            let store = open(&database.database_url).await?;
            store.reset_token(to.as_ref(), true).await?;
            match to {
                Some(token) => println!("The next pull goes on from {token}."),
                None => println!("The next pull reads from the beginning."),
            }
            Ok(())
        }
    }
}

/// Starts the service: opens the database, binds the address, and leaves serving and pulling to
/// `lifecycle`. The address in use.
///
/// # Errors
/// Why it could not start.
pub async fn serve(
    settings: ServeSettings,
    lifecycle: &mut Lifecycle,
    clock: SharedClock,
    random: Random,
) -> Result<SocketAddr, BoxError> {
    // Bound first: a second service on the same address must not touch the database.
    let token_setting = "--api-token (BILLING_API_TOKEN)";
    let listener = bind(&settings.listen, settings.api_token.as_ref(), token_setting).await?;
    let addr = listener.local_addr()?;

    let store = open(&settings.database.database_url).await?;
    let client = FeedClient::new(&settings.source, Arc::clone(&clock))?;
    let puller =
        Arc::new(Puller::new(Arc::clone(&store), client, Arc::clone(&clock), random.clone()));
    let state = AppState {
        store,
        puller: Arc::clone(&puller),
        clock,
        random,
        link_timeout: settings.link_timeout,
        ordering_url: settings.ordering_public_url.unwrap_or(settings.source.ordering_url),
    };
    lifecycle.spawn("pull loop", puller.run(settings.pull_interval, lifecycle.shutdown_token()));
    lifecycle.serve("billing", listener, http::router(state, settings.api_token));
    Ok(addr)
}

/// Opens the database and brings its schema up to date.
async fn open(url: &DatabaseUrl) -> Result<Arc<dyn Store>, BoxError> {
    store::open(url).await.map_err(|error| {
        // The address is shown without its password.
        format!("cannot open the database {url}: {}", kit::telemetry::chain(&error)).into()
    })
}
