//! Requests and a session meet.

use super::*;
use tokio::task::JoinHandle;

fn text(text: &str) -> Frame {
    text.to_owned().into()
}

fn polling() -> (Arc<Polling>, mpsc::Receiver<Inbound>) {
    Polling::new("sid".to_owned())
}

/// A GET that waits.
async fn waiting(polling: &Arc<Polling>) -> JoinHandle<Result<Vec<Frame>, Refused>> {
    let asking = polling.clone();
    let poll = tokio::spawn(async move { asking.poll().await });
    polling.asked().await;
    poll
}

#[tokio::test]
async fn what_waits_for_a_poll_is_one_flush_and_the_rest_is_given_back() {
    let (polling, _inbound) = polling();
    assert!(polling.offer(vec![text("4x"); FRAMES_PER_FLUSH]).is_ok());
    assert!(matches!(polling.offer(vec![text("4y")]), Err(Offered::Full(back)) if back == [text("4y")]));
    assert_eq!(polling.poll().await.unwrap().len(), POLL_PACKETS_MAX);
    assert!(polling.offer(vec![text("4y")]).is_ok());
}

#[tokio::test]
async fn an_answer_has_at_most_sixteen_packets_and_the_end_comes_behind_them_all() {
    let (polling, _inbound) = polling();
    let said: Vec<Frame> = (0..40).map(|n| text(&format!("4{n}"))).collect();
    let waiting = waiting(&polling).await;
    assert!(polling.offer(said.clone()).is_ok());
    polling.announce_close();
    let mut heard = waiting.await.unwrap().unwrap();
    assert_eq!(heard.len(), 16, "also of an answer that waited");
    for packets in [16, 9] {
        let more = polling.poll().await.unwrap();
        assert_eq!(more.len(), packets);
        heard.extend(more);
    }
    assert_eq!(heard.pop(), Some(text("1")));
    assert_eq!(heard, said);
    assert_eq!(polling.poll().await, Err(Refused::Unknown));
}

#[tokio::test]
async fn a_second_poll_ends_the_session() {
    let (polling, _inbound) = polling();
    let first = waiting(&polling).await;
    assert_eq!(polling.poll().await, Err(Refused::Overlap));
    assert_eq!(polling.failed().await, Close::BadRequest);
    assert!(polling.offer(vec![text("4why")]).is_ok());
    assert_eq!(first.await.unwrap(), Ok(vec![text("4why")]), "the first hears why");
    polling.announce_close();
    assert_eq!(polling.poll().await, Ok(vec![text("1")]));
    assert_eq!(polling.poll().await, Err(Refused::Unknown));
}

#[tokio::test]
async fn a_poll_that_goes_away_ends_the_session() {
    let (polling, _inbound) = polling();
    waiting(&polling).await.abort();
    polling.ended().await;
    assert_eq!(polling.poll().await, Err(Refused::Unknown));
}

#[tokio::test]
async fn what_was_posted_with_a_goodbye_is_still_brought() {
    let (polling, mut inbound) = polling();
    let poll = waiting(&polling).await;
    let packets = vec![Packet::Message(text("4last")), Packet::Close];
    polling.begin_post().unwrap().deliver(packets.clone()).await.unwrap();
    assert_eq!(poll.await.unwrap(), Ok(vec![text("6")]));
    assert!(matches!(inbound.recv().await, Some(Inbound::Packets(brought)) if brought == packets));
    assert!(polling.begin_post().is_err());
}

#[tokio::test]
async fn while_a_websocket_is_tried_no_poll_waits() {
    let (polling, _inbound) = polling();
    let poll = waiting(&polling).await;
    assert!(polling.probe());
    assert!(!polling.probe());
    assert_eq!(poll.await.unwrap(), Ok(vec![text("6")]));
    assert_eq!(polling.poll().await, Ok(vec![text("6")]));
    polling.unprobe();
    assert!(polling.may_upgrade());
}
