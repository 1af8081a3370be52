//! Puts the parts of the service together.

use std::sync::Arc;
use std::time::Duration;

use kit::clock::{SharedClock, SystemClock};
use kit::db::{DatabaseUrl, OpenError};
use kit::lifecycle::{BoxError, Lifecycle};
use kit::random::Random;
use kit::settings::ListenError;
use tokio::net::TcpListener;

use crate::http::{App, Head, LastStale, Limits, Line, front, hand_out};
use crate::sequencer::{Sequencer, warn_of_the_clock};
use crate::settings::{Command, ServeSettings};
use crate::store::{self, EpochReason, FeedReader, Store};
use crate::{import, listen, seed};

/// Runs a command of the program to its end; [`serve`] ends with a signal.
///
/// # Errors
/// Why it could not be done, for the person who started it.
pub async fn run(command: Command) -> Result<(), BoxError> {
    let clock: SharedClock = Arc::new(SystemClock);
    let random = Random::from_os();
    match command {
        Command::Serve(settings) => {
            let mut lifecycle = Lifecycle::new()?;
            let listener = listen(&settings).await?;
            serve(*settings, listener, &mut lifecycle, clock, random).await?;
            lifecycle.run().await?;
        }
        Command::Migrate(settings) => {
            open(&settings.database_url, &clock, &random).await?;
            println!("The schema of {} is up to date.", settings.database_url);
        }
        Command::NewEpoch(settings) => {
            settings.database_url.expect_data()?;
            let store = open(&settings.database_url, &clock, &random).await?;
            let before = store.identity().await?;
            let now = store.begin_epoch(before.epoch, EpochReason::ByHand, clock.now()).await?;
            println!("The feed {} has begun epoch {}.", now.feed_id, now.epoch);
            warn_of_the_clock(before.epoch, now.epoch);
        }
        Command::Seed { orders, database } => {
            let store = open(&database.database_url, &clock, &random).await?;
            println!("{}", seed::run(&*store, &*clock, &random, orders).await?);
        }
        Command::Import { file, rejected, database } => {
            let store = open(&database.database_url, &clock, &random).await?;
            let rejected = rejected.as_deref();
            println!("{}", import::run(&*store, &*clock, &random, &file, rejected).await?);
        }
    }
    Ok(())
}

/// Binds the address of the settings. Done before anything else: a service that may not listen, or a
/// second one on the same address, must not touch the database.
///
/// # Errors
/// When the address is not protected, taken, or not of this machine.
pub async fn listen(settings: &ServeSettings) -> Result<TcpListener, ListenError> {
    let token_setting = "--api-token (ORDERING_API_TOKEN)";
    kit::settings::bind(&settings.listen, settings.api_token.as_ref(), token_setting).await
}

/// Starts the service on `listener` as tasks of `lifecycle`; brings the schema up to date first.
///
/// # Errors
/// When the database cannot be opened.
pub async fn serve(
    settings: ServeSettings,
    listener: TcpListener,
    lifecycle: &mut Lifecycle,
    clock: SharedClock,
    random: Random,
) -> Result<(), BoxError> {
    // Before anything else, so that a wrong setting leaves everything as it is.
    let limits = limits(&settings)?;
    let store = open(&settings.database.database_url, &clock, &random).await?;
    let feed: Arc<dyn FeedReader> = match &settings.feed_database_url {
        Some(standby) => store::open_standby(standby),
        None => Arc::clone(&store) as _,
    };
    let interval = settings.sequencer_interval;
    let sequencer = Sequencer::new(Arc::clone(&store), Arc::clone(&clock), interval);
    // Before anything is served: a promoted standby or a restored copy begins its new epoch here.
    sequencer.tick().await?;
    let state = Arc::new(App {
        store,
        feed,
        last_stale: LastStale::default(),
        clock,
        random,
        bell: sequencer.bell(),
        news: sequencer.news(),
        head: Head::default(),
        line: Line::default(),
        heartbeat: sequencer.heartbeat(),
        sequencer_interval: interval,
        limits,
        shutdown: lifecycle.shutdown_token(),
        billing_probe_url: settings
            .billing_probe_url
            .unwrap_or_else(|| settings.billing_url.clone()),
        billing_url: settings.billing_url,
        client: probe_client()?,
    });
    if let DatabaseUrl::Postgres(options) = settings.database.database_url {
        let listening = listen::run(*options, sequencer.news(), lifecycle.shutdown_token());
        lifecycle.spawn("listener", listening);
    }
    lifecycle.spawn("sequencer", sequencer.run(lifecycle.shutdown_token()));
    let handing_out = hand_out(Arc::clone(&state));
    lifecycle.spawn("line of waiting requests", async {
        handing_out.await;
        Ok(())
    });
    lifecycle.serve_behind("ordering", listener, front(state, settings.api_token));
    Ok(())
}

/// How long something may take before the service is not ready.
fn limits(settings: &ServeSettings) -> Result<Limits, &'static str> {
    let interval = settings.sequencer_interval;
    let usual = (interval * 5).max(Duration::from_secs(10));
    let sequencer_silence = settings.max_sequencer_silence.unwrap_or(usual);
    if sequencer_silence <= interval {
        return Err("--max-sequencer-silence must be longer than --sequencer-interval");
    }
    Ok(Limits { sequencer_silence, unstamped_age: settings.max_unstamped_age })
}

/// Asks billing itself: no proxy of the environment, which may not know billing's name, and nobody
/// to whom an answer refers.
fn probe_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()
}

/// Opens the database and brings its schema up to date.
async fn open(
    url: &DatabaseUrl,
    clock: &SharedClock,
    random: &Random,
) -> Result<Arc<dyn Store>, OpenError> {
    let opened = store::open(url, random, clock.now()).await;
    opened.map_err(|source| OpenError { url: url.clone(), source })
}
