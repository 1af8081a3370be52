//! JSON documents read as the model's inputs, field by field: whatever is wrong, all of it is found
//! at once, and what cannot be read is empty.

use contract::order::Address;
use contract::problem::Violation;
use contract::time::Timestamp;
use kit::db;
use kit::http::read::{ObjectReader, Violations};
use serde_json::Value;

use crate::order::{CustomerInput, LineInput, OrderInput};
use crate::scope::{Fault, Scope};
use crate::store::Store;

/// The order of a document, whose customer exists already.
pub fn order(document: &Value, violations: &mut Violations) -> OrderInput {
    let mut reader = ObjectReader::new(document, String::new(), violations);
    let customer_id = reader.text("customerId");
    let input = OrderInput { customer_id, ..order_content(&mut reader) };
    reader.finish();
    input
}

/// The customer of a document.
pub fn customer(document: &Value, violations: &mut Violations) -> CustomerInput {
    let mut reader = ObjectReader::new(document, String::new(), violations);
    let input = customer_content(&mut reader);
    reader.finish();
    input
}

/// When something in a document cannot be read, asks what else is wrong with the scope of what could
/// be read, so that the caller learns everything at once. `place` says where in the document.
pub async fn complete(
    violations: &mut Violations,
    scope: &Scope,
    place: fn(&Fault) -> Option<Violation>,
    store: &dyn Store,
    at: Timestamp,
) -> db::Result<()> {
    if !violations.is_empty()
        && let Some(refused) = store.check(scope, at).await?
    {
        violations.extend(refused.faults.iter().filter_map(place));
    }
    Ok(())
}

/// Everything of an order but its customer.
pub(crate) fn order_content(reader: &mut ObjectReader<'_>) -> OrderInput {
    OrderInput {
        customer_id: String::new(),
        currency: reader.text("currency"),
        reference: reader.optional_text("reference"),
        note: reader.optional_text("note"),
        lines: reader.objects("lines", line),
    }
}

/// Everything of a customer.
pub(crate) fn customer_content(reader: &mut ObjectReader<'_>) -> CustomerInput {
    CustomerInput {
        name: reader.text("name"),
        email: reader.text("email"),
        // Nothing of it is known: that is no address, as it is when it is read again.
        address: reader.optional_object("address", address).filter(|it| *it != Address::default()),
    }
}

fn line(reader: &mut ObjectReader<'_>) -> LineInput {
    LineInput {
        sku: reader.text("sku"),
        description: reader.optional_text("description"),
        quantity: reader.int("quantity"),
        unit_price_minor: reader.int("unitPriceMinor"),
        tax_basis_points: reader.int("taxBasisPoints"),
    }
}

fn address(reader: &mut ObjectReader<'_>) -> Address {
    Address {
        line1: reader.optional_text("line1"),
        line2: reader.optional_text("line2"),
        postal_code: reader.optional_text("postalCode"),
        city: reader.optional_text("city"),
        country: reader.optional_text("country"),
    }
}
