//! The list of invoices, and the overview.

use crate::world::{World, order, removed, says};

#[tokio::test]
async fn a_long_list_is_read_page_by_page() {
    let world = World::new().await;
    for number in 1..=51 {
        world.holds(order(number)).await;
    }
    let first = world.get("/invoices").await;
    let rows = |text: &str| text.matches("<th scope=\"row\">").count();
    assert_eq!(rows(first.text(200)), 50);
    assert!(!first.body.contains("<td data-label=\"Order\">1</td>"), "{}", first.body);
    let (_, rest) = first.body.split_once(r#"rel="next" href=""#).expect("there is a next page");
    let next = world.get(rest.split_once('"').unwrap().0).await;
    assert_eq!(rows(next.text(200)), 1);
    says(&next.body, &["<td data-label=\"Order\">1</td>", "← Newest"]);
    assert!(!next.body.contains("rel=\"next\""), "{}", next.body);
}

#[tokio::test]
async fn the_list_is_narrowed_by_state_and_order() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    world.holds(order(1002)).await;
    world.holds(removed(&order(1002))).await;
    let orders = |text: &str| {
        let held = |number| text.contains(&format!("<td data-label=\"Order\">{number}</td>"));
        (held(1001), held(1002))
    };
    assert_eq!(orders(world.get("/invoices").await.text(200)), (true, true));
    assert_eq!(orders(world.get("/invoices?state=withdrawn").await.text(200)), (false, true));
    assert_eq!(orders(world.get("/invoices?orderNumber=1001").await.text(200)), (true, false));
    let none = world.get("/invoices?state=withdrawn&orderNumber=1001").await;
    assert_eq!(orders(none.text(200)), (false, false));
    says(&none.body, &["No invoices", r#"name="state" value="withdrawn""#, r#"value="1001""#]);
    says(&none.body, &["/invoices?state=approved&#38;orderNumber=1001"]);
    says(&none.body, &[r#"Withdrawn <span class="count">1</span>"#]);
}

#[tokio::test]
async fn what_was_typed_stays_when_it_is_wrong() {
    let world = World::new().await;
    world.holds(order(1001)).await;
    let page = world.get("/invoices?orderNumber=10x1").await;
    says(page.text(400), &[r#"value="10x1""#, "aria-invalid", "such as 1001"]);
    world.get("/invoices?state=paid").await.text(400);
    for after in ["x", "%00"] {
        world.get(&format!("/invoices?after={after}")).await.text(404);
    }
}

#[tokio::test]
async fn the_overview_counts_and_shows_what_waits() {
    let world = World::new().await;
    says(world.get("/").await.text(200), &["Nothing awaits approval.", "Not begun"]);
    world.holds(order(1001)).await;
    world.holds(order(1002)).await;
    world.holds(removed(&order(1002))).await;
    let page = world.get("/").await;
    let count = |state: &str, label: &str| {
        format!(
            r#"<a href="/invoices?state={state}"><span class="label">{label}</span> <span class="value">1</span>"#
        )
    };
    says(page.text(200), &[&count("awaiting_approval", "Awaiting approval")]);
    says(&page.body, &[&count("withdrawn", "Withdrawn"), ">1001</a>", "16.94 EUR"]);
}
