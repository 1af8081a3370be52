//! Puts the parts of the service together.

use std::process::ExitCode;
use std::sync::Arc;

use kit::clock::{SharedClock, SystemClock};
use kit::db::{DatabaseUrl, OpenError};
use kit::lifecycle::{BoxError, Lifecycle};
use kit::random::Random;
use kit::settings::ListenError;
use tokio::net::TcpListener;

use crate::dispatch::Dispatcher;
use crate::dispatch::receiver::Receiver;
use crate::expiry::Expiry;
use crate::http::{self, App};
use crate::pull::Puller;
use crate::pull::client::FeedClient;
use crate::settings::{Command, DispatchSettings, ServeSettings};
use crate::store::{self, Store};
use crate::verify::command::{self, Format};
use crate::verify::{Job, PATIENCE, Verifier};

/// Runs a command of the program to its end, [`serve`] ends with a signal; how the program exits.
///
/// # Errors
/// Why it could not be done, for the person who started it.
pub async fn run(command: Command) -> Result<ExitCode, BoxError> {
    let clock: SharedClock = Arc::new(SystemClock);
    let random = Random::from_os();
    match command {
        Command::Serve(settings) => {
            let mut lifecycle = Lifecycle::new()?;
            let listener = listen(&settings).await?;
            serve(*settings, listener, &mut lifecycle, clock, random).await?;
            lifecycle.run().await?;
        }
        Command::Migrate(database) => {
            open(&database.database_url).await?;
            println!("The schema of {} is up to date.", database.database_url);
        }
        Command::Pull { database, source } => {
            let store = open(&database.database_url).await?;
            let client = FeedClient::new(&source, Arc::clone(&clock))?;
            let counts = Puller::new(store, client, clock, random).pull_once().await?;
            println!("{counts}");
        }
        Command::ResetToken { to, database } => {
            database.database_url.expect_data()?;
            let store = open(&database.database_url).await?;
            // Reading on within the adopted history keeps what is known of it; anything else lets
            // another feed or epoch be adopted.
            let adopted = store.pull_state().await?.identity;
            let stays = to.as_ref().zip(adopted).is_some_and(|(to, adopted)| {
                to.feed_id == adopted.feed_id && to.epoch == adopted.epoch
            });
            store.reset_token(to.as_ref(), !stays).await?;
            match to {
                Some(token) => println!("The next pull goes on from {token}."),
                None => println!("The next pull reads from the beginning."),
            }
        }
        Command::Verify { repair, json, database, source } => {
            let format = if json { Format::Json } else { Format::Text };
            return Ok(command::run(&database, &source, repair, format, clock, random).await);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Binds the address of the settings. Done before anything else: a service that may not listen, or a
/// second one on the same address, must not touch the database.
///
/// # Errors
/// When the address is not protected, taken, or not of this machine.
pub async fn listen(settings: &ServeSettings) -> Result<TcpListener, ListenError> {
    let token_setting = "--api-token (BILLING_API_TOKEN)";
    kit::settings::bind(&settings.listen, settings.api_token.as_ref(), token_setting).await
}

/// Starts the service on `listener` as tasks of `lifecycle`; brings the schema up to date first.
///
/// # Errors
/// When a setting of the dispatch is wrong, or the database cannot be opened.
pub async fn serve(
    settings: ServeSettings,
    listener: TcpListener,
    lifecycle: &mut Lifecycle,
    clock: SharedClock,
    random: Random,
) -> Result<(), BoxError> {
    // First of all, so that a wrong setting leaves everything as it is.
    let receiver = Receiver::new(&settings.dispatch, Arc::clone(&clock))?;
    announce(&settings.dispatch);
    let client = FeedClient::new(&settings.source, Arc::clone(&clock))?;
    let store = open(&settings.database.database_url).await?;
    let puller = Puller::new(Arc::clone(&store), client, Arc::clone(&clock), random.clone());
    let puller = Arc::new(puller.expecting_success_within(settings.max_pull_age()));
    let expiry =
        Arc::new(Expiry::new(Arc::clone(&store), Arc::clone(&clock), settings.approval_expiry));
    let dispatcher = receiver.map(|receiver| {
        let (store, clock) = (Arc::clone(&store), Arc::clone(&clock));
        Arc::new(Dispatcher::new(store, receiver, clock, random.clone()))
    });
    let verifier = Verifier::new(
        Arc::clone(&store),
        Arc::clone(&puller),
        Arc::clone(&clock),
        random.clone(),
        PATIENCE,
    );
    let state = Arc::new(App {
        store,
        verification: Arc::new(Job::new(verifier, Arc::clone(&clock))),
        puller: Arc::clone(&puller),
        expiry: Arc::clone(&expiry),
        dispatcher: dispatcher.clone(),
        clock,
        random,
        link_timeout: settings.link_timeout,
        ordering_url: settings.ordering_public_url.unwrap_or(settings.source.ordering_url),
    });
    let pulling =
        puller.run(settings.pull_interval, settings.pull_wait, lifecycle.shutdown_token());
    lifecycle.spawn("pull loop", pulling);
    lifecycle.spawn("expiry loop", expiry.run(lifecycle.shutdown_token()));
    if let Some(dispatcher) = dispatcher {
        let workers = settings.dispatch.dispatch_workers.into();
        lifecycle.spawn("dispatch loop", dispatcher.run(workers, lifecycle.shutdown_token()));
    }
    lifecycle.serve("billing", listener, http::router(state, settings.api_token));
    Ok(())
}

/// Says in the log whether approved invoices are handed over, and where to.
fn announce(dispatch: &DispatchSettings) {
    if let Some(url) = &dispatch.dispatch_url {
        // Its origin only: the rest may hold credentials.
        tracing::info!(url = url.origin().ascii_serialization(), "dispatch on");
        return;
    }
    tracing::info!("dispatch off");
    if dispatch.dispatch_secret.is_some() {
        tracing::warn!(
            "--dispatch-secret (BILLING_DISPATCH_SECRET) signs nothing without --dispatch-url \
             (BILLING_DISPATCH_URL)"
        );
    }
}

/// Opens the database and brings its schema up to date.
pub(crate) async fn open(url: &DatabaseUrl) -> Result<Arc<dyn Store>, OpenError> {
    let opened = store::open(url).await;
    opened.map_err(|source| OpenError { url: url.clone(), source })
}
