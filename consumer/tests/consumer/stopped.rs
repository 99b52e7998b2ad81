//! Rooms whose history stops, told to whoever watches the consumer.

use crate::fixture::{Fixture, message};
use confab_consumer::stopped::look;
use confab_protocol::Room;
use std::collections::HashSet;
use std::time::SystemTime;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_stops_at_a_place_without_a_record_is_counted_until_it_goes_on() {
    let fixture = Fixture::new(1).await;
    fixture.produce(&[message("room", 2, "the first never came"), message("whole", 1, "fine")]);
    let running = fixture.start();
    fixture.stored(2).await;
    let store = fixture.database.store();
    let mut told = HashSet::new();
    // The records are of 1.7 billion seconds after 1970.
    let soon = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_060);
    look(&store, &running.metrics, &mut told, soon).await;
    assert_eq!((running.metrics.stopped_rooms.get(), told.len()), (0, 0), "it may still come");
    look(&store, &running.metrics, &mut told, SystemTime::now()).await;
    assert_eq!((running.metrics.stopped_rooms.get(), told.len()), (1, 1));
    assert!(running.metrics.text().contains("confab_consumer_stopped_rooms 1"));
    store.close_missing(&Room::new("room").unwrap(), u64::MAX).await.unwrap();
    look(&store, &running.metrics, &mut told, SystemTime::now()).await;
    assert_eq!((running.metrics.stopped_rooms.get(), told.len()), (0, 0));
    running.stop().await;
}
