//! The service against an ordering that does what a test tells it: every answer a feed can give,
//! the loop, and the API.

mod feed;
mod ordering;
mod world;

mod ahead;
mod api;
mod bad_answers;
mod dispatch_loop;
mod dispatching;
mod expiring;
mod faults;
mod histories;
mod looping;
mod problems;
mod quarantine;
mod representations;
mod rereading;
mod sweeping;
mod tampering;
mod verifying;
mod waiting;
mod watchdog;

/// Makes each case a test of its own on both databases: `case::sqlite` and `case::postgres`.
macro_rules! on_both_databases {
    ($($case:ident),+ $(,)?) => {
        $(mod $case {
            #[tokio::test]
            async fn sqlite() {
                super::$case(crate::world::World::sqlite().await).await;
            }

            #[tokio::test]
            async fn postgres() {
                super::$case(crate::world::World::postgres().await).await;
            }
        })+
    };
}
use on_both_databases;
