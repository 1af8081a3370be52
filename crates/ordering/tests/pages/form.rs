//! Writing an order: nothing that was typed is ever lost.

use contract::order::OrderState;

use crate::world::{Page, World};

/// A form with one good line and one with mistakes.
fn mistyped(customer: &str) -> Vec<(&str, &str)> {
    vec![
        ("customerId", customer),
        ("currency", "EUR"),
        ("reference", "PO-77"),
        ("note", "Deliver to the\r\n<east> gate"),
        ("lines.0.sku", "BOLT-8"),
        ("lines.0.description", "Bolt \"M8\""),
        ("lines.0.quantity", "40"),
        ("lines.0.unitPrice", "0.35"),
        ("lines.0.tax", "21"),
        ("lines.1.sku", ""),
        ("lines.1.description", "Mooring rope"),
        ("lines.1.quantity", "two"),
        ("lines.1.unitPrice", "89,50"),
        ("lines.1.tax", "210"),
    ]
}

/// The same without the second line.
fn good(customer: &str) -> Vec<(&str, &str)> {
    mistyped(customer).into_iter().filter(|(name, _)| !name.starts_with("lines.1")).collect()
}

fn with<'a>(fields: &[(&'a str, &'a str)], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [fields, more].concat()
}

/// Everything of [`mistyped`] stands in the page again.
#[track_caller]
fn keeps_what_was_typed(page: &Page, customer: &str) {
    let lines = [
        ("lines.0.sku", "BOLT-8"),
        ("lines.0.description", "Bolt &#34;M8&#34;"),
        ("lines.0.quantity", "40"),
        ("lines.0.unitPrice", "0.35"),
        ("lines.0.tax", "21"),
        ("lines.1.description", "Mooring rope"),
        ("lines.1.quantity", "two"),
        ("lines.1.unitPrice", "89,50"),
        ("lines.1.tax", "210"),
    ];
    assert_eq!(page.field("reference"), "PO-77");
    for (name, value) in lines {
        assert_eq!(page.field(name), value, "{name}");
    }
    let chosen = format!("<option value=\"{customer}\" selected>");
    for part in [&*chosen, ">\nDeliver to the\n&#60;east&#62; gate</textarea>"] {
        assert!(page.body.contains(part), "{part:?} is not in {}", page.body);
    }
}

#[tokio::test]
async fn each_mistake_stands_at_its_field() {
    let world = World::new().await;
    let customer = world.customer("Ada Yards").await.id;
    let page = world.post("/orders", &with(&mistyped(&customer), &[("action", "save")])).await;
    page.says(
        422,
        &[
            "The order was not saved: 4 problems",
            "<a href=\"#lines-1-sku\">Line 2, SKU: must not be empty</a>",
            "<a href=\"#lines-1-quantity\">Line 2, quantity: must be a whole number</a>",
            "<p class=\"error\" id=\"lines-1-unitPrice-error\">must be an amount such as 1694.50</p>",
            "aria-invalid=\"true\" aria-describedby=\"lines-1-tax-error\"",
            "id=\"lines-1-tax-error\">must be 0 to 100</p>",
        ],
    );
    assert!(!page.body.contains("lines-0-sku-error"), "the first line is right");
    keeps_what_was_typed(&page, &customer);
    assert!(world.orders().await.is_empty());
}

#[tokio::test]
async fn lines_come_and_go_without_a_script() {
    let world = World::new().await;
    let customer = world.customer("Ada Yards").await.id;
    let fields = mistyped(&customer);
    let added = world.post("/orders", &with(&fields, &[("action", "add-line")])).await;
    added.text(200);
    keeps_what_was_typed(&added, &customer);
    assert_eq!((added.field("lines.2.sku"), added.field("lines.2.tax")), ("", "210"));
    // Enter in a field presses the first button: it must be the one that saves.
    let form = added.body.split("<form class=\"panel\"").nth(1).unwrap();
    let first = form.split("<button").nth(1).unwrap().split('>').next().unwrap();
    assert!(first.contains("value=\"save\""), "{first}");

    let removed = world.post("/orders", &with(&fields, &[("action", "remove-line-0")])).await;
    removed.text(200);
    assert_eq!(removed.field("lines.0.description"), "Mooring rope");
    assert!(!removed.body.contains("lines.1."), "{}", removed.body);
    let last = with(&good(&customer), &[("action", "remove-line-0")]);
    assert_eq!(world.post("/orders", &last).await.field("lines.0.sku"), "");
    assert!(world.orders().await.is_empty(), "nothing is kept before it is saved");
}

#[tokio::test]
async fn a_form_that_is_sent_twice_is_one_order() {
    let world = World::new().await;
    let customer = world.customer("Ada Yards").await.id;
    let key = world.get("/orders/new").await.field("key").to_owned();
    let fields = with(&good(&customer), &[("key", &key), ("action", "save")]);
    let first = world.post("/orders", &fields).await.leads_to().to_owned();
    assert_eq!(world.post("/orders", &fields).await.leads_to(), first);
    let orders = world.orders().await;
    assert_eq!(orders.len(), 1);
    assert_eq!(first, format!("/orders/{}", orders[0].number));
    assert_eq!((orders[0].state, orders[0].total_minor), (OrderState::Draft, 1_694));
    assert_eq!(orders[0].note.as_deref(), Some("Deliver to the\n<east> gate"));

    // After going back, somebody types something else into the form that was sent.
    let changed: Vec<_> = fields
        .iter()
        .map(|&(name, value)| (name, if name == "reference" { "PO-78" } else { value }))
        .collect();
    let asked = world.post("/orders", &changed).await;
    asked.says(409, &["This form was saved before", "value=\"PO-78\""]);
    let fresh = asked.field("key").to_owned();
    let again = with(&good(&customer), &[("key", &fresh), ("action", "save")]);
    assert_ne!(world.post("/orders", &again).await.leads_to(), first);
    assert_eq!(world.orders().await.len(), 2);
}

#[tokio::test]
async fn a_database_that_fails_takes_nothing_away() {
    let world = World::new().await;
    let customer = world.customer("Ada Yards").await;
    let number = world.draft(&customer, "PO-1").await.number;
    world.database_breaks().await;
    for address in ["/orders".to_owned(), format!("/orders/{number}/edit")] {
        let fields = with(&good(&customer.id), &[("version", "1"), ("action", "save")]);
        let page = world.post(&address, &fields).await;
        page.says(500, &["The order was not saved", "The customer chosen before"]);
        page.says(500, &[&format!("<option value=\"{}\" selected>", customer.id)]);
        assert_eq!((page.field("lines.0.sku"), page.field("reference")), ("BOLT-8", "PO-77"));
        assert!(!page.body.contains("no such table"), "{}", page.body);
    }
    let fields = [("name", "Bob Boats"), ("email", "bob@example.com")];
    let page = world.post("/customers", &fields).await;
    page.says(500, &["The customer was not saved", "value=\"Bob Boats\""]);
}

#[tokio::test]
async fn a_customer_who_does_not_exist_is_a_mistake_like_others() {
    let world = World::new().await;
    let page = world.post("/orders", &with(&good("nobody"), &[("action", "save")])).await;
    page.says(422, &["Customer: is not known any more", "id=\"customerId-error\""]);
    assert_eq!(page.field("lines.0.sku"), "BOLT-8");
    let page = world.post("/orders", &[]).await;
    page.says(422, &["id=\"customerId-error\"", "id=\"lines-0-sku-error\"", "currency-error"]);
}

#[tokio::test]
async fn an_order_is_edited_as_it_was_seen() {
    let world = World::new().await;
    let customer = world.customer("Ada Yards").await;
    let order = world.confirmed(&customer, "PO-77").await;
    let address = format!("/orders/{}/edit", order.number);
    let page = world.get(&address).await;
    page.says(200, &["14.00", "16.94 EUR"]);
    assert_eq!((page.field("version"), page.field("lines.0.unitPrice")), ("2", "0.35"));
    let mistake = [("version", "2"), ("lines.0.quantity", "0"), ("currency", "EUR")];
    world.post(&address, &mistake).await.says(422, &["must be 1 to 1,000,000"]);

    let edit = |version| with(&good(&customer.id), &[("version", version), ("action", "save")]);
    let saved = world.post(&address, &edit("2")).await;
    assert_eq!(saved.leads_to(), format!("/orders/{}", order.number));
    assert_eq!(world.orders().await[0].version, 3);
}

#[tokio::test]
async fn an_edit_that_comes_too_late_is_kept_on_the_page() {
    let world = World::new().await;
    let customer = world.customer("Ada Yards").await;
    let number = world.draft(&customer, "PO-1").await.number;
    let address = format!("/orders/{number}/edit");
    let edit = |version| with(&good(&customer.id), &[("version", version), ("action", "save")]);
    world.post(&address, &edit("1")).await.leads_to();

    let late = world.post(&address, &edit("1")).await;
    late.says(412, &["has changed meanwhile", "What you typed is still here"]);
    late.says(
        412,
        &["Yours", "Now, version 2", "Go on from yours", "Go on from what is there now"],
    );
    let mut other = good(&customer.id);
    other[2] = ("reference", "PO-78");
    let late = world.post(&address, &with(&other, &[("version", "1")])).await;
    late.says(412, &["<td data-label=\"Yours\">PO-78</td>", "<td data-label=\"Now\">PO-77</td>"]);
    assert_eq!(late.body.matches(">differs<").count(), 1, "only the reference differs");
    let late = world.post(&address, &edit("1")).await;
    assert_eq!((late.field("reference"), late.field("version")), ("PO-77", "2"));
    assert_eq!(world.orders().await[0].version, 2);
    world.post(&address, &edit(late.field("version"))).await.leads_to();

    world.delete(number).await;
    let deleted = world.post(&address, &edit("4")).await;
    deleted.says(409, &["was deleted meanwhile", "What you typed is still here"]);
    assert_eq!(deleted.field("lines.0.sku"), "BOLT-8");
    let unknown = world.post("/orders/999/edit", &edit("1")).await;
    unknown.says(404, &["There is no order 999"]);
    assert_eq!(unknown.field("lines.0.sku"), "BOLT-8");
}
