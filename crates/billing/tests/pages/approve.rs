//! Approving an invoice.

use billing::invoice::InvoiceState;
use kit::clock::Clock;

use crate::world::{World, changed, order, removed, says};

/// The address of the page's form, and what a browser sends to it.
fn form(text: &str) -> (&str, String) {
    let form = between(text, r#"<form method="post" action=""#, "</form>");
    let mut fields = url::form_urlencoded::Serializer::new(String::new());
    for field in form.split(r#"<input type="hidden""#).skip(1) {
        let value = between(field, r#"value=""#, "\"");
        fields.append_pair(between(field, r#"name=""#, "\""), &unescaped(value));
    }
    (form.split_once('"').unwrap().0, fields.finish())
}

/// What lies between the first `from` and the next `to`.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from:?} in {text}"));
    rest.split_once(to).unwrap().0
}

/// The text of an attribute.
fn unescaped(value: &str) -> String {
    let escapes = [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")];
    escapes.iter().fold(value.to_owned(), |text, (code, sign)| text.replace(code, sign))
}

/// A row of the page that shows both sides: what differs is marked.
fn differs(label: &str, yours: &str, now: &str) -> String {
    format!(
        "<tr class=\"differs\">\n              \
         <th scope=\"row\">{label} <span class=\"badge changed\">differs</span></th>\n              \
         <td data-label=\"You saw\">{yours}</td>\n              \
         <td data-label=\"Now\">{now}</td>"
    )
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
async fn an_invoice_that_changed_meanwhile_is_shown_beside_what_was_seen() {
    let world = World::new().await;
    let mut first = order(1001);
    first.customer.name = "Ada \"&\" <Yards>".into();
    world.holds(first.clone()).await;
    let page = world.get("/orders/1001/invoice").await;
    let (address, seen) = form(page.text(200));
    let mut second = changed(&first);
    second.customer.address = None;
    world.holds(second).await;

    let refused = world.post(address, &seen).await;
    let text = refused.text(412);
    says(text, &["Not approved: the invoice has changed", "has changed since you opened it"]);
    says(text, &[&differs("Total", "16.94 EUR", "423.50 EUR")]);
    says(text, &[&differs("Order version", "1", "2")]);
    let line = |quantity| format!("{quantity} × BOLT-8, Bolt M8, at 0.35, 21 % tax");
    says(text, &[&differs("Line 1", &line("40"), &line("1,000"))]);
    let none = r#"<span class="muted">none</span>"#;
    says(text, &[&differs("Address", "1 Quay St, 1011 Delft, Japan", none)]);
    // What is the same is not marked.
    says(text, &[r#"<th scope="row">Customer</th>"#, "Ada &#34;&#38;&#34; &#60;Yards&#62;"]);
    assert_eq!(text.matches(r#"<tr class="differs">"#).count(), 6, "{text}");
    assert_eq!(world.invoice(1001).await.state, InvoiceState::AwaitingApproval);

    // One can leave it, or go on from how it is now.
    let invoice = world.invoice(1001).await;
    says(text, &["Leave it as it is", &format!("href=\"/invoices/{}\"", invoice.id)]);
    let (address, seen) = form(text);
    world.post(address, &seen).await.leads_to();
    let approved = world.invoice(1001).await;
    assert_eq!((approved.state, approved.order_version), (InvoiceState::Approved, 2));
}

#[tokio::test]
async fn an_approval_of_another_version_shows_what_was_approved_instead() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    let (address, seen) = {
        let page = world.get("/orders/1001/invoice").await;
        let (address, seen) = form(page.text(200));
        (address.to_owned(), seen)
    };
    world.holds(changed(&order(1001))).await;
    let page = world.get("/orders/1001/invoice").await;
    let (_, seen_by_another) = form(page.text(200));
    world.post(&address, &seen_by_another).await.leads_to();

    let refused = world.post(&address, &seen).await;
    says(refused.text(412), &["was approved as it is now, as 2026-000001", "To the invoice"]);
    says(&refused.body, &[&differs("Total", "16.94 EUR", "423.50 EUR")]);
    assert!(!refused.body.contains("/approve"), "{}", refused.body);
}

#[tokio::test]
async fn what_a_form_claims_to_have_seen_is_only_shown() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    let invoice = world.invoice(1001).await;
    let address = format!("/invoices/{}/approve", invoice.id);
    let claim = "seen.Total=%3Cscript%3Ealert(1)%3C%2Fscript%3E&seen.Nothing=x";
    let refused = world.post(&address, &format!("version=7&{claim}")).await;
    says(
        refused.text(412),
        &[&differs("Total", "&#60;script&#62;alert(1)&#60;/script&#62;", "16.94 EUR")],
    );
    says(&refused.body, &["Nothing"]);
    assert_eq!(world.invoice(1001).await, invoice);
    // The version is what counts.
    world.post(&address, &format!("{claim}&version=1")).await.leads_to();
    assert_eq!(world.invoice(1001).await.total_minor, 1694);
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
async fn an_invoice_whose_order_ordering_no_longer_knows_is_not_approved() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    let invoice = world.invoice(1001).await;
    let address = format!("/invoices/{}", invoice.id);
    // Both pages were opened before, the first even before a change.
    world.lacks_at_source(1001).await;
    for version in [1, 7] {
        let refused =
            world.post(&format!("{address}/approve"), &format!("version={version}")).await;
        let why = "Ordering no longer knows this order.";
        says(refused.text(409), &["Not approved: something else happened first.", why]);
        assert!(!refused.body.contains("/approve"), "{}", refused.body);
    }
    assert_eq!(world.invoice(1001).await, invoice);
    assert!(!world.get(&address).await.text(200).contains("/approve"));
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
    says(
        page.text(200),
        &["no number yet", "<dt>Expires on</dt>", "423.50 EUR", "All invoices of order 1001"],
    );
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
