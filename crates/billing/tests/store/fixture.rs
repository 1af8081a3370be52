//! A store on a database of its own, and answers to take in.

use std::sync::Arc;
use std::time::Duration;

use billing::invoice::{Invoice, InvoiceState};
use billing::pull::Counts;
use billing::store::{
    Advance, AfterApproval, Applied, Approval, Fit, InvoiceFilter, Received, Store, StoredOrder,
    Unfit, open,
};
use contract::feed::{ContinuationToken, Epoch, FeedIdentity, SequenceNr};
use contract::money::Totals;
use contract::order::{Customer, Line, Order, OrderState};
use contract::time::Timestamp;
use kit::random::Random;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use testkit::postgres::TestDatabase;
use testkit::sqlite::TestFile;

/// When everything happens unless a case says otherwise: 2026-05-01T10:00:00Z.
pub(crate) const AT: Timestamp = Timestamp::from_micros(1_777_629_600_000_000);

/// The history that is read unless a case says otherwise.
pub(crate) const EPOCH: i64 = 1_000;

/// Makes each case, a function that takes a [`Fixture`], a test on each database.
macro_rules! on_both_databases {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case($crate::fixture::Fixture::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case($crate::fixture::Fixture::postgres().await).await;
            })+
        }
    };
}
pub(crate) use on_both_databases;

/// A store on a database that no other test uses.
pub(crate) struct Fixture {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) random: Random,
    database: Database,
}

enum Database {
    Sqlite(TestFile),
    Postgres(Box<TestDatabase>),
}

impl Fixture {
    pub(crate) async fn sqlite() -> Self {
        Self::of(Database::Sqlite(testkit::sqlite::file())).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::of(Database::Postgres(Box::new(testkit::postgres::database().await))).await
    }

    async fn of(database: Database) -> Self {
        let store = open_store(&database.url()).await;
        Self { store, random: Random::seeded(7), database }
    }

    /// The store of another process on the same database.
    pub(crate) async fn another(&self) -> Arc<dyn Store> {
        open_store(&self.database.url()).await
    }

    /// Runs a statement that no store would.
    pub(crate) async fn execute(&self, sql: &'static str) {
        let url = self.database.url();
        match self.database {
            Database::Sqlite(_) => {
                let mut conn = SqliteConnection::connect(&url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
            }
            Database::Postgres(_) => {
                let mut conn = PgConnection::connect(&url).await.unwrap();
                sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
            }
        }
    }

    /// Where the database is.
    pub(crate) fn url(&self) -> String {
        self.database.url()
    }

    /// Takes in an answer that must be accepted; what it did.
    pub(crate) async fn take_in(&self, received: &Received) -> Counts {
        self.take_in_at(received, AT).await
    }

    /// Takes in an answer that must be accepted, at another time.
    pub(crate) async fn take_in_at(&self, received: &Received, at: Timestamp) -> Counts {
        match self.store.apply(received, &self.random, at).await.unwrap() {
            Applied::Done(counts) => counts,
            other => panic!("was to be taken in: {other:?}"),
        }
    }

    /// Takes in an answer that must not be accepted, and checks that nothing at all was changed.
    pub(crate) async fn refuses(&self, received: &Received) -> Applied {
        let before = self.everything().await;
        let applied = self.store.apply(received, &self.random, AT).await.unwrap();
        assert!(!matches!(applied, Applied::Done(_)), "was to be refused");
        assert_eq!(self.everything().await, before);
        applied
    }

    /// All that a test can see, to be compared.
    pub(crate) async fn everything(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let state = self.store.pull_state().await.unwrap();
        let orders = self.store.orders(None, i64::MAX).await.unwrap();
        let quarantine = self.store.quarantine(None, 1_000).await.unwrap();
        (state, orders, self.invoices().await, quarantine)
    }

    /// The local copy of an order that must be there.
    pub(crate) async fn order(&self, number: i64) -> StoredOrder {
        self.store.order(number).await.unwrap().expect("the order is stored")
    }

    /// All invoices, newest first.
    pub(crate) async fn invoices(&self) -> Vec<Invoice> {
        self.store.invoices(&InvoiceFilter::default(), i64::MAX).await.unwrap()
    }

    /// The invoices of an order in this state.
    pub(crate) async fn in_state(&self, order_number: i64, state: InvoiceState) -> Vec<Invoice> {
        let filter = InvoiceFilter {
            state: Some(state),
            order_number: Some(order_number),
            ..InvoiceFilter::default()
        };
        self.store.invoices(&filter, 100).await.unwrap()
    }

    /// The only invoice there is.
    pub(crate) async fn only_invoice(&self) -> Invoice {
        let mut invoices = self.invoices().await;
        assert_eq!(invoices.len(), 1, "{invoices:?}");
        invoices.remove(0)
    }

    /// Approves an invoice that must be approvable.
    pub(crate) async fn approve(&self, id: &str) -> Invoice {
        match self.store.approve(id, None, AfterApproval::Nothing, AT).await.unwrap() {
            Approval::Approved(invoice) => *invoice,
            other => panic!("was to be approved: {other:?}"),
        }
    }
}

impl Database {
    fn url(&self) -> String {
        match self {
            Self::Sqlite(file) => file.url(),
            Self::Postgres(database) => database.url(),
        }
    }
}

async fn open_store(url: &str) -> Arc<dyn Store> {
    open(&url.parse().unwrap()).await.unwrap()
}

/// Names a history of the feed that is read unless a case says otherwise.
pub(crate) fn identity(epoch: i64) -> FeedIdentity {
    FeedIdentity { feed_id: "k3v9x2ab".parse().unwrap(), epoch: Epoch(epoch) }
}

/// A confirmed order of one line.
pub(crate) fn order(number: i64, version: i64, quantity: i64) -> Order {
    let lines = vec![Line {
        line_no: 1,
        sku: "BOLT-8".into(),
        description: Some("Bolt \"M8\" \u{0} ø".into()),
        quantity,
        unit_price_minor: 35,
        tax_basis_points: 2100,
    }];
    let totals = Totals::of(&lines).unwrap();
    Order {
        number,
        state: OrderState::Confirmed,
        version,
        confirmed_sequence_nr: SequenceNr(number),
        customer: Customer {
            id: "0197".into(),
            name: "Ada Yards".into(),
            email: "ada@example.com".into(),
            address: None,
        },
        currency: "EUR".into(),
        reference: None,
        note: None,
        lines,
        net_minor: totals.net_minor,
        tax_minor: totals.tax_minor,
        total_minor: totals.total_minor,
        confirmed_at: Some(AT),
        changed_at: AT,
        deleted_at: None,
    }
}

/// The same order, deleted.
pub(crate) fn deleted(number: i64, version: i64) -> Order {
    Order { state: OrderState::Deleted, deleted_at: Some(AT), ..order(number, version, 1) }
}

/// An order that cannot be taken in.
pub(crate) fn unfit(number: i64, version: impl Into<Option<i64>>) -> Unfit {
    Unfit {
        number,
        version: version.into(),
        sequence_nr: SequenceNr(number),
        reason: "it is a draft".into(),
        document: "{\"note\": \"\\u0000 \\ud800\", \"quantity\": 1e400}".into(),
    }
}

/// One order, pulled by number.
pub(crate) fn pulled(order: Order) -> Received {
    pulled_in(EPOCH, order)
}

/// One order, pulled by number in another epoch.
pub(crate) fn pulled_in(epoch: i64, order: Order) -> Received {
    Received {
        identity: identity(epoch),
        orders: vec![order.into()],
        unfit: Vec::new(),
        advance: None,
    }
}

/// A page of orders, asked for with the token at `from` (0: with none), up to `to`.
pub(crate) fn page(from: i64, to: i64, orders: Vec<Order>) -> Received {
    page_in(EPOCH, from, to, orders)
}

/// A page of another epoch.
pub(crate) fn page_in(epoch: i64, from: i64, to: i64, orders: Vec<Order>) -> Received {
    Received {
        identity: identity(epoch),
        orders: orders.into_iter().map(Fit::from).collect(),
        unfit: Vec::new(),
        advance: Some(Advance {
            from: (from > 0).then(|| token(epoch, from)),
            to: token(epoch, to),
            last_sequence_nr: SequenceNr(to),
            pages: 1,
        }),
    }
}

/// The token of an epoch at a number.
pub(crate) fn token(epoch: i64, sequence_nr: i64) -> ContinuationToken {
    let FeedIdentity { feed_id, epoch } = identity(epoch);
    ContinuationToken { feed_id, epoch, sequence_nr: SequenceNr(sequence_nr) }
}

/// `AT`, some seconds later.
pub(crate) fn later(seconds: u64) -> Timestamp {
    AT + Duration::from_secs(seconds)
}
