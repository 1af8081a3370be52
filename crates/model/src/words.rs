//! How things are called in a story.

use crate::consumer::Consumer;
use crate::database::{Database, ORDERS, Row, Status};
use crate::network::{Body, Reply, Request, Token};
use crate::world::State;

/// The orders.
pub(crate) const NAMES: [&str; ORDERS] = ["A", "B", "C"];

pub(crate) fn writer(order: usize) -> String {
    format!("The writer of {}", NAMES[order])
}

pub(crate) fn requested(request: Request) -> String {
    match request {
        Request::Page(None) => "the page from the beginning".to_owned(),
        Request::Page(token) => format!("the page after {}", token_name(token)),
        Request::Order(order) => NAMES[order].to_owned(),
    }
}

pub(crate) fn token_name(token: Option<Token>) -> String {
    match token {
        None => "the beginning".to_owned(),
        Some(token) => format!("{}-{}", token.epoch, token.number),
    }
}

pub(crate) fn number_name(row: &Row) -> String {
    row.number.map_or("−1".to_owned(), |number| number.to_string())
}

pub(crate) fn stamps(given: &[Option<u8>]) -> Option<String> {
    let given = NAMES.iter().zip(given).filter_map(|(name, number)| Some((name, (*number)?)));
    let given: Vec<_> = given.map(|(name, number)| format!("{name} with {number}")).collect();
    (!given.is_empty()).then(|| given.join(", "))
}

pub(crate) fn contents(database: &Database, orders: usize) -> String {
    let row = |(name, row): (&&str, &Row)| match row.status {
        Status::Draft => format!("{name} is a draft"),
        Status::Confirmed => format!("{name} is v{} with number {}", row.version, number_name(row)),
        Status::Deleted => format!("{name} is deleted with number {}", number_name(row)),
    };
    NAMES.iter().zip(&database.rows).take(orders).map(row).collect::<Vec<_>>().join(" and ")
}

pub(crate) fn said(request: Request, reply: &Reply) -> String {
    let epoch = reply.epoch;
    match reply.body {
        Body::Page { rows, token } => {
            let rows = NAMES.iter().zip(&rows).filter_map(|(name, row)| Some((name, (*row)?)));
            let mut rows: Vec<_> = rows
                .map(|(name, row)| {
                    format!("{name} v{} (number {})", row.version, number_name(&row))
                })
                .collect();
            if rows.is_empty() {
                rows.push("nothing new".to_owned());
            }
            match token {
                Some(token) if request != Request::Page(token) => {
                    format!("{} with token {}", rows.join(", "), token_name(token))
                }
                _ => rows.join(", "),
            }
        }
        Body::Order(row) => {
            format!("v{} (number {}, epoch {epoch})", row.version, number_name(&row))
        }
        Body::NotFound => format!("404 (epoch {epoch})"),
        Body::Reset => format!("`feed-reset` (epoch {epoch})"),
        Body::UnknownFeed => format!("`feed-unknown` (epoch {epoch})"),
        Body::Stale => format!("`stale-provider` (epoch {epoch})"),
    }
}

/// What an answer did to billing.
pub(crate) fn effects(before: &Consumer, reply: &Reply, after: &Consumer) -> Vec<String> {
    let mut effects = Vec::new();
    if after.epoch != before.epoch {
        effects.push(format!("adopts epoch {}", after.epoch));
    }
    for ((was, is), name) in before.copies.iter().zip(&after.copies).zip(NAMES) {
        match is {
            Some(_) if was == is => {}
            Some(copy) if copy.missing_in.is_some() => {
                effects.push(format!("marks {name} as missing"));
            }
            Some(copy) => effects.push(format!("stores {name} v{}", copy.version)),
            None => {}
        }
    }
    if after.token != before.token {
        effects.push(format!("sets its token to {}", token_name(after.token)));
    }
    if after.stopped && !before.stopped {
        effects.push("stops".to_owned());
    }
    if effects.is_empty() {
        let dropped = reply.epoch < before.epoch;
        effects.push(if dropped { "drops it" } else { "changes nothing" }.to_owned());
    }
    effects
}

pub(crate) fn difference(end: &State, order: usize) -> String {
    let row = &end.provider.database.rows[order];
    let ours = match end.consumer.copies[order] {
        None => "not at all".to_owned(),
        Some(copy) if copy.missing_in.is_some() => "as missing".to_owned(),
        Some(copy) => {
            let other = copy.version == row.version && copy.content != row.content;
            format!("as v{}{}", copy.version, if other { " with other content" } else { "" })
        }
    };
    let theirs = match row.status {
        Status::Draft => "a draft in ordering".to_owned(),
        Status::Confirmed => format!("v{} in ordering", row.version),
        Status::Deleted => format!("v{} (deleted) in ordering", row.version),
    };
    format!("**{} ends as {theirs} and in billing {ours}**", NAMES[order])
}
