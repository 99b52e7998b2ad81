//! Several consumers in one group.

use crate::eventually;
use crate::fixture::{Fixture, Running, talk};
use crate::storing::positions;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_consumers_share_the_partitions_and_one_takes_over_when_the_other_leaves() {
    let fixture = Fixture::new(4).await;
    let (a, b) = (fixture.start(), fixture.start());
    has(&a, 2).await;
    has(&b, 2).await;
    fixture.produce(&talk(40, 20));
    fixture.stored(800).await;
    eventually("both count", || async { a.metrics.records.get() + b.metrics.records.get() == 800 }).await;
    assert!(a.metrics.records.get() > 0 && b.metrics.records.get() > 0, "both worked");

    b.stop().await;
    has(&a, 4).await;
    let more: Vec<_> = talk(40, 40).into_iter().filter(|record| record.cursor.offset > 20).collect();
    fixture.produce(&more);
    fixture.stored(1600).await;
    assert_eq!(positions(&fixture).await.iter().sum::<u64>(), 1600);
    assert_eq!((a.metrics.fenced.get(), a.metrics.copies.get()), (0, 0));
    a.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_that_come_and_go_under_load_store_everything_once() {
    let fixture = Fixture::new(4).await;
    let mut consumers = vec![fixture.start()];
    for round in 1..=4_u64 {
        let (from, to) = ((round - 1) * 25, round * 25);
        let part: Vec<_> = talk(20, to).into_iter().filter(|record| record.cursor.offset > from).collect();
        fixture.produce(&part);
        consumers.push(fixture.start());
        if round % 2 == 0 {
            consumers.remove(0).stop().await;
        }
    }
    fixture.stored(2000).await;
    let copies: u64 = consumers.iter().map(|running| running.metrics.copies.get()).sum();
    assert_eq!(copies, 0);
    for running in consumers {
        running.stop().await;
    }
}

async fn has(running: &Running, partitions: i64) {
    eventually("the partitions are shared", || async { running.metrics.partitions.get() == partitions }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_without_partitions_is_ready_and_takes_over() {
    let fixture = Fixture::new(1).await;
    let (a, b) = (fixture.start(), fixture.start());
    let ready = || async { a.readiness.trouble().is_none() && b.readiness.trouble().is_none() };
    eventually("both are ready", ready).await;
    let shared = || async { a.metrics.partitions.get() + b.metrics.partitions.get() == 1 };
    eventually("one has the partition", shared).await;
    let (busy, idle) = if a.metrics.partitions.get() == 1 { (a, b) } else { (b, a) };
    busy.stop().await;
    has(&idle, 1).await;
    fixture.produce(&talk(1, 10));
    fixture.stored(10).await;
    idle.stop().await;
}
