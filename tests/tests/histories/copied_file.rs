//! Copies of ordering's SQLite file are restored. A file does not tell what became of it, so this
//! is noticed only by what billing has read, or announced.

use std::fs;
use std::path::{Path, PathBuf};

use e2e::pair::Engine;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use testkit::sqlite::{self, TestFile};

use crate::scene::Scene;

/// Copies a database that is in use, as a backup does.
async fn back_up(database: &TestFile) -> TestFile {
    let backup = sqlite::file();
    let options = SqliteConnectOptions::new().filename(database.path());
    let mut connection = options.connect().await.unwrap();
    let copy = sqlx::query("vacuum into $1").bind(backup.path().display().to_string());
    copy.execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    backup
}

/// Puts the backup in the database's place; nobody may be using it.
fn restore(backup: &TestFile, database: &TestFile) {
    let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", database.path().display()));
    let there = |path: &&PathBuf| Path::exists(path);
    for path in [beside("-wal"), beside("-shm")].iter().filter(there) {
        fs::remove_file(path).expect("what belongs to the lost file can be removed");
    }
    fs::copy(backup.path(), database.path()).expect("the backup can be copied");
}

#[tokio::test]
async fn restored_twice_from_one_backup_and_once_from_a_later_one() {
    let file = sqlite::file();
    let mut scene = Scene::start(&file.url(), Engine::Sqlite).await;
    let backup = back_up(&file).await;
    let epoch = scene.epoch().await;
    scene.live_in_vain().await;
    scene.converges().await;

    scene.pair.ordering.kill();
    restore(&backup, &file);
    scene.announce_new_epoch(&file.url()).await;
    scene.ordering_goes_on_with(&file.url()).await;
    let announced = scene.epoch().await;
    assert!(announced > epoch);
    scene.live("announced", 8).await;
    scene.converges().await;
    scene.assert_content(scene.shared.changed, 3, "announced").await;
    scene.assert_lost_are_not_approvable().await;

    // The same backup again: what billing has read is of a later epoch than this file knows.
    scene.pair.ordering.kill();
    restore(&backup, &file);
    scene.ordering_goes_on_with(&file.url()).await;
    scene.live("unannounced", 5).await;
    scene.assert_refused_as_stale().await;
    assert_eq!(scene.epoch().await, epoch, "nothing begins by itself");
    // Beside the running service: it does not have to be stopped for it.
    scene.announce_new_epoch(&file.url()).await;
    let announced = scene.epoch().await;
    scene.converges().await;
    scene.assert_content(scene.shared.changed, 3, "unannounced").await;
    scene.assert_lost_are_not_approvable().await;

    // A backup of this epoch: billing has read further than it goes.
    let backup = back_up(&file).await;
    scene.live("lost as well", 3).await;
    scene.converges().await;
    scene.pair.ordering.kill();
    restore(&backup, &file);
    scene.ordering_goes_on_with(&file.url()).await;
    let noticed = scene.begins_an_epoch_after(announced).await;
    scene.live("noticed", 2).await;
    scene.converges().await;
    scene.assert_content(scene.shared.changed, 4, "noticed").await;
    assert_eq!(scene.epoch().await, noticed);
    scene.assert_lost_are_not_approvable().await;
    scene.pair.billing.assert_running();
}
