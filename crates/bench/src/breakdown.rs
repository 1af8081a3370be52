//! Where a microsecond of the catch-up goes: its steps one by one, over the same pages.

use std::time::Instant;

use billing::pull::{Page, answer};
use billing::store::Applied;
use billing::upstream::Answer;
use contract::feed::ContinuationToken;
use kit::clock::{Clock, SystemClock};
use kit::random::Random;
use ordering::store::FeedAnswer;
use reqwest::header::HeaderMap;
use testkit::postgres::Server;

use crate::cli::Breakdown;
use crate::database::Database;
use crate::report::{Figure, Section};
use crate::servers::{self, Servers};
use crate::services::Pair;
use crate::{Result, orders, replication, verify};

const WHO: &str = "lockstep";
const UNIT: &str = "µs per order";
const LIMIT: i64 = 1_000;
const MAX_BYTES: usize = contract::feed::MAX_PAGE_BYTES;

/// What each step takes, and the ceiling.
pub(crate) async fn measure(settings: Breakdown) -> Result<Section> {
    let servers = Servers::start_counting_statements().await?;
    let pair = Pair::on(&servers, "").await?;
    pair.migrate().await?;
    orders::seed(&pair.ordering_url, settings.orders).await?;
    let count = i64::from(settings.orders);
    let (ordering, _) = orders::stamp(&pair.ordering(), &pair.ordering_url, count).await?;
    servers.settle().await?;

    let title = format!("Where the time of a catch-up of {count} orders goes, step by step");
    let mut section = Section::new("breakdown", title);
    section.postgres = Some(servers::version(&servers.source).await?);
    #[expect(clippy::cast_precision_loss, reason = "counts of orders are small")]
    let mut tell = |what: &str, seconds: f64| {
        let micros = seconds * 1e6 / count as f64;
        section.figures.push(Figure::of(what, WHO, UNIT, vec![micros]));
    };

    servers.begin_counting().await?;
    tell("make the pages, in process: read, serialise", make(&pair.ordering_url).await?);
    for (what, seconds) in
        statements(&servers.source, "ordering", servers.counts_statements).await?
    {
        tell(&format!("pages: statements on {what}"), seconds);
    }
    let (bodies, fetching) = fetch(&ordering.url()).await?;
    tell("fetch them over HTTP: read, serialise, transfer", fetching);
    let (pages, parsing) = parse(bodies)?;
    tell("parse and check, write what a copy keeps", parsing);
    servers.begin_counting().await?;
    let applying = apply(&pair.billing_url, pages).await?;
    tell("apply: orders, invoices and token, committed", applying);
    for (what, seconds) in statements(&servers.copy, "billing", servers.counts_statements).await? {
        tell(&format!("apply: statements on {what}"), seconds);
    }
    let copying = ceiling(&servers, &pair.ordering_url).await?;
    tell("the ceiling: binary COPY of orders and lines from server to server", copying);
    Ok(section)
}

/// Seconds of making all pages as the service does, but for the transfer.
async fn make(ordering_url: &str) -> Result<f64> {
    let store = orders::store(ordering_url).await?;
    let (mut seconds, mut token) = (0.0, None);
    loop {
        let started = Instant::now();
        let answer = store.feed_page(token.as_ref(), LIMIT, MAX_BYTES).await?;
        seconds += started.elapsed().as_secs_f64();
        let FeedAnswer::Page(page) = answer else { return Err("the feed refuses".into()) };
        if !page.has_more {
            return Ok(seconds);
        }
        token = Some(page.continuation_token);
    }
}

/// A page as it came, behind the token that it was asked with.
type Body = (Option<ContinuationToken>, Vec<u8>);

/// All pages over HTTP as billing asks for them, and the seconds that this took.
async fn fetch(ordering: &str) -> Result<(Vec<Body>, f64)> {
    /// Only how to go on.
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct End {
        continuation_token: ContinuationToken,
        has_more: bool,
    }
    let client = reqwest::Client::builder().no_proxy().no_gzip().tls_certs_only([]).build()?;
    let (mut bodies, mut seconds, mut token) = (Vec::new(), 0.0, None::<ContinuationToken>);
    loop {
        let after = token.as_ref().map(|token| format!("&after={token}")).unwrap_or_default();
        let started = Instant::now();
        let request = client.get(format!("{ordering}/feed/v1/orders?limit={LIMIT}{after}"));
        let body = request.send().await?.error_for_status()?.bytes().await?.to_vec();
        seconds += started.elapsed().as_secs_f64();
        let end: End = serde_json::from_slice(&body)?;
        bodies.push((token, body));
        if !end.has_more {
            return Ok((bodies, seconds));
        }
        token = Some(end.continuation_token);
    }
}

/// A page, behind the token that it was asked with.
type Asked = (Option<ContinuationToken>, Page);

/// The pages, read by billing's own code, and the seconds that this took.
fn parse(bodies: Vec<Body>) -> Result<(Vec<Asked>, f64)> {
    let (mut pages, mut seconds) = (Vec::new(), 0.0);
    for (sent, body) in bodies {
        let answer = Answer::new("Ordering", 200, HeaderMap::new(), body, SystemClock.now());
        let started = Instant::now();
        let page = answer::page(&answer, sent.as_ref())?;
        seconds += started.elapsed().as_secs_f64();
        pages.push((sent, page));
    }
    Ok((pages, seconds))
}

/// Seconds of taking the pages in.
async fn apply(billing_url: &str, pages: Vec<Asked>) -> Result<f64> {
    let store = billing::store::open(&billing_url.parse()?).await?;
    let random = Random::from_os();
    let mut seconds = 0.0;
    for (from, page) in pages {
        let received = page.received(from);
        let started = Instant::now();
        let applied = store.apply(&received, &random, SystemClock.now()).await?;
        seconds += started.elapsed().as_secs_f64();
        verify(matches!(applied, Applied::Done(_)), || format!("a page came to {applied:?}"))?;
    }
    Ok(seconds)
}

/// What a server says the statements of one database took, by what they are about, in seconds;
/// nothing when it does not count them. Sending rows and committing comes on top.
async fn statements(server: &Server, of: &str, counts: bool) -> Result<Vec<(String, f64)>> {
    if !counts {
        return Ok(Vec::new());
    }
    let micros = format!(
        "select what || '=' || round(sum(total_exec_time) * 1000)::bigint from (\
           select total_exec_time, case when query ~* 'invoices' then 'invoices' \
             when query ~* 'lines' then 'lines' when query ~* 'orders' then 'orders' \
             else 'the rest' end as what \
           from pg_stat_statements s join pg_database d on d.oid = s.dbid \
           where datname = '{of}') as statement \
         group by what order by what"
    );
    let mut parts = Vec::new();
    for row in servers::admin(server).await?.texts(&micros).await? {
        let (what, micros) = row.split_once('=').ok_or("a row without a value")?;
        parts.push((what.to_owned(), micros.parse::<f64>()? / 1e6));
    }
    Ok(parts)
}

/// Seconds of copying both tables to the other server, into tables with primary keys only.
async fn ceiling(servers: &Servers, ordering_url: &str) -> Result<f64> {
    let subscriber = replication::empty_tables(ordering_url, &servers.copy, "ceiling").await?;
    servers.settle().await?;
    let started = Instant::now();
    for (table, _) in replication::TABLES {
        replication::copy(ordering_url, table, &subscriber, table).await?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let count = "select count(*) from orders";
    let expected = Database::connect(ordering_url).await?.number(count).await?;
    Database::connect(&subscriber).await?.expect(expected, count).await?;
    Ok(seconds)
}
