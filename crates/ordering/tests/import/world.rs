//! A store of its own, and an import into it.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use contract::order::Order;
use contract::time::Timestamp;
use kit::clock::ManualClock;
use kit::random::Random;
use ordering::import::{self, ImportError, Report};
use ordering::store::{OrderFilter, Store, open};
use tempfile::TempDir;

/// When every case begins: 2026-05-01T10:00:00Z.
pub(crate) const AT: Timestamp = Timestamp::from_micros(1_777_629_600_000_000);

/// Makes each case, a function that takes a [`World`], a test on each database.
macro_rules! on_both_databases {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case($crate::world::World::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case($crate::world::World::postgres().await).await;
            })+
        }
    };
}
pub(crate) use on_both_databases;

/// A store on a database that no other test uses, and a directory for files.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) random: Random,
    directory: TempDir,
    /// Removed when the case is over.
    _database: Box<dyn Any + Send>,
}

impl World {
    pub(crate) async fn sqlite() -> Self {
        let file = testkit::sqlite::file();
        let url = file.url();
        Self::over(&url, Box::new(file)).await
    }

    pub(crate) async fn postgres() -> Self {
        let database = testkit::postgres::database().await;
        let url = database.url();
        Self::over(&url, Box::new(database)).await
    }

    async fn over(url: &str, database: Box<dyn Any + Send>) -> Self {
        let random = Random::seeded(1);
        let store = open(&url.parse().unwrap(), &random, AT).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        Self { store, clock: ManualClock::at(AT), random, directory, _database: database }
    }

    /// A path in the case's own directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A file with this text in the case's own directory.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) async fn import(
        &self,
        file: &Path,
        rejected: Option<&Path>,
    ) -> Result<Report, ImportError> {
        import::run(&*self.store, &*self.clock, &self.random, file, rejected).await
    }

    /// All orders by their reference.
    pub(crate) async fn orders(&self) -> BTreeMap<String, Order> {
        let orders = self.store.orders(&OrderFilter::default(), 100_000).await.unwrap();
        let by_reference = |order: Order| (order.reference.clone().unwrap_or_default(), order);
        orders.into_iter().map(by_reference).collect()
    }
}
