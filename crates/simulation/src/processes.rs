//! The services' processes: their own parts, put together as their `app` does, over gated stores.

use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use billing::pull::Puller;
use billing::pull::client::FeedClient;
use billing::settings::SourceSettings;
use kit::random::Random;
use ordering::http::{App, Head, LastStale, Limits, Line, router};
use ordering::sequencer::Sequencer;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use url::Url;

use crate::network::Network;
use crate::sim::Sim;
use crate::stores::{BillingStore, OrderingStore};

/// Long enough to never come within a run: what happens next is the scheduler's to say.
const NEVER: Duration = Duration::from_hours(24);
/// Orders a page: few, so that most drains take several pages.
const PAGE: i64 = 3;

/// Where ordering is, as billing is told.
static ORDERING: LazyLock<Url> =
    LazyLock::new(|| "http://ordering".parse().expect("this is an address"));
/// Asks nobody in a run; made once, because making it takes longer than a run's other parts.
static CLIENT: LazyLock<reqwest::Client> =
    LazyLock::new(|| reqwest::Client::builder().no_proxy().build().expect("TLS can be set up"));

/// Whether a process lives.
#[derive(Clone, Default)]
pub(crate) struct Life(CancellationToken);

impl Life {
    /// Does `work`; `None` when the process is killed meanwhile, wherever it was.
    pub(crate) async fn live<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.0.cancelled() => None,
            done = work => Some(done),
        }
    }

    pub(crate) fn kill(&self) {
        self.0.cancel();
    }
}

/// An answer of ordering, as it goes over the wire.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A process of ordering.
pub(crate) struct OrderingProcess {
    pub(crate) life: Life,
    pub(crate) sequencer: Sequencer,
    pub(crate) store: Arc<OrderingStore>,
    router: Router,
}

impl OrderingProcess {
    pub(crate) async fn start(
        sim: &Arc<Sim>,
        gated: impl FnOnce(Arc<dyn ordering::store::Store>) -> OrderingStore,
        url: &str,
    ) -> Arc<Self> {
        let random = Random::seeded(sim.dice.seed());
        let url = url.parse().expect("an address made here is one");
        let open = ordering::store::open(&url, &random, sim.time());
        let opened = sim.gates.busy(open).await.expect("the database can be opened");
        let store = Arc::new(gated(opened));
        let sequencer = Sequencer::new(store.clone(), sim.clock.clone(), NEVER);
        let state = Arc::new(App {
            store: store.clone(),
            feed: store.clone(),
            last_stale: LastStale::default(),
            limits: Limits { sequencer_silence: NEVER, unstamped_age: NEVER },
            clock: sim.clock.clone(),
            random,
            bell: sequencer.bell(),
            news: sequencer.news(),
            head: Head::default(),
            // Nobody stands in it: no pull here waits.
            line: Line::default(),
            heartbeat: sequencer.heartbeat(),
            sequencer_interval: NEVER,
            shutdown: CancellationToken::new(),
            billing_url: ORDERING.clone(),
            billing_probe_url: ORDERING.clone(),
            client: CLIENT.clone(),
        });
        let router = router(state, None);
        Arc::new(Self { life: Life::default(), sequencer, store, router })
    }

    /// Handles a request; `None` when the process is killed meanwhile.
    pub(crate) async fn handle(&self, request: Request<Body>) -> Option<Reply> {
        self.life
            .live(async {
                let Ok(response) = self.router.clone().oneshot(request).await;
                let (parts, body) = response.into_parts();
                let body = to_bytes(body, usize::MAX).await.expect("a body in memory is read");
                Reply { status: parts.status.as_u16(), headers: parts.headers, body: body.to_vec() }
            })
            .await
    }
}

/// A process of billing.
pub(crate) struct BillingProcess {
    pub(crate) life: Life,
    pub(crate) puller: Puller,
    pub(crate) store: Arc<BillingStore>,
}

impl BillingProcess {
    pub(crate) async fn start(
        sim: &Arc<Sim>,
        gated: impl FnOnce(Arc<dyn billing::store::Store>) -> BillingStore,
        url: &str,
        network: Network,
    ) -> Arc<Self> {
        let url = url.parse().expect("an address made here is one");
        let open = billing::store::open(&url);
        let opened = sim.gates.busy(open).await.expect("the database can be opened");
        let store = Arc::new(gated(opened));
        let source = SourceSettings {
            ordering_url: ORDERING.clone(),
            ordering_token: None,
            pull_limit: PAGE,
            pull_timeout: NEVER,
        };
        let client = FeedClient::over(network, &source);
        let random = Random::seeded(sim.dice.seed());
        let puller = Puller::new(store.clone(), client, sim.clock.clone(), random);
        Arc::new(Self { life: Life::default(), puller, store })
    }
}
