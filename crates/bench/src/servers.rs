//! The two PostgreSQL servers, on which all contenders have their turns.
//!
//! Both are durable and have PostgreSQL's default settings but one: `wal_level=logical`, without
//! which there is no logical replication. It is set for all contenders alike.

use testkit::postgres::Server;

use crate::Result;
use crate::database::Database;

/// A server to copy from, with ordering or the publisher, and one to copy to, with billing or the
/// subscriber.
pub(crate) struct Servers {
    /// Where orders are written first.
    pub(crate) source: Server,
    /// Where they arrive.
    pub(crate) copy: Server,
}

impl Servers {
    /// Starts both.
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// Starts both with further settings, each as `alter system set` takes it.
    pub(crate) async fn start_with(settings: &[&str]) -> Result<Self> {
        Ok(Self { source: start(settings).await?, copy: start(settings).await? })
    }

    /// Empties what is not on disk yet, so that no contender pays for the one before.
    pub(crate) async fn settle(&self) -> Result<()> {
        for server in [&self.source, &self.copy] {
            admin(server).await?.execute("checkpoint").await?;
        }
        Ok(())
    }
}

/// A connection to the server's own database.
pub(crate) async fn admin(server: &Server) -> Result<Database> {
    Database::connect(&server.url("postgres")).await
}

/// The server's version.
pub(crate) async fn version(server: &Server) -> Result<String> {
    Ok(admin(server).await?.texts("show server_version").await?.concat())
}

/// Throws a database away, whoever uses it.
pub(crate) async fn drop_database(server: &Server, name: &str) -> Result<()> {
    let sql = format!("drop database if exists {name} with (force)");
    admin(server).await?.execute(&sql).await
}

async fn start(settings: &[&str]) -> Result<Server> {
    let mut server = Server::start_durable().await;
    let mut admin = admin(&server).await?;
    for setting in ["wal_level = logical"].iter().chain(settings) {
        admin.execute(&format!("alter system set {setting}")).await?;
    }
    drop(admin);
    server.stop().await;
    server.start_again().await;
    Ok(server)
}
