//! Approving an invoice.

use billing::invoice::InvoiceState;

use kit::clock::Clock;

use crate::world::{World, changed, order, removed, says};

/// The address and the hidden field of the page's form.
fn form(text: &str) -> (&str, String) {
    let between = |from: &str, to: &str| {
        let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from:?} in {text}"));
        rest.split_once(to).unwrap().0
    };
    let version = between(r#"name="version" value=""#, "\"");
    (between(r#"<form method="post" action=""#, "\""), format!("version={version}"))
}

#[tokio::test]
async fn an_approved_invoice_has_a_number() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    let page = world.get("/orders/1001/invoice").await;
    let (address, version) = form(page.text(200));
    let approved = world.post(address, &version).await;
    let page = world.get(approved.leads_to()).await;
    let text = page.text(200);
    says(text, &["The invoice is approved.", "Invoice 2026-000001", "1 May 2026", "data-print"]);
    assert!(!text.contains("/approve"), "{text}");

    // Pressed twice: nothing more happens.
    assert_eq!(world.post(address, &version).await.leads_to(), approved.leads_to());
    assert_eq!(world.invoice(1001).await.number.as_deref(), Some("2026-000001"));
}

#[tokio::test]
async fn an_invoice_that_changed_meanwhile_is_not_approved_unseen() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    let page = world.get("/orders/1001/invoice").await;
    let (address, version) = form(page.text(200));
    world.holds(changed(&order(1001))).await;
    let refused = world.post(address, &version).await;
    says(refused.text(412), &["Not approved", "has changed since", "423.50 EUR"]);
    assert_eq!(world.invoice(1001).await.state, InvoiceState::AwaitingApproval);

    // The page that was shown instead has a form for what it shows.
    let (address, version) = form(refused.text(412));
    world.post(address, &version).await.leads_to();
    assert_eq!(world.invoice(1001).await.state, InvoiceState::Approved);
}

#[tokio::test]
async fn who_comes_too_late_is_told_what_happened_instead() {
    let world = World::new().await;
    for number in [1001, 1002, 1003] {
        world.holds(order(number)).await;
    }
    let approve = async |number| {
        let invoice = world.invoice(number).await;
        // The page was opened before anything happened.
        world.post(&format!("/invoices/{}/approve", invoice.id), "version=1").await
    };
    world.holds(removed(&order(1001))).await;
    says(
        approve(1001).await.text(409),
        &[
            "Not approved: something else happened first.",
            "The invoice was withdrawn on 1 May 2026, 10:00 UTC because its order was deleted.",
        ],
    );
    approve(1002).await.leads_to();
    let credited = world.invoice(1002).await;
    world.holds(removed(&order(1002))).await;
    says(
        approve(1002).await.text(409),
        &["credited by C-2026-000001 on 1 May 2026, 10:00 UTC because its order was deleted."],
    );
    world.store.expire(world.clock.now(), 10, world.clock.now()).await.unwrap();
    says(
        approve(1003).await.text(409),
        &[
            "The invoice expired on 1 May 2026, 10:00 UTC: nobody had approved it in time.",
            "Expired",
        ],
    );
    assert_eq!(world.invoice(1002).await.number, credited.number);
    assert!(world.invoice(1001).await.number.or(world.invoice(1003).await.number).is_none());
}

#[tokio::test]
async fn a_change_after_the_approval_shows_both_invoices() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    let first = world.invoice(1001).await;
    world.post(&format!("/invoices/{}/approve", first.id), "version=1").await.leads_to();
    world.holds(changed(&order(1001))).await;
    let second = world.invoice(1001).await;

    let page = world.get("/orders/1001/invoice").await;
    says(page.text(200), &["no number yet", "423.50 EUR", "All invoices of order 1001"]);
    says(&page.body, &[&format!("/invoices/{}", first.id), "2026-000001", "C-2026-000001"]);
    let credited = world.get(&format!("/invoices/{}", first.id)).await;
    says(credited.text(200), &["credited by C-2026-000001 on 1 May 2026, 10:00 UTC because"]);
    says(&credited.body, &["because its order was changed; a new invoice, without a number yet"]);
    says(&credited.body, &["The invoice that replaces it", &format!("/invoices/{}", second.id)]);
}

#[tokio::test]
async fn a_form_from_elsewhere_is_refused() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    let invoice = world.invoice(1001).await;
    let address = format!("/invoices/{}/approve", invoice.id);
    world.post_from("cross-site", &address, "version=1").await.text(403);
    world.post_from("cross-site", "/sync/reset", "").await.text(403);
    assert_eq!(world.invoice(1001).await, invoice);
}

#[tokio::test]
async fn a_form_that_is_none_is_refused() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    let invoice = world.invoice(1001).await;
    let address = format!("/invoices/{}/approve", invoice.id);
    for form in ["", "version=x", "version=9223372036854775808"] {
        let refused = world.post(&address, form).await;
        assert!(refused.status.is_client_error(), "{refused:?}");
    }
    world.post("/invoices/%00/approve", "version=1").await.text(404);
    let unknown = "/invoices/0197b2c4-7d1e-7c3a-9b1f-2a54c8d0e911/approve";
    world.post(unknown, "version=1").await.text(404);
    assert_eq!(world.invoice(1001).await, invoice);
}
