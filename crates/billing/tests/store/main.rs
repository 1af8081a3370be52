//! What every store must do: each case runs on SQLite and on PostgreSQL.

mod world;

mod following;

/// Makes each case a test of its own on both databases: `case::sqlite` and `case::postgres`.
macro_rules! on_both_databases {
    ($($case:ident),+ $(,)?) => {
        $(mod $case {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$case(crate::world::World::sqlite().await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$case(crate::world::World::postgres().await).await;
            }
        })+
    };
}
use on_both_databases;
