//! Both services, with ordering on a database that can be exchanged for another history of it.

use std::collections::BTreeSet;

use contract::feed::Epoch;
use contract::order::Order;
use contract::problem::ProblemCode;
use e2e::api::assert_refused;
use e2e::billing::{Billing, Invoice, StoredOrder};
use e2e::equal::{until_equal, until_equal_but_lost};
use e2e::ordering::{Ordering, content};
use e2e::pair::{Database, Engine, Node, Pair, billing_program, ordering_program};
use reqwest::header::LOCATION;
use testkit::net::free_port;
use testkit::process::Program;
use testkit::wait;

use crate::SOON;

/// Orders that are created in one history. More than PostgreSQL sets aside of a sequence at a time:
/// a promoted standby goes on behind those, and yet gives out some of these numbers again.
const TAIL: i64 = 40;

/// Orders that all histories share, by what becomes of them in each.
pub(super) struct Shared {
    /// Changed.
    pub(super) changed: i64,
    /// Changed too; its invoice is approved.
    pub(super) approved: i64,
    /// Not touched.
    pub(super) untouched: i64,
    /// Deleted.
    pub(super) deleted: i64,
    /// A draft: confirmed.
    pub(super) draft: i64,
}

pub(super) struct Scene {
    pub(super) pair: Pair,
    pub(super) ordering: Ordering,
    pub(super) billing: Billing,
    pub(super) billing_database: Database,
    pub(super) shared: Shared,
    /// Numbers of orders that billing has and ordering has lost.
    pub(super) lost: BTreeSet<i64>,
    customer: String,
    ports: (u16, u16),
}

impl Scene {
    /// Starts both, with orders that billing has.
    pub(super) async fn start(ordering_url: &str, billing_engine: Engine) -> Self {
        let billing_database = Database::new(billing_engine).await;
        let ports = (free_port(), free_port());
        let pair = Pair {
            ordering: Node::start(ordering_program(ordering_url, ports.0, ports.1)).await,
            billing: Node::start(billing_program(billing_database.url(), ports.1, ports.0)).await,
        };
        let (ordering, billing) = pair.clients();
        let customer = ordering.customer("Ada Yards").await.unwrap();
        let confirmed = async || {
            ordering.create_confirmed(&content(&customer, "shared", 1)).await.unwrap().number
        };
        let shared = Shared {
            changed: confirmed().await,
            approved: confirmed().await,
            untouched: confirmed().await,
            deleted: confirmed().await,
            draft: ordering.create(&content(&customer, "draft", 1), None).await.unwrap().number,
        };
        let lost = BTreeSet::new();
        until_equal(&ordering, &billing, SOON).await;
        billing.approve(&live_invoice(&billing, shared.approved).await).await.unwrap();
        Self { pair, ordering, billing, billing_database, shared, lost, customer, ports }
    }

    /// What a history brings that will be lost: [`live`](Self::live), and besides one order is
    /// deleted, and a draft is confirmed.
    pub(super) async fn live_in_vain(&self) -> Vec<i64> {
        let created = self.live("lost", TAIL).await;
        self.ordering.delete(self.shared.deleted, None).await.unwrap();
        self.ordering.confirm(self.shared.draft, None).await.unwrap();
        created
    }

    /// What history `name` brings: two shared orders change, and `count` new ones come. Numbers and
    /// versions are the same in each history, the content is not. Returns the numbers of the new.
    pub(super) async fn live(&self, name: &str, count: i64) -> Vec<i64> {
        // The name's length stands for the amounts that belong to it.
        let quantity = i64::try_from(name.len()).expect("a short name");
        for number in [self.shared.changed, self.shared.approved] {
            self.change(number, name, quantity).await;
        }
        let mut created = Vec::new();
        for n in 1..=count {
            created.push(self.create(name, 100 * n + quantity).await.number);
        }
        created
    }

    /// Changes a shared order.
    pub(super) async fn change(&self, number: i64, name: &str, quantity: i64) -> Order {
        let version = self.ordering.order(number).await.unwrap().version;
        let content = content(&self.customer, name, quantity);
        self.ordering.replace(number, version, &content).await.unwrap()
    }

    /// Creates an order in this history, confirmed.
    pub(super) async fn create(&self, name: &str, quantity: i64) -> Order {
        let content = content(&self.customer, name, quantity);
        self.ordering.create_confirmed(&content).await.unwrap()
    }

    /// The exit code of `billing verify`.
    pub(super) async fn verify(&self) -> Option<i32> {
        let program = Program::new("billing")
            .args(["verify", "--database-url", self.billing_database.url()])
            .args(["--ordering-url", &format!("http://127.0.0.1:{}", self.ports.0)]);
        program.run().await.status.code()
    }

    /// Ordering is started again, as it was or on another database.
    pub(super) async fn ordering_goes_on_with(&mut self, url: &str) {
        let program = ordering_program(url, self.ports.0, self.ports.1);
        self.pair.ordering = Node::start(program).await;
    }

    /// Ordering is started again, as before but with the feed read from elsewhere.
    pub(super) async fn ordering_goes_on_with_feed_from(&mut self, url: &str, feed_url: &str) {
        let program = ordering_program(url, self.ports.0, self.ports.1);
        let program = program.args(["--feed-database-url", feed_url]);
        self.pair.ordering = Node::start(program).await;
    }

    /// Billing is killed and started again, with these arguments besides its own.
    pub(super) async fn billing_restarts(&mut self, arguments: &[&str]) {
        let program = billing_program(self.billing_database.url(), self.ports.1, self.ports.0);
        self.pair.billing.start_differently(|_| program.args(arguments)).await;
    }

    /// An operator says that history was lost.
    pub(super) async fn announce_new_epoch(&self, url: &str) {
        succeed(&Program::new("ordering").args(["new-epoch", "--database-url", url])).await;
    }

    /// Waits until both sides are equal, but for what ordering has lost: the orders that billing
    /// has and ordering does not give to anybody.
    pub(super) async fn converges(&mut self) {
        let exposed: BTreeSet<_> = self
            .ordering
            .all_orders()
            .await
            .unwrap()
            .into_iter()
            .filter(|order| order.confirmed_at.is_some())
            .map(|order| order.number)
            .collect();
        let copies = self.billing.all_orders().await.unwrap();
        let numbers = copies.iter().map(|copy| copy.order.number);
        self.lost = numbers.filter(|number| !exposed.contains(number)).collect();
        until_equal_but_lost(&self.ordering, &self.billing, &self.lost, SOON).await;
    }

    /// Asserts that billing has `name`'s content of an order.
    pub(super) async fn assert_content(&self, number: i64, version: i64, name: &str) {
        let copy = self.billing.order(number).await.expect("billing has it").order;
        assert_eq!((copy.version, copy.note.as_deref()), (version, Some(name)), "{number}");
    }

    /// Asserts that the open invoices of lost orders are not approved, by anybody.
    pub(super) async fn assert_lost_are_not_approvable(&self) {
        assert!(!self.lost.is_empty(), "nothing was lost: this does not show what it is meant to");
        for number in &self.lost {
            let invoice = live_invoice(&self.billing, *number).await;
            assert_eq!(invoice.state, "awaiting_approval");
            assert_refused(self.billing.approve(&invoice).await, ProblemCode::Conflict);
        }
    }

    /// Asserts that ordering is refused as one of the past: by itself, asked with what billing has
    /// read; and by billing, which says so, keeps everything and goes on serving it.
    pub(super) async fn assert_refused_as_stale(&self) {
        let status = self.billing.pull_status().await.unwrap();
        let token = status.continuation_token.expect("billing has read something");
        let refused = self.ordering.feed(Some(&token), 10).await;
        assert_refused(refused, ProblemCode::StaleProvider);
        let before = self.holdings().await;
        assert_refused(self.billing.pull().await, ProblemCode::StaleProvider);
        wait::until("billing says that ordering is of the past", SOON, async || {
            let status = self.billing.pull_status().await.unwrap();
            status.last_error.is_some_and(|error| error.contains("of the past"))
        })
        .await;
        let (_, page) = self.billing.page("/sync").await;
        assert!(page.contains("of the past"), "{page}");
        assert!(self.metric("billing_refused_epochs_total").await > 0.0);
        // A single order is an answer of the past as well.
        let link = self.billing.follow_link(self.shared.untouched).await.unwrap();
        assert_eq!(link.status(), 303);
        let (status, page) = self.billing.page(link.headers()[LOCATION].to_str().unwrap()).await;
        assert!(status == 200 && page.contains("out of date"), "{page}");
        assert_eq!(self.holdings().await, before, "billing keeps what it has");
        let token_now = self.billing.pull_status().await.unwrap().continuation_token;
        assert_eq!(token_now.as_deref(), Some(token.as_str()));
    }

    /// The epoch in which ordering is.
    pub(super) async fn epoch(&self) -> Epoch {
        self.ordering.status().await.unwrap().epoch
    }

    /// Waits until ordering is in a later epoch than this, which nobody announced.
    pub(super) async fn begins_an_epoch_after(&self, epoch: Epoch) -> Epoch {
        wait::value("ordering notices and begins a new epoch", SOON, async || {
            // It may have lost its connections a moment ago.
            Some(self.ordering.status().await.ok()?.epoch).filter(|now| *now > epoch)
        })
        .await
    }

    /// Everything that billing has: orders and invoices.
    pub(super) async fn holdings(&self) -> (Vec<StoredOrder>, Vec<Invoice>) {
        let orders = self.billing.all_orders().await.unwrap();
        (orders, self.billing.invoices("").await.unwrap())
    }

    /// A number among billing's metrics; 0 when it is not there.
    pub(super) async fn metric(&self, name: &str) -> f64 {
        let text = self.billing.raw("/metrics").await.text().await.unwrap();
        let values =
            text.lines().filter_map(|line| line.strip_prefix(name)?.split(' ').next_back());
        values.map(|value| value.parse::<f64>().expect("a metric is a number")).sum()
    }
}

/// The invoice that counts for an order.
pub(super) async fn live_invoice(billing: &Billing, order: i64) -> Invoice {
    let invoices = billing.invoices(&format!("orderNumber={order}")).await.unwrap();
    invoices.into_iter().find(Invoice::is_live).expect("the order has an invoice")
}

/// Runs a program to its end, which must be a good one.
pub(super) async fn succeed(program: &Program) {
    let output = program.run().await;
    assert!(output.status.success(), "{program:?}: {}", String::from_utf8_lossy(&output.stderr));
}
