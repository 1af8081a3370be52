//! Many writers on one order: nobody's change is overwritten unseen.

use std::sync::Arc;

use axum::http::StatusCode;
use contract::order::Order;
use contract::problem::ProblemCode;
use serde_json::json;
use tokio::sync::Barrier;

use crate::fixture::{App, Ask, bolts, on_both_databases};

on_both_databases!(two_hundred_writers_overwrite_nobody_unseen);

const WRITERS: usize = 200;

/// Everybody adds a word to the note, again and again until it is accepted: a change that was
/// overwritten unseen would lack its word in the end.
async fn two_hundred_writers_overwrite_nobody_unseen(app: App) {
    let order = app.confirmed().await;
    let barrier = Arc::new(Barrier::new(WRITERS));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(app.clone(), order.clone(), writer, barrier.clone())))
        .collect();
    let mut accepted = Vec::new();
    let mut refused = 0;
    for writer in writers {
        let (version, conflicts) = writer.await.unwrap();
        accepted.push(version);
        refused += conflicts;
    }
    accepted.sort_unstable();
    let first = order.version + 1;
    let expected: Vec<_> = (first..).take(WRITERS).collect();
    assert_eq!(accepted, expected, "each version was made by one writer");
    // All saw the same version first, and one of them was accepted.
    assert!(refused >= WRITERS - 1, "{refused} conflicts: they did not meet");

    let now = app.get(&format!("/api/v1/orders/{}", order.number)).await.order();
    let note = now.note.unwrap();
    let mut words: Vec<usize> = note.split(' ').map(|word| word.parse().unwrap()).collect();
    words.sort_unstable();
    assert_eq!(words, (0..WRITERS).collect::<Vec<_>>(), "every change is still there");
    let history = app.store.history(order.number).await.unwrap();
    let versions: Vec<_> = history.iter().map(|entry| entry.version).collect();
    assert_eq!(versions, (1..=now.version).collect::<Vec<_>>(), "and visible in the history");
}

/// The version that this writer made, and how often it was refused before.
async fn write(app: App, order: Order, writer: usize, barrier: Arc<Barrier>) -> (i64, usize) {
    let path = format!("/api/v1/orders/{}", order.number);
    let mut seen = order;
    barrier.wait().await;
    for conflicts in 0.. {
        let mut content = bolts(&seen.customer.id);
        let note = seen.note.as_deref().map_or_else(String::new, |note| format!("{note} "));
        content["note"] = json!(format!("{note}{writer}"));
        let answer = app.send(Ask::put(&path).version(seen.version).json(&content)).await;
        if answer.status == StatusCode::OK {
            return (answer.order().version, conflicts);
        }
        let current = answer.problem(ProblemCode::VersionConflict).current_version;
        assert!(current > Some(seen.version));
        seen = app.get(&path).await.order();
    }
    unreachable!("some writer is accepted in every round")
}
