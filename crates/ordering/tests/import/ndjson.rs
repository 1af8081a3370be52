//! Orders as one document a line.

use contract::order::OrderState;
use serde_json::{Value, json};

use crate::world::{World, on_both_databases};

on_both_databases!(
    each_line_is_an_order,
    the_same_file_again_changes_nothing,
    lines_that_cannot_be_an_order_are_set_aside,
    a_file_that_is_neither_is_refused,
);

fn document(reference: &str) -> Value {
    let line = json!({"sku": "BOLT-8", "quantity": 4, "unitPriceMinor": 35, "taxBasisPoints": 0});
    json!({
        "customer": {"name": "Ada Yards", "email": "ada@example.com"},
        "order": {"currency": "EUR", "reference": reference, "lines": [line.clone(), line]},
        "confirm": true,
    })
}

fn lines(documents: &[Value]) -> String {
    let lines: Vec<_> = documents.iter().map(Value::to_string).collect();
    lines.join("\n") + "\n"
}

async fn each_line_is_an_order(world: World) {
    let mut draft = document("A-2");
    draft["confirm"] = json!(false);
    let text = format!("\u{feff}\n{}\r\n\n{draft}", document("A-1"));
    let report = world.import(&world.file("orders.ndjson", &text), None).await.unwrap();
    assert_eq!((report.new, report.known, report.lines), (2, 0, 4));
    assert_eq!(report.rejected_file, None);
    let orders = world.orders().await;
    assert_eq!((orders["A-1"].state, orders["A-1"].total_minor), (OrderState::Confirmed, 280));
    assert_eq!(orders["A-2"].state, OrderState::Draft);
    assert_eq!(world.store.customers(None, 10).await.unwrap().len(), 2);

    // What has a key is updated.
    let (number, customer) = (orders["A-2"].number, orders["A-2"].customer.id.clone());
    let mut update = document("A-3");
    update["customer"] = json!({"id": customer});
    update["order"]["number"] = json!(number);
    update["order"]["version"] = json!(1);
    let update = world.file("updates.ndjson", &lines(&[update]));
    for known in [0, 1] {
        let report = world.import(&update, None).await.unwrap();
        assert_eq!((report.new, report.known), (1 - known, known));
        assert_eq!(world.orders().await["A-3"].version, 2);
    }
}

async fn the_same_file_again_changes_nothing(world: World) {
    // Two lines that say the same are two orders.
    let documents = [document("A-1"), document("A-2"), document("A-1")];
    let file = world.file("orders.ndjson", &lines(&documents));
    let count = async || {
        let all = ordering::store::OrderFilter::default();
        world.store.orders(&all, 100).await.unwrap().len()
    };
    assert_eq!(world.import(&file, None).await.unwrap().new, 3);
    assert_eq!(count().await, 3);
    let again = world.import(&file, None).await.unwrap();
    assert_eq!((again.new, again.known, again.lines), (0, 3, 6));
    let longer = world.file("more.ndjson", &lines(&[&documents[..], &[document("A-1")]].concat()));
    let again = world.import(&longer, None).await.unwrap();
    assert_eq!((again.new, again.known), (1, 3));
    assert_eq!(count().await, 4);
}

async fn lines_that_cannot_be_an_order_are_set_aside(world: World) {
    let mut unknown = document("A-1");
    unknown["customer"] = json!({"id": "nobody"});
    let mut wrong = document("A-2");
    wrong["order"]["currency"] = json!("euro");
    wrong["order"]["lines"][1]["quantity"] = json!("two");
    let text = format!("{}{{\"cut\": \n{}", lines(&[unknown, wrong]), document("A-3"));
    let file = world.file("orders.ndjson", &text);
    let report = world.import(&file, None).await.unwrap();
    assert_eq!((report.new, report.rejected.values().sum::<u64>()), (1, 3));
    assert_eq!(world.orders().await.len(), 1);
    assert_eq!(world.store.customers(None, 10).await.unwrap().len(), 1, "nothing by halves");
    let rejected = std::fs::read_to_string(report.rejected_file.unwrap()).unwrap();
    for part in [
        "Line,Document,Reason",
        "/customer/id must be the id of a customer",
        "/order/lines/1/quantity must be a whole number; \
         /order/currency must be an ISO 4217 code such as EUR",
        "is not JSON",
    ] {
        assert!(rejected.contains(part), "{part:?} is not in {rejected}");
    }
    let numbers: Vec<_> = rejected.lines().skip(1).map(|line| &line[..2]).collect();
    assert_eq!(numbers, ["1,", "2,", "3,"]);
}

async fn a_file_that_is_neither_is_refused(world: World) {
    for text in ["", "[]", "<orders/>"] {
        let refused = world.import(&world.file("orders", text), None).await.unwrap_err();
        assert!(refused.to_string().contains("is neither NDJSON nor CSV"), "{refused}");
    }
}
