//! Customers and orders as a person would have them, with what makes pages break: long words, other
//! currencies, many lines, nothing where something may be.

use contract::order::Order;
use e2e::ordering::Ordering;
use reqwest::Method;
use serde_json::{Value, json};

/// The numbers of the orders that [`write`] made.
pub(crate) struct Sample {
    pub(crate) draft: i64,
    /// Confirmed, with an address, a reference and a note.
    pub(crate) confirmed: i64,
    /// Confirmed, to be changed and removed by a test.
    pub(crate) spare: i64,
    /// Confirmed, then deleted.
    pub(crate) deleted: i64,
    /// The id of the customer whose order [`confirmed`](Self::confirmed) is.
    pub(crate) customer: String,
}

/// Makes them, through ordering's API.
pub(crate) async fn write(ordering: &Ordering) -> Sample {
    let yards =
        customer(ordering, "Ada Yards", Some(address("1 Quay St", "1011", "Delft", "NL"))).await;
    let long = "Kranenburg & Zonen Scheepswerf en Machinefabriek B.V.";
    let wharf = customer(
        ordering,
        long,
        Some(address("Westelijke Havendijk 1012", "4811 BD", "Breda", "NL")),
    )
    .await;
    let works = customer(
        ordering,
        "Tanaka Works",
        Some(address("2-1 Minato", "231-0023", "Yokohama", "JP")),
    )
    .await;
    let unknown = customer(ordering, "Unknown", None).await;

    let bolt = line("BOLT-8", "Bolt M8", 40, 35, 2100);
    let rope = line("ROPE-12", "Mooring rope, 12 mm, 50 m coil", 2, 8_950, 2100);
    let fender = line(
        "FEND-3",
        "Fender, inflatable, with a very long description that needs two lines to say all there is \
         to say about it",
        1_000,
        120_700,
        550,
    );
    let many = (1..=40).map(|n| line(&format!("PART-{n:03}"), "Spare part", n, 100 * n, 900));

    let free = line("GIFT", "", 1, 0, 0);
    confirm(ordering, &order(&unknown, "GBP", "536414", "", &[free])).await;
    confirm(ordering, &order(&wharf, "EUR", "KZ-2026-0402", "", &many.collect::<Vec<_>>())).await;
    let spare =
        confirm(ordering, &order(&yards, "EUR", "PO-76", "", std::slice::from_ref(&rope))).await;
    let deleted =
        confirm(ordering, &order(&wharf, "EUR", "", "", &[bolt.clone(), rope.clone()])).await;
    confirm(
        ordering,
        &order(&works, "JPY", "", "", &[line("TURB-1", "Turbine blade", 3, 411_522, 0)]),
    )
    .await;
    let note = "Deliver to the east gate before noon.\nRing twice.";
    let confirmed =
        confirm(ordering, &order(&yards, "EUR", "PO-77", note, &[bolt.clone(), rope, fender]))
            .await;
    let draft = create(ordering, &order(&wharf, "EUR", "KZ-2026-0418", "", &[bolt])).await;
    ordering.delete(deleted.number, None).await.expect("an order can be deleted");

    Sample {
        draft: draft.number,
        confirmed: confirmed.number,
        spare: spare.number,
        deleted: deleted.number,
        customer: yards,
    }
}

fn address(line1: &str, postal_code: &str, city: &str, country: &str) -> Value {
    json!({ "line1": line1, "line2": null, "postalCode": postal_code, "city": city, "country": country })
}

fn line(sku: &str, description: &str, quantity: i64, unit_price: i64, tax: i64) -> Value {
    json!({
        "sku": sku, "description": description, "quantity": quantity,
        "unitPriceMinor": unit_price, "taxBasisPoints": tax,
    })
}

fn order(customer: &str, currency: &str, reference: &str, note: &str, lines: &[Value]) -> Value {
    json!({
        "customerId": customer, "currency": currency, "reference": reference, "note": note,
        "lines": lines,
    })
}

/// The new customer's id.
async fn customer(ordering: &Ordering, name: &str, address: Option<Value>) -> String {
    let body = json!({ "name": name, "email": "office@example.com", "address": address });
    let request = ordering.request(Method::POST, "/api/v1/customers").json(&body);
    let answer = request.send().await.expect("ordering answers");
    let made: Value = answer.json().await.expect("ordering answers with JSON");
    made["id"].as_str().unwrap_or_else(|| panic!("no customer: {made}")).to_owned()
}

async fn create(ordering: &Ordering, content: &Value) -> Order {
    ordering.create(content, None).await.expect("a good order is taken")
}

async fn confirm(ordering: &Ordering, content: &Value) -> Order {
    ordering.create_confirmed(content).await.expect("a good order is taken and confirmed")
}
