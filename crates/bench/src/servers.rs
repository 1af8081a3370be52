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
    /// Whether both have `pg_stat_statements`.
    pub(crate) counts_statements: bool,
}

impl Servers {
    /// Starts both.
    pub(crate) async fn start() -> Result<Self> {
        let (source, copy) = (Server::start_durable().await, Server::start_durable().await);
        let mut servers = Self { source, copy, counts_statements: false };
        servers.set("wal_level = logical").await?;
        Ok(servers)
    }

    /// Starts both with `pg_stat_statements`, where that is installed.
    pub(crate) async fn start_counting_statements() -> Result<Self> {
        const AVAILABLE: &str =
            "select count(*) from pg_available_extensions where name = 'pg_stat_statements'";
        let mut servers = Self::start().await?;
        if admin(&servers.copy).await?.number(AVAILABLE).await? > 0 {
            servers.set("shared_preload_libraries = pg_stat_statements").await?;
            for server in [&servers.source, &servers.copy] {
                admin(server).await?.execute("create extension pg_stat_statements").await?;
            }
            servers.counts_statements = true;
        }
        Ok(servers)
    }

    /// Forgets the statements that were counted so far.
    pub(crate) async fn begin_counting(&self) -> Result<()> {
        if self.counts_statements {
            for server in [&self.source, &self.copy] {
                admin(server).await?.execute("select pg_stat_statements_reset()").await?;
            }
        }
        Ok(())
    }

    /// Changes a setting that counts from the next start, and starts both again.
    async fn set(&mut self, setting: &str) -> Result<()> {
        for server in [&mut self.source, &mut self.copy] {
            admin(server).await?.execute(&format!("alter system set {setting}")).await?;
            server.stop().await;
            server.start_again().await;
        }
        Ok(())
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
