//! A store that goes away and comes back, and a consumer that has been replaced meanwhile.

use crate::eventually;
use crate::fixture::{Fixture, store_at, talk};
use crate::storing::positions;
use confab_config::ConsumerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A door to PostgreSQL that can be closed: connections break, new ones are refused. It can also be told to break a
/// connection right after a commit, before the answer is heard.
struct Door {
    address: SocketAddr,
    open: Arc<watch::Sender<bool>>,
    break_after_commit: Arc<AtomicBool>,
}

impl Door {
    async fn to(database: &str, open: bool) -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (before, rest) = database.split_once('@').expect("a url with a user");
        let (behind, name) = rest.split_once('/').expect("a url with a database");
        let (url, behind) = (format!("{before}@{address}/{name}"), behind.to_owned());
        let open = Arc::new(watch::Sender::new(open));
        let break_after_commit = Arc::new(AtomicBool::new(false));
        let (doorman, breaking) = (Arc::clone(&open), Arc::clone(&break_after_commit));
        tokio::spawn(async move {
            while let Ok((guest, _)) = listener.accept().await {
                if *doorman.borrow() {
                    tokio::spawn(carry(guest, behind.clone(), doorman.subscribe(), Arc::clone(&breaking)));
                }
            }
        });
        (Self { address, open, break_after_commit }, url)
    }

    fn open(&self) {
        self.open.send_replace(true);
    }

    fn close(&self) {
        self.open.send_replace(false);
    }
}

async fn carry(guest: TcpStream, behind: String, mut open: watch::Receiver<bool>, breaking: Arc<AtomicBool>) {
    let Ok(host) = TcpStream::connect(behind).await else { return };
    tokio::select! {
        _ = talk_through(guest, host, &breaking) => {}
        _ = open.wait_for(|open| !open) => {}
    }
}

async fn talk_through(mut guest: TcpStream, mut host: TcpStream, breaking: &AtomicBool) -> std::io::Result<()> {
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    loop {
        tokio::select! {
            read = guest.read(&mut asked) => {
                let said = &asked[..read?];
                host.write_all(said).await?;
                let commits = said.windows(6).any(|word| word.eq_ignore_ascii_case(b"commit"));
                if said.is_empty() || (commits && breaking.swap(false, Ordering::SeqCst)) {
                    // PostgreSQL has answered, so the commit is done; nobody hears of it.
                    host.readable().await?;
                    return Ok(());
                }
            }
            read = host.read(&mut answered) => {
                let said = &answered[..read?];
                guest.write_all(said).await?;
                if said.is_empty() {
                    return Ok(());
                }
            }
        }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_is_recognised_as_done() {
    let fixture = Fixture::new(1).await;
    let (door, url) = Door::to(&fixture.database.url, true).await;
    let running = fixture.start_with(&fixture.consumer, store_at(&url));
    fixture.produce(&talk(1, 10));
    fixture.stored(10).await;
    door.break_after_commit.store(true, Ordering::SeqCst);
    let more: Vec<_> = talk(1, 60).into_iter().filter(|record| record.cursor.offset > 10).collect();
    fixture.produce(&more);
    fixture.stored(60).await;
    eventually("all are counted", || async { running.metrics.records.get() == 60 }).await;
    assert!(running.metrics.store_retries.get() >= 1, "the answer was lost");
    assert_eq!((running.metrics.fenced.get(), running.metrics.copies.get()), (0, 0));
    assert_eq!(running.readiness.trouble(), None);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_table_is_waited_for_and_empties_nothing_into_the_dead_letters() {
    let fixture = Fixture::new(1).await;
    fixture.database.execute("alter table messages rename to messages_away").await;
    fixture.produce(&talk(2, 20));
    let running = fixture.start();
    let waits = || async { running.readiness.trouble().is_some_and(|trouble| trouble.contains("confab migrate")) };
    eventually("it says what it waits for", waits).await;
    assert_eq!(running.metrics.dead_letters.get(), 0);
    fixture.database.execute("alter table messages_away rename to messages").await;
    fixture.stored(40).await;
    assert_eq!((running.metrics.dead_letters.get(), running.metrics.unreadable.get()), (0, 0));
    running.stop().await;
}
