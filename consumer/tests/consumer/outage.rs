//! A store that goes away and comes back, and a consumer that has been replaced meanwhile.

use crate::eventually;
use crate::fixture::{Fixture, store_at, talk};
use crate::storing::positions;
use confab_config::ConsumerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A door to PostgreSQL that can be closed: connections break, new ones are refused.
struct Door {
    address: SocketAddr,
    open: Arc<watch::Sender<bool>>,
}

impl Door {
    async fn to(database: &str, open: bool) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (before, rest) = database.split_once('@').expect("a url with a user");
        let (behind, name) = rest.split_once('/').expect("a url with a database");
        let (url, behind) = (format!("{before}@{address}/{name}"), behind.to_owned());
        let open = Arc::new(watch::Sender::new(open));
        let doorman = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((guest, _)) = listener.accept().await {
                if *doorman.borrow() {
                    tokio::spawn(carry(guest, behind.clone(), doorman.subscribe()));
                }
            }
        });
        (Self { address, open }, url)
    }

    fn open(&self) {
        self.open.send_replace(true);
    }

    fn close(&self) {
        self.open.send_replace(false);
    }
}

async fn carry(mut guest: TcpStream, behind: String, mut open: watch::Receiver<bool>) {
    let Ok(mut host) = TcpStream::connect(behind).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut guest, &mut host) => {}
        _ = open.wait_for(|open| !open) => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_is_waited_for_and_nothing_is_lost() {
    let fixture = Fixture::new(2).await;
    let (door, url) = Door::to(&fixture.database.url, false).await;
    fixture.produce(&talk(4, 100));
    let running = fixture.start_with(&fixture.consumer, store_at(&url));
    let waits =
        || async { running.readiness.trouble().is_some_and(|trouble| trouble.contains("could not reach the store")) };
    eventually("it says what it waits for", waits).await;
    assert_eq!(fixture.database.count("events").await, 0);
    door.open();
    fixture.stored(400).await;
    eventually("it is ready", || async { running.readiness.trouble().is_none() }).await;

    door.close();
    let more: Vec<_> = talk(4, 200).into_iter().filter(|record| record.cursor.offset > 100).collect();
    fixture.produce(&more);
    eventually("it tries in vain", || async { running.metrics.store_retries.get() > 0 }).await;
    assert_eq!(fixture.database.count("events").await, 400, "{} is closed", door.address);
    door.open();
    fixture.stored(800).await;
    assert_eq!(running.metrics.fenced.get(), 0);
    assert_eq!(positions(&fixture).await.iter().sum::<u64>(), 800);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_can_stop_while_the_store_is_away() {
    let fixture = Fixture::new(1).await;
    let (_door, url) = Door::to(&fixture.database.url, false).await;
    fixture.produce(&talk(1, 10));
    let running = fixture.start_with(&fixture.consumer, store_at(&url));
    eventually("it waits", || async { running.readiness.trouble().is_some_and(|t| t.contains("store")) }).await;
    running.stop().await;
    let next = fixture.start();
    fixture.stored(10).await;
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zombie_that_wakes_after_its_partitions_moved_writes_nothing() {
    let fixture = Fixture::new(1).await;
    let (door, url) = Door::to(&fixture.database.url, true).await;
    let small = ConsumerConfig { batch_records: 50, ..fixture.consumer.clone() };
    let zombie = fixture.start_with(&small, store_at(&url));
    fixture.produce(&talk(1, 20));
    fixture.stored(20).await;
    // It sleeps with a batch in its hands.
    door.close();
    let more: Vec<_> = talk(1, 500).into_iter().filter(|record| record.cursor.offset > 20).collect();
    fixture.produce(&more);
    eventually("it holds a batch", || async { zombie.metrics.store_retries.get() > 0 }).await;

    // Another group stands for a group that has moved on without telling it.
    let other = ConsumerConfig { group: format!("{}-heir", small.group), ..small };
    let heir = fixture.start_with(&other, fixture.database.store());
    fixture.stored(500).await;
    heir.stop().await;
    let before = fixture.database.dump().await;

    door.open();
    eventually("it is fenced", || async { zombie.metrics.fenced.get() == 1 }).await;
    eventually("it is ready again", || async { zombie.readiness.trouble().is_none() }).await;
    assert_eq!(fixture.database.dump().await, before, "nothing written, no position moved back");

    let last: Vec<_> = talk(1, 510).into_iter().filter(|record| record.cursor.offset > 500).collect();
    fixture.produce(&last);
    fixture.stored(510).await;
    assert_eq!(zombie.metrics.copies.get(), 0, "it went on where the store is");
    zombie.stop().await;
}
