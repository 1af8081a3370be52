//! Orders as one document a line, each the body of `PUT /nested/orders`.
//!
//! Each line is one transaction, under an idempotency key of its own: the same line of the same
//! file again changes nothing, so that a file can be imported again after a failure.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use contract::problem::{Problem, Violation};
use csv::ByteRecord;
use kit::db;
use sha2::{Digest, Sha256};

use super::rejected::RejectedRows;
use super::{BYTE_ORDER_MARK, ImportError, Report, Tools, progress_bar};
use crate::document;
use crate::nested::{self, Nested};
use crate::scope::Outcome;
use crate::store::IdempotencyKey;

/// The columns of rejected lines.
const COLUMNS: [&str; 2] = ["Line", "Document"];

/// Imports an NDJSON file.
pub(super) async fn run(
    tools: Tools<'_>,
    file: &Path,
    rejected: Option<&Path>,
) -> Result<Report, ImportError> {
    let unreadable = |error: std::io::Error| ImportError::Read(file.to_owned(), error.into());
    let mut report = Report::default();
    let mut rejects = RejectedRows::create(file, rejected, &COLUMNS)?;
    // How often each line came so far, by its digest: a file may order the same thing twice.
    let mut seen = HashMap::<String, u64>::new();
    let open = || File::open(file).map(BufReader::new).map_err(unreadable);
    let bar = progress_bar(open()?.split(b'\n').count() as u64);
    for (number, line) in (1..).zip(open()?.split(b'\n')) {
        bar.inc(1);
        let line = line.map_err(unreadable)?;
        let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line).trim_ascii();
        if line.is_empty() {
            continue;
        }
        let digest = format!("{:x}", Sha256::digest(line));
        let times = seen.entry(digest.clone()).or_default();
        *times += 1;
        match take(tools, line, key(digest, *times)).await? {
            Taken::New { lines } => {
                report.new += 1;
                report.lines += lines;
            }
            Taken::Known { lines } => {
                report.known += 1;
                report.lines += lines;
            }
            Taken::Rejected(reasons) => {
                let rejected = ByteRecord::from(vec![number.to_string().as_bytes(), line]);
                rejects.write(&rejected, &reasons.join("; "))?;
                *report.rejected.entry(reasons[0].clone()).or_default() += 1;
            }
        }
    }
    bar.finish_and_clear();
    report.rejected_file = rejects.finish()?;
    Ok(report)
}

/// What became of a line.
enum Taken {
    New {
        lines: u64,
    },
    Known {
        lines: u64,
    },
    /// Everything that is wrong with it; at least one thing.
    Rejected(Vec<String>),
}

async fn take(tools: Tools<'_>, line: &[u8], key: IdempotencyKey) -> db::Result<Taken> {
    let Tools { store, clock, random } = tools;
    let value = match serde_json::from_slice(line) {
        Ok(value) => value,
        Err(error) => return Ok(Taken::Rejected(vec![format!("is not JSON: {error}")])),
    };
    let now = clock.now();
    let (nested, mut violations) = Nested::read(&value);
    let scope = nested.scope(random.uuid(now));
    document::complete(&mut violations, &scope, nested::violation, store, now).await?;
    if !violations.is_empty() {
        return Ok(Taken::Rejected(violations.into_vec().iter().map(reason).collect()));
    }
    let lines = |orders: &[contract::order::Order]| {
        orders.iter().map(|order| order.lines.len() as u64).sum()
    };
    Ok(match store.commit(&scope, Some(&key), now).await? {
        Outcome::Done(committed) => Taken::New { lines: lines(&committed.orders) },
        Outcome::Repeated(committed) => Taken::Known { lines: lines(&committed.orders) },
        Outcome::Refused(refused) => Taken::Rejected(reasons(&nested::problem(&refused))),
        Outcome::KeyReused => {
            Taken::Rejected(vec!["was given as an idempotency key by another request".to_owned()])
        }
    })
}

fn reasons(problem: &Problem) -> Vec<String> {
    if problem.errors.is_empty() {
        return vec![problem.detail.clone()];
    }
    problem.errors.iter().map(reason).collect()
}

/// `/order/currency must be an ISO 4217 code such as EUR`
fn reason(violation: &Violation) -> String {
    format!("{} {}", violation.pointer, violation.detail).trim_start().to_owned()
}

/// The key of a line that comes for the `times`th time in its file.
fn key(digest: String, times: u64) -> IdempotencyKey {
    IdempotencyKey { key: format!("import-{digest}-{times}"), fingerprint: digest }
}
