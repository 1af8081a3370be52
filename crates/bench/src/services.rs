//! Ordering and billing as processes: this very program starts itself again as either, so that one
//! build has everything, and each service still is a process of its own.

use contract::problem::ProblemCode;
use e2e::api::Failure;
use testkit::postgres::Server;
use testkit::process::{Program, Service};
use testkit::sqlite::TestFile;

use crate::servers::{self, Servers};
use crate::{Result, verify};

/// The databases of one pair.
pub(crate) struct Pair {
    /// Ordering's, as a service takes it.
    pub(crate) ordering_url: String,
    /// Billing's, as a service takes it.
    pub(crate) billing_url: String,
    /// Kept until the pair is dropped.
    _files: Vec<TestFile>,
}

impl Pair {
    /// Two empty databases `ordering{suffix}` and `billing{suffix}`, in place of older ones.
    pub(crate) async fn on(servers: &Servers, suffix: &str) -> Result<Self> {
        async fn fresh(server: &Server, name: &str) -> Result<String> {
            servers::drop_database(server, name).await?;
            Ok(server.create_database(name).await)
        }
        Ok(Self {
            ordering_url: fresh(&servers.source, &format!("ordering{suffix}")).await?,
            billing_url: fresh(&servers.copy, &format!("billing{suffix}")).await?,
            _files: Vec::new(),
        })
    }

    /// Throws both databases away, so that the servers have nothing more to do for them.
    pub(crate) async fn discard(self, servers: &Servers) -> Result<()> {
        servers::drop_database(&servers.source, "ordering").await?;
        servers::drop_database(&servers.copy, "billing").await
    }

    /// Two files.
    pub(crate) fn on_sqlite() -> Self {
        let files = vec![testkit::sqlite::file(), testkit::sqlite::file()];
        Self { ordering_url: files[0].url(), billing_url: files[1].url(), _files: files }
    }

    /// Brings both schemas up to date, so that no clock runs for it.
    pub(crate) async fn migrate(&self) -> Result<()> {
        let of = |name, url: &str| service(name).args(["migrate", "--database-url", url]);
        finish(&of("ordering", &self.ordering_url)).await?;
        finish(&of("billing", &self.billing_url)).await
    }

    /// `ordering serve`.
    pub(crate) fn ordering(&self) -> Program {
        let program = service("ordering").args(["serve", "--listen", "127.0.0.1:0"]);
        program.args(["--database-url", &self.ordering_url])
    }

    /// `billing serve`, with `--pull-interval` as it is by default.
    pub(crate) fn billing(&self, ordering: &Service) -> Program {
        let program = service("billing").args(["serve", "--listen", "127.0.0.1:0"]);
        let program = program.args(["--database-url", &self.billing_url]);
        program.args(["--ordering-url", &ordering.url()])
    }
}

/// This program, to be run as the service with this name.
pub(crate) fn service(name: &str) -> Program {
    Program::new("bench").arg(name)
}

/// Billing with pulls that wait at the end of the feed.
pub(crate) fn waiting(billing: Program) -> Program {
    billing.args(["--pull-interval", "60s", "--pull-wait", "25s"])
}

/// Billing that pulls when it starts, and then only when it is asked to.
pub(crate) fn without_waiting(billing: Program) -> Program {
    billing.args(["--pull-interval", "24h"])
}

/// Runs a program to its end.
pub(crate) async fn finish(program: &Program) -> Result<()> {
    let ended = program.run().await;
    verify(ended.status.success(), || {
        format!("{program:?}: {}", String::from_utf8_lossy(&ended.stderr))
    })
}

/// Why a request was not answered as asked, as an error.
#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
pub(crate) fn refused(failure: Failure) -> String {
    let code = failure.code().map_or("no answer", ProblemCode::as_str);
    format!("a service refused: {code}, {failure:?}")
}
