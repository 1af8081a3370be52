//! Requests that wait for something new.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use contract::feed::ContinuationToken;
use contract::problem::ProblemCode;
use ordering::store::{EpochReason, FeedAnswer, FeedReader};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::fixture::{Answer, App, Ask, on_both_databases, start};

on_both_databases!(
    a_confirm_wakes_who_waits,
    who_need_not_wait_does_not,
    many_who_wait_cost_one_read_a_page,
    whoever_waits_gets_the_same_answer_as_who_does_not,
    who_is_refused_is_told_whether_waiting_or_not,
);

/// No request of these cases may take so long: they wait for 60 s unless something wakes them.
const PROMPTLY: Duration = Duration::from_secs(20);

async fn a_confirm_wakes_who_waits(app: App) {
    let mut waiting = wait(&app);
    still_waits(&mut waiting).await;
    let order = app.confirmed().await;
    still_waits(&mut waiting).await;
    app.tick().await;
    assert_eq!(arrived(waiting).await, [order.number]);
}

async fn who_need_not_wait_does_not(app: App) {
    let order = app.confirmed().await;
    app.tick().await;
    assert_eq!(arrived(wait(&app)).await, [order.number]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_stamps_arrives_too() {
    let app = App::looking_every(Duration::from_millis(20)).await;
    let mut waiting = wait(&app);
    still_waits(&mut waiting).await;
    let order = app.confirmed().await;
    // Not through this process's sequencer: nobody tells of it.
    app.store.stamp(10, order.changed_at).await.unwrap();
    assert_eq!(arrived(waiting).await, [order.number]);
}

#[tokio::test(flavor = "multi_thread")]
async fn patience_ends() {
    let app = App::sqlite().await;
    let begin = app.get("/feed/v1/orders").await.page().continuation_token;
    let started = Instant::now();
    let page = app.get(&format!("/feed/v1/orders?after={begin}&wait=1")).await.page();
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!((page.orders.len(), page.continuation_token), (0, begin));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_less_patient_need_not_wait_for_the_others() {
    let app = App::sqlite().await;
    let mut waiting: Vec<_> = (0..100).map(|_| wait(&app)).collect();
    still_waits(&mut waiting[99]).await;
    let hasty = app.clone();
    let hasty = tokio::spawn(async move { hasty.get("/feed/v1/orders?wait=1").await });
    assert!(arrived(hasty).await.is_empty());
    let order = app.confirmed().await;
    app.tick().await;
    for waiting in waiting {
        assert_eq!(arrived(waiting).await, [order.number]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_wait() {
    let app = App::sqlite().await;
    let mut waiting = wait(&app);
    still_waits(&mut waiting).await;
    app.state.shutdown.cancel();
    assert!(arrived(waiting).await.is_empty());
}

/// The intervals of these never come: only what PostgreSQL tells wakes.
#[tokio::test(flavor = "multi_thread")]
async fn another_process_that_stamps_wakes_who_waits() {
    let app = App::postgres().await;
    let another = app.another().await;
    listening(&app).await;
    let mut waiting = wait(&another);
    still_waits(&mut waiting).await;
    let order = app.confirmed().await;
    still_waits(&mut waiting).await;
    app.tick().await;
    assert_eq!(arrived(waiting).await, [order.number]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_while_nobody_listens_is_not_missed() {
    let app = App::postgres().await;
    let another = app.another().await;
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity \
               where datname = current_database() and query like 'LISTEN%'";
    for _ in 0..3 {
        listening(&app).await;
        let end = app.get("/feed/v1/orders").await.page().continuation_token;
        let waiting = wait_after(&another, &end.to_string());
        let order = app.confirmed().await;
        let mut outsider = app.outsider().await;
        sqlx::query(cut).execute(&mut outsider).await.unwrap();
        app.tick().await;
        assert_eq!(arrived(waiting).await, [order.number]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_of_another_process_wakes_who_waits() {
    let app = App::postgres().await;
    let another = app.another().await;
    listening(&app).await;
    let mut waiting = wait_after(
        &another,
        &app.get("/feed/v1/orders").await.page().continuation_token.to_string(),
    );
    still_waits(&mut waiting).await;
    let identity = app.store.identity().await.unwrap();
    app.store.begin_epoch(identity.epoch, EpochReason::ByHand, start()).await.unwrap();
    let answer = timeout(PROMPTLY, waiting).await.expect("is answered promptly").unwrap();
    answer.problem(ProblemCode::FeedReset);
}

async fn whoever_waits_gets_the_same_answer_as_who_does_not(app: App) {
    app.confirmed().await;
    app.tick().await;
    let tag = app.get("/feed/v1/orders").await.etag().to_owned();
    for (name, value) in
        [("x-request-id", "r-1"), ("accept-encoding", "gzip"), ("if-none-match", &tag)]
    {
        let ask =
            |path: &str| app.send(Ask::get(path).header(name, value).header("x-request-id", "r-1"));
        let (usual, waited) = (ask("/feed/v1/orders").await, ask("/feed/v1/orders?wait=9").await);
        assert_eq!((usual.status, usual.body), (waited.status, waited.body), "{name}");
        // How long a body is says whoever sends it, when no layer has.
        let [usual, waited] = [usual.headers, waited.headers].map(|mut headers| {
            headers.remove(CONTENT_LENGTH);
            headers
        });
        assert_eq!(usual, waited, "{name}");
    }
    let ask = Ask::get("/feed/v1/orders?wait=9").header("if-none-match", &tag);
    assert_eq!(app.send(ask).await.status, StatusCode::NOT_MODIFIED);
}

async fn who_is_refused_is_told_whether_waiting_or_not(app: App) {
    app.get("/feed/v1/orders?wait=61").await.problem(ProblemCode::InvalidRequest);
    app.get("/feed/v1/orders?wait=9&after=x").await.problem(ProblemCode::InvalidRequest);
    let end = app.get("/feed/v1/orders").await.page().continuation_token;
    let other = ContinuationToken { feed_id: "other".parse().unwrap(), ..end.clone() };
    let path = format!("/feed/v1/orders?wait=9&after={other}");
    let problem = app.get(&path).await.problem(ProblemCode::FeedUnknown);
    assert_eq!(problem.feed.unwrap().feed_id, end.feed_id);
    let closed = app.with_token("secret");
    let ask = || Ask::get("/feed/v1/orders?wait=1");
    closed.send(ask()).await.problem(ProblemCode::Unauthorized);
    assert_eq!(closed.send(ask().token("secret")).await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_in_line_is_told_that_the_database_is_away() {
    let app = App::sqlite().await;
    let (app, reader) = watched(&app);
    let mut waiting: Vec<_> = (0..50).map(|_| wait(&app)).collect();
    still_waits(&mut waiting[49]).await;
    reader.is_away.store(true, Ordering::Relaxed);
    app.state.news.look();
    for waiting in waiting {
        let answer = timeout(PROMPTLY, waiting).await.expect("is answered promptly").unwrap();
        answer.problem(ProblemCode::Unavailable);
    }
}

/// On one thread, where nothing else happens while somebody is served: whatever is ready, as the next
/// stamp may be, must not wait until all are.
#[tokio::test]
async fn what_else_is_ready_gets_its_turn_while_many_are_served() {
    const MANY: usize = 200;
    let app = App::sqlite().await;
    let served = Arc::new(AtomicUsize::new(0));
    let mut waiting: Vec<_> = (0..MANY)
        .map(|_| {
            let (app, served) = (app.clone(), Arc::clone(&served));
            tokio::spawn(async move {
                let answer = app.get("/feed/v1/orders?wait=60").await;
                served.fetch_add(1, Ordering::Relaxed);
                answer
            })
        })
        .collect();
    still_waits(&mut waiting[MANY - 1]).await;
    app.confirmed().await;
    app.tick().await;
    let (mut before, mut most) = (0, 0);
    while before < MANY {
        tokio::task::yield_now().await;
        let now = served.load(Ordering::Relaxed);
        most = most.max(now - before);
        before = now;
    }
    assert!(most <= MANY / 4, "{most} were served at once");
}

/// Reads from a store as long as its database is not away, and counts.
pub(crate) struct Watched {
    feed: Arc<dyn FeedReader>,
    pub(crate) reads: AtomicUsize,
    pub(crate) is_away: AtomicBool,
    is_standby: AtomicBool,
}

#[async_trait::async_trait]
impl FeedReader for Watched {
    async fn feed_page(
        &self,
        token: Option<&ContinuationToken>,
        limit: i64,
        max_bytes: usize,
    ) -> kit::db::Result<FeedAnswer> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if self.is_away.load(Ordering::Relaxed) {
            return Err(kit::db::Error::Unavailable(sqlx::Error::PoolTimedOut));
        }
        self.feed.feed_page(token, limit, max_bytes).await
    }

    fn is_primary(&self) -> bool {
        !self.is_standby.load(Ordering::Relaxed)
    }
}

/// The same service, and what reads its pages.
pub(crate) fn watched(app: &App) -> (App, Arc<Watched>) {
    let reader = Arc::new(Watched {
        feed: app.state.feed.clone(),
        reads: AtomicUsize::default(),
        is_away: AtomicBool::default(),
        is_standby: AtomicBool::default(),
    });
    (app.reading(Arc::clone(&reader) as _), reader)
}

async fn many_who_wait_cost_one_read_a_page(app: App) {
    const MANY: usize = 200;
    let (app, reader) = watched(&app);
    let mut waiting: Vec<_> = (0..MANY).map(|_| wait(&app)).collect();
    still_waits(&mut waiting[MANY - 1]).await;
    assert_eq!(reader.reads.load(Ordering::Relaxed), 1, "that nothing is there");
    let order = app.confirmed().await;
    app.tick().await;
    for waiting in waiting {
        assert_eq!(arrived(waiting).await, [order.number]);
    }
    assert_eq!(reader.reads.load(Ordering::Relaxed), 2, "and the page");
    // Who does not wait has it read afresh.
    for reads in [3, 4] {
        assert_eq!(app.get("/feed/v1/orders").await.page().orders.len(), 1);
        assert_eq!(reader.reads.load(Ordering::Relaxed), reads);
    }
}

/// A watched service with an order in its feed, and the token behind it.
async fn at_the_end() -> (App, Arc<Watched>, ContinuationToken) {
    let app = App::postgres().await;
    app.confirmed().await;
    app.tick().await;
    let end = app.get("/feed/v1/orders").await.page().continuation_token;
    let (app, reader) = watched(&app);
    (app, reader, end)
}

/// The sequencer has told it to all who wait at the end.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_just_stamped_is_not_read() {
    let (app, reader, end) = at_the_end().await;
    let reads = || reader.reads.load(Ordering::Relaxed);
    let mut waiting: Vec<_> = ["", "", "&limit=2", "&limit=1"]
        .map(|limit| wait_after(&app, &format!("{end}{limit}")))
        .into();
    for waiting in &mut waiting {
        still_waits(waiting).await;
    }
    let looked = reads();
    let numbers = [app.confirmed().await.number, app.confirmed().await.number];
    app.tick().await;
    assert_eq!(arrived(waiting.pop().unwrap()).await, [numbers[0]], "no more than it wants");
    for waiting in waiting {
        assert_eq!(arrived(waiting).await, numbers);
    }
    assert_eq!(reads(), looked + 1, "for the one that wants less");

    // Who comes later, when anything may have happened, has it read.
    app.state.news.look();
    assert_eq!(arrived(wait_after(&app, &end.to_string())).await, numbers);
    assert_eq!(reads(), looked + 2);
}

/// It may not be there yet, and then the next page would not be there either.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_just_stamped_is_read_from_a_standby() {
    let (app, reader, end) = at_the_end().await;
    reader.is_standby.store(true, Ordering::Relaxed);
    let mut waiting = wait_after(&app, &end.to_string());
    still_waits(&mut waiting).await;
    let looked = reader.reads.load(Ordering::Relaxed);
    let number = app.confirmed().await.number;
    app.tick().await;
    assert_eq!(arrived(waiting).await, [number]);
    assert_eq!(reader.reads.load(Ordering::Relaxed), looked + 1);
}

/// A page that others follow is not kept: those who wait for it share it while it is read.
#[tokio::test(flavor = "multi_thread")]
async fn many_who_wait_share_a_page_that_is_not_kept() {
    const MANY: usize = 100;
    let app = App::sqlite().await;
    let begin = app.get("/feed/v1/orders").await.page().continuation_token;
    let (app, reader) = watched(&app);
    let path = format!("{begin}&limit=1");
    let mut waiting: Vec<_> = (0..MANY).map(|_| wait_after(&app, &path)).collect();
    still_waits(&mut waiting[MANY - 1]).await;
    let first = app.confirmed().await;
    app.confirmed().await;
    app.tick().await;
    for waiting in waiting {
        assert_eq!(arrived(waiting).await, [first.number]);
    }
    let reads = reader.reads.load(Ordering::Relaxed);
    assert!(reads < MANY / 2, "{reads} reads for {MANY} who wait");
}

/// Whoever said a limit is told it again, were it the one that counts without.
#[tokio::test(flavor = "multi_thread")]
async fn each_who_waits_is_told_of_a_next_page_of_its_own() {
    let app = App::sqlite().await;
    let begin = app.get("/feed/v1/orders").await.page().continuation_token;
    let limits = ["", "&limit=1000", "&limit=7"];
    let mut waiting = limits.map(|limit| wait_after(&app, &format!("{begin}{limit}")));
    still_waits(&mut waiting[2]).await;
    app.confirmed().await;
    app.tick().await;
    for (limit, waiting) in limits.into_iter().zip(waiting) {
        let answer = timeout(PROMPTLY, waiting).await.expect("is answered promptly").unwrap();
        let token = answer.page().continuation_token;
        let next = format!("</feed/v1/orders?after={token}{limit}>; rel=\"next\"");
        assert_eq!(answer.header("link"), next);
    }
}

/// Waits until another process listens on the app's database.
async fn listening(app: &App) {
    let mut outsider = app.outsider().await;
    let ask = "select count(*) from pg_stat_activity \
               where datname = current_database() and state = 'idle' and query like 'LISTEN%'";
    testkit::wait::until("somebody listens", PROMPTLY, async || {
        sqlx::query_scalar::<_, i64>(ask).fetch_one(&mut outsider).await.unwrap() > 0
    })
    .await;
}

fn wait_after(app: &App, token: &str) -> JoinHandle<Answer> {
    let (app, path) = (app.clone(), format!("/feed/v1/orders?wait=60&after={token}"));
    tokio::spawn(async move { app.get(&path).await })
}

fn wait(app: &App) -> JoinHandle<Answer> {
    let app = Arc::new(app.clone());
    tokio::spawn(async move { app.get("/feed/v1/orders?wait=60").await })
}

async fn still_waits(waiting: &mut JoinHandle<Answer>) {
    let answer = timeout(Duration::from_millis(150), waiting).await;
    assert!(answer.is_err(), "nothing is new, and yet: {answer:?}");
}

async fn arrived(waiting: JoinHandle<Answer>) -> Vec<i64> {
    let answer = timeout(PROMPTLY, waiting).await.expect("is answered promptly").unwrap();
    answer.page().orders.iter().map(|order| order.number).collect()
}
