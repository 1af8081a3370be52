//! A backup made with `pg_dump` is restored twice: announced the first time, and the second time
//! without a word.

use e2e::pair::Engine;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use testkit::postgres::{Dump, Server};

use crate::scene::Scene;

const DATABASE: &str = "ordering";

/// Ordering runs on a backup: it has the numbers to give out that billing knows already, and goes
/// on differently, with `count` new orders.
async fn goes_on_differently(scene: &mut Scene, name: &str, count: i64) {
    let created = scene.live(name, count).await;
    for number in &created {
        assert!(scene.billing.order(*number).await.is_some(), "{number} was not given out before");
    }
    scene.converges().await;
    for number in [scene.shared.changed, scene.shared.approved] {
        scene.assert_content(number, 3, name).await;
    }
    for number in created {
        scene.assert_content(number, 2, name).await;
    }
    assert!(!scene.billing.order(scene.shared.deleted).await.unwrap().deleted);
    assert!(scene.lost.contains(&scene.shared.draft));
    scene.assert_lost_are_not_approvable().await;
}

/// Puts database `from` in the place of ordering's, which is in use, and goes on to be.
async fn swap_in(server: &Server, from: &str) {
    let mut admin = PgConnection::connect(&server.url("postgres")).await.unwrap();
    for sql in [
        format!("alter database {DATABASE} allow_connections false"),
        format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{DATABASE}'"
        ),
        format!("alter database {DATABASE} rename to lost"),
        format!("alter database {from} rename to {DATABASE}"),
    ] {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
    }
}

/// What is the same wherever the backup is restored. `first` is the server that it is made on, the
/// others are those that it is restored into.
async fn restored_twice(first: &Server, others: [&Server; 2]) -> (Scene, Dump) {
    let mut scene = Scene::start(&first.create_database(DATABASE).await, Engine::Postgres).await;
    let backup = first.dump(DATABASE);
    let epoch = scene.epoch().await;
    scene.live_in_vain().await;
    scene.converges().await;
    assert!(scene.lost.is_empty());

    scene.pair.ordering.kill();
    let url = others[0].restore(&backup, DATABASE).await;
    scene.announce_new_epoch(&url).await;
    scene.ordering_goes_on_with(&url).await;
    let announced = scene.epoch().await;
    assert!(announced > epoch);
    goes_on_differently(&mut scene, "announced", 8).await;
    assert_eq!(scene.epoch().await, announced, "once announced, it is not noticed again");
    let lost_once = scene.lost.len();

    scene.pair.ordering.kill();
    let url = others[1].restore(&backup, DATABASE).await;
    scene.ordering_goes_on_with(&url).await;
    let noticed = scene.begins_an_epoch_after(announced).await;
    goes_on_differently(&mut scene, "unannounced", 5).await;
    assert_eq!(scene.epoch().await, noticed);
    assert_eq!(scene.lost.len(), lost_once + 3, "those of the first life and of the second");
    scene.pair.billing.assert_running();
    (scene, backup)
}

#[tokio::test]
async fn restored_into_fresh_servers() {
    let (first, second, third) =
        (Server::start().await, Server::start().await, Server::start().await);
    restored_twice(&first, [&second, &third]).await;
}

#[tokio::test]
async fn restored_into_the_same_server_under_the_same_name() {
    let server = Server::start().await;
    let (mut scene, backup) = restored_twice(&server, [&server, &server]).await;

    // Once more, and so that ordering runs on and sees only its connections break.
    let epoch = scene.epoch().await;
    server.restore(&backup, "restored").await;
    swap_in(&server, "restored").await;
    scene.begins_an_epoch_after(epoch).await;
    goes_on_differently(&mut scene, "swapped in", 3).await;
    scene.pair.ordering.assert_running();
}
