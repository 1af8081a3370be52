//! Scopes of one object, which most writes are, and what became of it.

use contract::order::Order;
use contract::problem::Violation;
use contract::time::Timestamp;
use kit::db::{Error, Result};
use kit::http::etag::IfMatch;

use super::{IdempotencyKey, Store};
use crate::order::{Customer, CustomerInput, OrderInput};
use crate::scope::{Committed, ImportedOrder, Outcome, Reason, Refused, Scope};

/// What became of the change of one object.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "a change may be refused"]
pub enum Change<T> {
    /// It was made, or was made before: the result.
    Done(T),
    /// There is no such thing.
    NotFound,
    /// The order is deleted and stays as it is.
    Deleted,
    /// Everything that is wrong with what was given.
    Invalid(Vec<Violation>),
    /// It was meant for another version than this current one.
    VersionConflict(i64),
    /// The idempotency key was used before, with another request.
    KeyReused,
}

impl dyn Store + '_ {
    /// Keeps a new customer under `id`. With a key, a request that was answered before gets the same
    /// answer and writes nothing.
    pub async fn create_customer(
        &self,
        id: &str,
        input: &CustomerInput,
        key: Option<&IdempotencyKey>,
        at: Timestamp,
    ) -> Result<Change<Customer>> {
        let mut scope = Scope::new();
        scope.create_customer(id.to_owned(), input.clone());
        Ok(the_one(self.commit(&scope, key, at).await?, |committed| committed.customers))
    }

    /// Replaces a customer's content; confirmed orders keep the copy they have.
    pub async fn update_customer(
        &self,
        id: &str,
        expected: &IfMatch,
        input: &CustomerInput,
        at: Timestamp,
    ) -> Result<Change<Customer>> {
        let mut scope = Scope::new();
        scope.update_customer(id.to_owned(), expected.clone(), input.clone());
        Ok(the_one(self.commit(&scope, None, at).await?, |committed| committed.customers))
    }

    /// Keeps a new draft. With a key, a request that was answered before gets the same answer and
    /// writes nothing.
    pub async fn create_order(
        &self,
        input: &OrderInput,
        key: Option<&IdempotencyKey>,
        at: Timestamp,
    ) -> Result<Change<Order>> {
        let mut scope = Scope::new();
        scope.create_order(input.clone(), false);
        self.commit_order(&scope, key, at).await
    }

    /// Replaces the whole content of a draft or confirmed order. A confirmed one copies its
    /// customer anew.
    pub async fn replace_order(
        &self,
        number: i64,
        expected: &IfMatch,
        input: &OrderInput,
        at: Timestamp,
    ) -> Result<Change<Order>> {
        let mut scope = Scope::new();
        scope.replace_order(number, expected.clone(), input.clone(), false);
        self.commit_order(&scope, None, at).await
    }

    /// Draft to confirmed; a confirmed one stays as it is. Copies the customer into the order.
    pub async fn confirm_order(
        &self,
        number: i64,
        expected: Option<&IfMatch>,
        at: Timestamp,
    ) -> Result<Change<Order>> {
        let mut scope = Scope::new();
        scope.confirm_order(number, expected.cloned());
        self.commit_order(&scope, None, at).await
    }

    /// Marks the order as deleted; a deleted one stays as it is.
    pub async fn delete_order(
        &self,
        number: i64,
        expected: Option<&IfMatch>,
        at: Timestamp,
    ) -> Result<Change<Order>> {
        let mut scope = Scope::new();
        scope.delete_order(number, expected.cloned());
        self.commit_order(&scope, None, at).await
    }

    /// Keeps confirmed orders in bulk; how many were new. See [`Scope::import_order`].
    ///
    /// # Errors
    /// When the database fails, and when one of them breaks a rule: whoever makes them up or reads
    /// them from a file has seen to it that none does.
    pub async fn import_orders(&self, orders: Vec<ImportedOrder>, at: Timestamp) -> Result<u64> {
        let mut scope = Scope::new();
        for order in orders {
            scope.import_order(order);
        }
        match self.commit(&scope, None, at).await? {
            Outcome::Done(committed) => Ok(committed.orders.len() as u64),
            refused => Err(Error::Damaged(format!("orders to import: {refused:?}"))),
        }
    }

    async fn commit_order(
        &self,
        scope: &Scope,
        key: Option<&IdempotencyKey>,
        at: Timestamp,
    ) -> Result<Change<Order>> {
        Ok(the_one(self.commit(scope, key, at).await?, |committed| committed.orders))
    }
}

/// What became of the only object of a scope, which is the last of `objects`.
fn the_one<T>(outcome: Outcome, objects: fn(Committed) -> Vec<T>) -> Change<T> {
    match outcome {
        Outcome::Done(committed) | Outcome::Repeated(committed) => {
            // What was written has as many objects as the scope; `NotFound` cannot come about.
            objects(committed).pop().map_or(Change::NotFound, Change::Done)
        }
        Outcome::Refused(refused) => refused.into(),
        Outcome::KeyReused => Change::KeyReused,
    }
}

/// Of several faults the one that must be mended first: what is not there or stays as it is needs
/// no correction, and what is wrong in itself is wrong for every version.
impl<T> From<Refused> for Change<T> {
    fn from(refused: Refused) -> Self {
        let mut violations = Vec::new();
        let mut stale = None;
        let mut deleted = false;
        for fault in refused.faults {
            match fault.reason {
                Reason::Missing => return Self::NotFound,
                Reason::Deleted => deleted = true,
                Reason::Invalid(violation) => violations.push(violation),
                Reason::Stale(current) => stale = Some(current),
            }
        }
        match stale {
            _ if deleted => Self::Deleted,
            Some(current) if violations.is_empty() => Self::VersionConflict(current),
            _ => Self::Invalid(violations),
        }
    }
}
