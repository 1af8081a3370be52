//! Hot standbys: a second server that follows a first one, some way behind.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::database::execute;
use super::server::{Server, run};
use crate::wait;

/// What a standby does when it is told takes a moment, on a busy machine a few.
const LIMIT: Duration = Duration::from_mins(1);

impl Server {
    /// Starts an asynchronous hot standby of this server: a copy that is read from, and follows as
    /// fast as it can while this server waits for nothing. A replication slot keeps for it what it
    /// has not fetched yet.
    ///
    /// # Panics
    /// When there are no server programs, or they fail: with their log.
    pub async fn start_standby(&self) -> Self {
        let standby = Self::without_data(self.is_durable(), None);
        let slot = format!("standby_{}", standby.port());
        let mut copy = standby.program("pg_basebackup");
        copy.arg("-D").arg(standby.data());
        copy.args(["-h", "127.0.0.1", "-p", &self.port().to_string(), "-U", "postgres"]);
        copy.args(["--write-recovery-conf", "--create-slot", "--slot", &slot]);
        copy.args(["--wal-method=stream", "--checkpoint=fast", "--no-sync"]);
        run(copy);
        standby.started().await
    }

    /// Waits until this standby has everything that `primary` has committed.
    ///
    /// # Panics
    /// When that takes longer than a minute.
    pub async fn catch_up(&self, primary: &Self) {
        let there = primary.answer("select pg_current_wal_flush_lsn()::text").await;
        let here = format!("select (pg_last_wal_replay_lsn() >= '{there}')::text");
        wait::until("the standby has caught up", LIMIT, async || {
            self.answer(&here).await == "true"
        })
        .await;
    }

    /// Cuts this standby off: it receives nothing more, and goes on answering with what it has.
    ///
    /// # Panics
    /// When it is no standby, or does not let go within a minute.
    pub async fn cut_off(&self) {
        self.execute("alter system set primary_conninfo = ''").await;
        self.execute("select pg_reload_conf()").await;
        wait::until("the standby is cut off", LIMIT, async || {
            self.answer("select count(*)::text from pg_stat_wal_receiver").await == "0"
        })
        .await;
    }

    /// Lets this standby receive, and not show what it receives.
    ///
    /// # Panics
    /// When it is no standby, or does not pause within a minute.
    pub async fn pause_replay(&self) {
        self.execute("select pg_wal_replay_pause()").await;
        wait::until("replay is paused", LIMIT, async || {
            self.answer("select pg_get_wal_replay_pause_state()").await == "paused"
        })
        .await;
    }

    /// Lets this standby show what it has received, and go on.
    ///
    /// # Panics
    /// When it is no standby.
    pub async fn resume_replay(&self) {
        self.execute("select pg_wal_replay_resume()").await;
    }

    /// Makes this standby a primary, with what it has: a new timeline begins.
    ///
    /// # Panics
    /// When it is no standby, or does not take writes within a minute.
    pub async fn promote(&self) {
        let promoted = self.answer("select pg_promote(true, 60)::text").await;
        assert_eq!(promoted, "true", "the standby was not promoted:\n{}", self.log());
    }

    async fn execute(&self, sql: &str) {
        execute(&self.options(), sql.to_owned())
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}\n{}", self.log()));
    }

    /// The one text that a query answers.
    async fn answer(&self, sql: &str) -> String {
        let asked = async {
            let mut connection = PgConnection::connect_with(&self.options()).await?;
            sqlx::query(AssertSqlSafe(sql)).fetch_one(&mut connection).await?.try_get(0)
        };
        let answered: Result<String, sqlx::Error> = asked.await;
        answered.unwrap_or_else(|error| panic!("{sql}: {error}\n{}", self.log()))
    }
}
