//! Customers: the list and the form.

use crate::world::World;

const ADA: [(&str, &str); 7] = [
    ("name", " Ada Yards "),
    ("email", "ada@example.com"),
    ("line1", "1 Quay St"),
    ("line2", ""),
    ("postalCode", "1011"),
    ("city", "Delft"),
    ("country", "NL"),
];

#[tokio::test]
async fn a_customer_is_written_and_leads_on_to_a_new_order() {
    let world = World::new().await;
    let answer = world.post("/customers", &ADA).await;
    let customer = world.store.customers(None, 10).await.unwrap().remove(0);
    assert_eq!(answer.leads_to(), format!("/orders/new?customer={}", customer.id));
    let chosen = format!("<option value=\"{}\" selected>Ada Yards</option>", customer.id);
    world.get(answer.leads_to()).await.says(200, &[&chosen]);
    world.get("/customers").await.says(200, &["Ada Yards", "Delft, Netherlands"]);
}

#[tokio::test]
async fn what_is_wrong_stands_at_its_field_and_nothing_typed_is_lost() {
    let world = World::new().await;
    let fields = [("name", " "), ("email", "ada@"), ("city", "Delft"), ("country", "Atlantis")];
    let page = world.post("/customers", &fields).await;
    page.says(422, &["The customer was not saved: 3 problems", "href=\"#email\""]);
    page.says(422, &["id=\"name-error\"", "id=\"email-error\"", "id=\"country-error\""]);
    assert_eq!((page.field("email"), page.field("city")), ("ada@", "Delft"));
    assert!(world.store.customers(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_customer_who_changed_meanwhile_is_not_overwritten_unseen() {
    let world = World::new().await;
    world.post("/customers", &ADA).await;
    let customer = world.store.customers(None, 10).await.unwrap().remove(0);
    let address = format!("/customers/{}/edit", customer.id);
    let page = world.get(&address).await;
    assert_eq!((page.field("version"), page.field("name")), ("1", "Ada Yards"));

    let edit = |name, version| [("name", name), ("email", "a@b.example"), ("version", version)];
    assert_eq!(world.post(&address, &edit("First", "1")).await.leads_to(), "/customers");
    let conflict = world.post(&address, &edit("Second", "1")).await;
    conflict.says(412, &["The customer has changed meanwhile", "value=\"Second\""]);
    let version = conflict.field("version").to_owned();
    assert_eq!(world.post(&address, &edit("Second", &version)).await.leads_to(), "/customers");
    let customer = world.store.customer(&customer.id).await.unwrap().unwrap();
    assert_eq!((customer.input.name.as_str(), customer.version), ("Second", 3));
    world.post("/customers/x/edit", &edit("Third", "1")).await.says(404, &["value=\"Third\""]);
}

#[tokio::test]
async fn many_customers_come_page_by_page_and_any_can_be_chosen() {
    let world = World::new().await;
    for n in 0..201 {
        world.customer(&format!("Customer {n:03}")).await;
    }
    let first = world.get("/customers").await;
    first.says(200, &["Customer 000", "Customer 049", "rel=\"next\""]);
    assert!(!first.body.contains("Customer 050"));
    let next = first.body.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    world.get(next).await.says(200, &["Customer 050", "Customer 099", "← First"]);

    let last = world.store.customers(None, 1_000).await.unwrap().remove(200);
    let form = world.get("/orders/new").await;
    form.says(200, &["Customer 199", "These are not all"]);
    assert!(!form.body.contains("Customer 200"));
    let form = world.get(&format!("/orders/new?customer={}", last.id)).await;
    form.says(200, &[&format!("<option value=\"{}\" selected>Customer 200<", last.id)]);
}
