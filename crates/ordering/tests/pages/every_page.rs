//! What holds for every page.

use axum::http::header::{CONTENT_SECURITY_POLICY, LOCATION};
use ordering::store::EpochReason;

use crate::world::{AT, BILLING, World};

/// Elements that have no content and no end.
const VOID: [&str; 7] = ["br", "col", "input", "img", "link", "meta", "!doctype"];

/// Follows every start and end tag of the page: each element ends where it should.
#[track_caller]
fn is_well_formed(address: &str, page: &str) {
    let mut open: Vec<String> = Vec::new();
    let mut ids = std::collections::BTreeSet::new();
    for tag in page.split('<').skip(1) {
        let (tag, _) =
            tag.split_once('>').unwrap_or_else(|| panic!("{address}: <{tag} has no end"));
        let name = tag.split_whitespace().next().unwrap_or_default().to_lowercase();
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "{address}: </{name}>");
        } else if !VOID.contains(&name.as_str()) {
            open.push(name);
        }
        if let Some((_, id)) = tag.split_once(" id=\"") {
            let id = id.split('"').next().unwrap();
            assert!(ids.insert(id.to_owned()), "{address}: two elements are called {id}");
        }
    }
    assert!(open.is_empty(), "{address}: {open:?}");
}

#[tokio::test]
async fn every_page_is_well_formed_and_runs_no_foreign_code() {
    let world = World::new().await;
    let evil = "<script>alert(1)</script>\"><img src=x onerror=alert(1)>";
    let customer = world.customer(evil).await;
    let draft = world.draft(&customer, evil).await.number;
    let confirmed = world.confirmed(&customer, "PO-77").await.number;
    let deleted = world.confirmed(&customer, "PO-78").await.number;
    world.delete(deleted).await;
    let search = format!("/orders?q={}", "%22%3E%3Cscript%3E");
    let pages = [
        ("/orders".to_owned(), 200),
        (search, 200),
        ("/orders?q=PO-77&state=confirmed".to_owned(), 200),
        (format!("/orders?customerId={}", customer.id), 200),
        ("/orders/new".to_owned(), 200),
        (format!("/orders/new?customer={}", customer.id), 200),
        (format!("/orders/{draft}"), 200),
        (format!("/orders/{confirmed}"), 200),
        (format!("/orders/{deleted}"), 200),
        (format!("/orders/{draft}/edit"), 200),
        (format!("/orders/{deleted}/edit"), 409),
        (format!("/orders/{confirmed}/delete"), 200),
        (format!("/orders/{confirmed}/billing-away"), 503),
        ("/customers".to_owned(), 200),
        ("/customers/new".to_owned(), 200),
        (format!("/customers/{}/edit", customer.id), 200),
        ("/status".to_owned(), 200),
        ("/problems/version-conflict".to_owned(), 200),
        ("/orders/999999".to_owned(), 404),
        ("/nowhere".to_owned(), 404),
    ];
    for (address, status) in pages {
        let page = world.get(&address).await;
        page.says(status, &["<!DOCTYPE html>", "<title>", "/assets/lockstep.css", "<h1>"]);
        for inline in ["<script>", "<img src=x", " style=", " onclick="] {
            assert!(!page.body.contains(inline), "{address}: {inline} in {}", page.body);
        }
        is_well_formed(&address, &page.body);
        let policy = page.header(CONTENT_SECURITY_POLICY);
        for rule in ["default-src 'none'", "script-src 'self';", "style-src 'self';"] {
            assert!(policy.contains(rule), "{address}: {policy}");
        }
    }
}

#[tokio::test]
async fn addresses_that_make_no_sense_have_a_page_that_says_so() {
    let world = World::new().await;
    for number in ["7", "-1", "seven", "99999999999999999999"] {
        for page in ["", "/edit", "/delete", "/billing-away"] {
            let answer = world.get(&format!("/orders/{number}{page}")).await;
            answer.says(404, &["There is no order with this number.", "not-found"]);
        }
    }
    for address in ["/customers/x/edit", "/customers/%00/edit"] {
        world.get(address).await.says(404, &["There is no such customer."]);
    }
    let odd = "/orders?q=%00&state=lost&customerId=%00&after=x";
    world.get(odd).await.says(200, &["There is no order yet"]);
    world.get("/customers?after=%00").await.text(200);
    world.get("/orders/new?customer=%00").await.text(200);
}

#[tokio::test]
async fn the_start_leads_to_the_orders_and_the_switch_to_billing() {
    let world = World::new().await;
    assert_eq!(world.get("/").await.leads_to(), "/orders");
    world.get("/orders").await.says(200, &["<a href=\"/billing\">Billing</a>"]);
    assert_eq!(world.get("/billing").await.header(LOCATION), BILLING);
}

#[tokio::test]
async fn forms_of_other_sites_are_refused() {
    let world = World::new().await;
    let customer = world.customer("Ada Yards").await;
    let number = world.draft(&customer, "PO-77").await.number;
    let addresses = [
        "/orders".to_owned(),
        format!("/orders/{number}/edit"),
        format!("/orders/{number}/confirm"),
        format!("/orders/{number}/delete"),
        "/customers".to_owned(),
        format!("/customers/{}/edit", customer.id),
    ];
    let before = world.orders().await;
    for address in addresses {
        let page = world.post_from("cross-site", &address, &[("version", "1")]).await;
        page.says(403, &["forbidden"]);
    }
    assert_eq!(world.orders().await, before);
}

#[tokio::test]
async fn the_feed_s_page_tells_what_waits_and_whether_the_sequencer_is_alive() {
    let world = World::new().await;
    let customer = world.customer("Ada Yards").await;
    world.confirmed(&customer, "PO-77").await;
    world.get("/status").await.says(200, &["Sequencer is late", "never"]);
    world.sequencer.tick().await.unwrap();
    let page = world.get("/status").await;
    page.says(200, &["Up to date", "0 s ago", "<dt>Last number</dt><dd>1</dd>"]);
}

#[tokio::test]
async fn the_feed_s_page_tells_the_epochs_and_who_knows_a_later_one() {
    let world = World::new().await;
    let first = world.store.identity().await.unwrap();
    let begun = world.store.begin_epoch(first.epoch, EpochReason::ByHand, AT).await.unwrap();
    let page = world.get("/status").await;
    let epochs = [first.epoch.to_string(), begun.epoch.to_string()];
    page.says(200, &[&epochs[0], &epochs[1], "The database was made.", "An operator said so."]);
    assert!(!page.body.contains("knows a later epoch"), "{page:?}");

    let later = format!("{}-{}-0", begun.feed_id, begun.epoch.0 + 1);
    world.get(&format!("/feed/v1/orders?after={later}")).await;
    world.get("/status").await.says(200, &["knows a later epoch", "ordering new-epoch"]);
}
