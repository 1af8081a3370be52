//! What the pair costs while nothing happens.

use std::time::{Duration, Instant};

use testkit::postgres::Server;
use tokio::time::sleep;

use crate::cli::Idle;
use crate::database::Database;
use crate::process::Family;
use crate::report::{Figure, Section, Target};
use crate::servers::{self, Servers};
use crate::services::{self, Pair};
use crate::{Result, catch_up, orders};

/// Orders that are there, and read.
const ORDERS: u32 = 10_000;
/// Until the start is over and forgotten.
const SETTLE: Duration = Duration::from_secs(5);
/// One look of the sequencer, and one of all that wait, every second, one more for the metrics every
/// 15 s; and what the edges of the time that is looked at may add.
const PER_SEQUENCER_INTERVAL: f64 = 1.05 * (1.0 + 1.0 / 15.0);
/// Billing reads its state with each waiting request, which ends after 25 s, and four times in a pull,
/// every minute; and the edges.
const PER_BILLING_INTERVAL: f64 = 1.2 * (1.0 / 25.0 + 4.0 / 60.0);

/// Processor time and statements of the pair.
pub(crate) async fn measure(settings: Idle) -> Result<Section> {
    let servers = Servers::start_counting_statements().await?;
    let pair = Pair::on(&servers, "").await?;
    pair.migrate().await?;
    orders::seed(&pair.ordering_url, ORDERS).await?;
    let through = i64::from(ORDERS);
    let (ordering, _) = orders::stamp(&pair.ordering(), &pair.ordering_url, through).await?;
    let program = services::waiting(pair.billing(&ordering));
    let (billing, _) = catch_up::catch_up(&program, &pair.billing_url, through).await?;
    servers.settle().await?;
    sleep(SETTLE).await;

    let processes = [
        ("ordering", Family(ordering.pid())),
        ("billing", Family(billing.pid())),
        ("ordering's PostgreSQL", Family::of_server(&servers.source)?),
        ("billing's PostgreSQL", Family::of_server(&servers.copy)?),
    ];
    let counted = [
        ("ordering", Counter::of(&servers.source, "ordering", servers.counts_statements).await?),
        ("billing", Counter::of(&servers.copy, "billing", servers.counts_statements).await?),
    ];
    servers.begin_counting().await?;
    let started = Instant::now();
    let before: Vec<_> = processes.iter().map(|(_, family)| family.cpu_seconds()).collect();
    sleep(Duration::from_secs(settings.seconds.into())).await;
    let seconds = started.elapsed().as_secs_f64();

    let title = format!("Idle pair, {} s", settings.seconds);
    let mut section = Section::new("idle", title);
    section.postgres = Some(servers::version(&servers.source).await?);
    for ((name, family), before) in processes.iter().zip(before) {
        let percent = (family.cpu_seconds()? - before?) / seconds * 100.0;
        section.figures.push(Figure::of("processor time", name, "% of a core", vec![percent]));
        if ["ordering", "billing"].contains(name) {
            section.hold(
                format!("processor time of {name}, %"),
                percent,
                Some(Target::AtMost(1.0)),
            );
        }
    }
    for ((name, counter), most) in
        counted.into_iter().zip([PER_SEQUENCER_INTERVAL, PER_BILLING_INTERVAL])
    {
        tell(&mut section, name, counter.since_then(seconds).await?, most);
    }
    Ok(section)
}

/// The statements of one service, and the most frequent one that asks or writes something.
fn tell(section: &mut Section, name: &str, statements: Vec<(String, f64)>, most: f64) {
    let asks = |text: &str| {
        let first = text.split_whitespace().next().unwrap_or_default().to_lowercase();
        !["begin", "commit", "rollback", "set"].contains(&first.as_str())
    };
    let often = statements.iter().filter(|(text, _)| asks(text)).map(|(_, rate)| *rate);
    let often = often.fold(0.0, f64::max);
    section.hold(
        format!("most frequent statement of {name}, per second"),
        often,
        Some(Target::AtMost(most)),
    );
    for (text, rate) in statements {
        let short: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let short: String = short.chars().filter(|c| *c != '|').take(80).collect();
        section.figures.push(Figure::of(
            &format!("{name}: `{short}`"),
            "lockstep",
            "per second",
            vec![rate],
        ));
    }
}

/// Counts a database's statements from one moment to another.
enum Counter {
    /// By `pg_stat_statements`, which began anew at that moment.
    Statements(Database, &'static str),
    /// Only transactions, of which there were so many before.
    Transactions(Database, &'static str, i64),
}

impl Counter {
    async fn of(server: &Server, database: &'static str, by_statement: bool) -> Result<Self> {
        let mut admin = servers::admin(server).await?;
        if by_statement {
            return Ok(Self::Statements(admin, database));
        }
        let before = admin.number(&transactions(database)).await?;
        Ok(Self::Transactions(admin, database, before))
    }

    /// Each statement and how often a second it was executed, the most frequent first.
    async fn since_then(self, seconds: f64) -> Result<Vec<(String, f64)>> {
        let per_second = |calls: i64| crate::statistics::rate(calls, seconds);
        match self {
            Self::Statements(mut admin, database) => {
                let sql = format!(
                    "select calls || ' ' || query from pg_stat_statements s \
                     join pg_database d on d.oid = s.dbid where datname = '{database}' \
                     order by calls desc, query"
                );
                let called = admin.texts(&sql).await?;
                let split = called.iter().filter_map(|row| row.split_once(' '));
                split
                    .map(|(calls, text)| Ok((text.to_owned(), per_second(calls.parse()?))))
                    .collect()
            }
            Self::Transactions(mut admin, database, before) => {
                let count = admin.number(&transactions(database)).await? - before;
                let what = "(transactions; pg_stat_statements is not installed)".to_owned();
                Ok(vec![(what, per_second(count))])
            }
        }
    }
}

fn transactions(database: &str) -> String {
    format!("select xact_commit + xact_rollback from pg_stat_database where datname = '{database}'")
}
