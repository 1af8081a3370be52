//! Request bodies as the model's inputs: every violation at once.

use contract::order::Address;
use contract::problem::ProblemCode;
use kit::http::read::{JsonBody, ObjectReader, Violations};

use crate::error::{ORDER_NOT_ACCEPTED, Result, unknown_customer};
use crate::order::{CustomerInput, LineInput, OrderInput};
use crate::store::Store;

/// The order of a body.
///
/// Whether its customer exists is asked here only to complete a list of violations: for an order
/// without any, the store finds out in the transaction that writes it.
pub(super) async fn order(body: &JsonBody, store: &dyn Store) -> Result<OrderInput> {
    let mut violations = Violations::new();
    let mut reader = ObjectReader::new(&body.value, String::new(), &mut violations);
    let input = OrderInput {
        customer_id: reader.text("customerId"),
        currency: reader.text("currency"),
        reference: reader.optional_text("reference"),
        note: reader.optional_text("note"),
        lines: reader.objects("lines", line),
    };
    reader.finish();
    violations.extend(input.violations());
    if !violations.is_empty() && !is_known(&input.customer_id, store).await? {
        violations.push(unknown_customer());
    }
    violations.into_result(ProblemCode::ValidationFailed, ORDER_NOT_ACCEPTED)?;
    Ok(input)
}

/// The customer of a body.
pub(super) fn customer(body: &JsonBody) -> Result<CustomerInput> {
    let mut violations = Violations::new();
    let mut reader = ObjectReader::new(&body.value, String::new(), &mut violations);
    let input = CustomerInput {
        name: reader.text("name"),
        email: reader.text("email"),
        // Nothing of it is known: that is no address, as it is when it is read again.
        address: reader.optional_object("address", address).filter(|it| *it != Address::default()),
    };
    reader.finish();
    violations.extend(input.violations());
    violations.into_result(ProblemCode::ValidationFailed, "The customer was not accepted")?;
    Ok(input)
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

/// What is no UUID is not looked up: it may hold what the database refuses.
async fn is_known(customer_id: &str, store: &dyn Store) -> Result<bool> {
    Ok(customer_id.parse::<uuid::Uuid>().is_ok() && store.customer(customer_id).await?.is_some())
}
