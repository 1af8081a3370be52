//! The list, one order, and its deletion.

use contract::order::OrderState;

use crate::world::{BILLING, World};

#[tokio::test]
async fn orders_are_found_by_number_customer_reference_and_state() {
    let world = World::new().await;
    let (ada, bob) = (world.customer("Ada Yards").await, world.customer("Bob Boats").await);
    let draft = world.draft(&ada, "PO-77").await.number;
    let confirmed = world.confirmed(&bob, "B-1").await.number;
    let deleted = world.confirmed(&ada, "PO-78").await.number;
    world.delete(deleted).await;
    for (query, found) in [
        (String::new(), vec![deleted, confirmed, draft]),
        (format!("q={confirmed}"), vec![confirmed]),
        ("q=yards".to_owned(), vec![deleted, draft]),
        ("q=B-1".to_owned(), vec![confirmed]),
        ("q=nothing".to_owned(), vec![]),
        ("state=draft".to_owned(), vec![draft]),
        ("q=yards&state=deleted".to_owned(), vec![deleted]),
        (format!("customerId={}", bob.id), vec![confirmed]),
        (format!("customerId={}&state=draft", bob.id), vec![]),
    ] {
        let page = world.get(&format!("/orders?{query}")).await;
        let text = page.text(200);
        let shown: Vec<_> = text.split("<th scope=\"row\"><a href=\"/orders/").skip(1).collect();
        let shown = shown.iter().map(|row| row.split('"').next().unwrap().parse().unwrap());
        assert_eq!(shown.collect::<Vec<i64>>(), found, "{query}");
    }
    world.get("/orders?q=nothing").await.says(200, &["No order matches", "for “nothing”"]);
    let page = world.get("/orders?q=B-1").await;
    page.says(200, &["Bob Boats", "16.94 EUR", ">Confirmed<", "1 May 2026", "value=\"B-1\""]);
}

#[tokio::test]
async fn a_long_list_is_read_page_by_page() {
    let world = World::new().await;
    let customer = world.customer("Ada Yards").await;
    let mut numbers = Vec::new();
    for n in 0..120 {
        numbers.push(world.draft(&customer, &format!("PO-{n}")).await.number);
    }
    numbers.reverse();
    let mut address = "/orders?q=ada&state=draft".to_owned();
    let mut seen = Vec::<i64>::new();
    for pages in 1.. {
        let page = world.get(&address).await;
        let text = page.text(200).replace("&#38;", "&");
        let rows = text.split("<th scope=\"row\"><a href=\"/orders/").skip(1);
        seen.extend(rows.map(|row| row.split('"').next().unwrap().parse::<i64>().unwrap()));
        let Some((_, next)) = text.split_once("rel=\"next\" href=\"") else {
            assert_eq!(pages, 3);
            assert!(text.contains("href=\"/orders?q=ada&state=draft\">← Newest"), "{text}");
            break;
        };
        address = next.split('"').next().unwrap().to_owned();
    }
    assert_eq!(seen, numbers);
}

#[tokio::test]
async fn an_order_s_page_shows_it_whole() {
    let world = World::new().await;
    let customer = world.customer("Ada Yards").await;
    let draft = world.draft(&customer, "PO-77").await;
    let address = format!("/orders/{}", draft.number);
    let confirm = format!("action=\"{address}/confirm\"");
    let page = world.get(&address).await;
    page.says(200, &[&confirm, "Draft", "none: not confirmed", "Bolt M8", "BOLT-8", "0.35"]);
    page.says(200, &["14.00 EUR", "2.94 EUR", "16.94 EUR", "21 %", "PO-77", "Created"]);

    let order = world.confirmed(&customer, "PO-78").await;
    let address = format!("/orders/{}", order.number);
    let page = world.get(&address).await;
    let invoice = format!("href=\"{BILLING}/link/new_order?order={}\"", order.number);
    page.says(200, &[&invoice, "Waiting for its number", "<dt>Version</dt><dd>2</dd>"]);
    world.sequencer.tick().await.unwrap();
    let page = world.get(&address).await;
    page.says(200, &["<dd>1</dd>", "<strong>Created</strong>", "<strong>Confirmed</strong>"]);
}

#[tokio::test]
async fn deleting_is_asked_for_first_and_meant_for_what_was_seen() {
    let world = World::new().await;
    let customer = world.customer("Ada Yards").await;
    let number = world.confirmed(&customer, "PO-77").await.number;
    let (address, order) = (format!("/orders/{number}/delete"), format!("/orders/{number}"));
    let page = world.get(&address).await;
    page.says(200, &["cannot be brought back", "Billing withdraws its invoice", "16.94 EUR"]);
    assert_eq!(page.field("version"), "2");

    let stale = world.post(&address, &[("version", "1")]).await;
    stale.says(412, &["The order has changed meanwhile", "Confirmed"]);
    assert_eq!(world.orders().await[0].state, OrderState::Confirmed);

    for _ in 0..2 {
        assert_eq!(world.post(&address, &[("version", "2")]).await.leads_to(), order);
    }
    assert_eq!(world.orders().await[0].state, OrderState::Deleted);
    assert_eq!(world.get(&address).await.leads_to(), order);
    let page = world.get(&order).await;
    page.says(200, &["<strong>Deleted</strong>"]);
    assert!(!page.body.contains("/edit\""), "a deleted order cannot be edited");
}
