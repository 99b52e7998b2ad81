use super::*;
use crate::room::tests::record;
use std::sync::atomic::AtomicU32;

fn page(offset: u64) -> Page {
    Page::new(Cursor::new(1, offset), None, Vec::new(), Vec::new(), &CacheBytes::default())
}

#[tokio::test]
async fn many_who_want_the_same_page_have_it_read_once() {
    let cache = PageCache::default();
    let reads = Arc::new(AtomicU32::new(0));
    let background = Background::default();
    let asks = (0..500).map(|_| {
        let cache = cache.clone();
        let reads = reads.clone();
        let background = background.clone();
        tokio::spawn(async move {
            let load = move || {
                reads.fetch_add(1, Ordering::Relaxed);
                async { Ok(page(7)) }.boxed()
            };
            cache.take(&background, PageKey::Window(3), |_| true, load).await.unwrap().page.top.offset
        })
    });
    for ask in asks.collect::<Vec<_>>() {
        assert_eq!(ask.await.unwrap(), 7);
    }
    assert_eq!(reads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_page_that_does_not_serve_is_read_anew_and_a_deletion_empties_the_cache() {
    let cache = PageCache::default();
    let background = Background::default();
    let read = async |offset: u64, at_least: u64| {
        let load = move || async move { Ok(page(offset)) }.boxed();
        let taken =
            cache.take(&background, PageKey::Window(0), |page| page.top.offset >= at_least, load).await.unwrap();
        (taken.page.top.offset, taken.read)
    };
    assert_eq!(read(5, 1).await, (5, true));
    assert_eq!(read(6, 5).await, (5, false), "what is there serves");
    assert_eq!(read(9, 8).await, (9, true), "what is there ends too early");
    cache.clear();
    assert_eq!(read(10, 1).await, (10, true));
}

#[tokio::test]
async fn a_failed_reading_is_told_to_all_who_waited_and_is_tried_anew_by_the_next() {
    let cache = PageCache::default();
    let background = Background::default();
    let failing = || async { Err(Refusal::StoreUnavailable) }.boxed();
    let asks = (0..3).map(|_| cache.take(&background, PageKey::Oldest, |_| true, failing));
    for answer in futures_util::future::join_all(asks).await {
        assert_eq!(answer.err(), Some(Refusal::StoreUnavailable));
    }
    let load = || async { Ok(page(1)) }.boxed();
    let mut answer = cache.take(&background, PageKey::Oldest, |_| true, load).await;
    for _ in 0..100 {
        if answer.is_ok() {
            break;
        }
        tokio::task::yield_now().await;
        answer = cache.take(&background, PageKey::Oldest, |_| true, load).await;
    }
    assert_eq!(answer.unwrap().page.top.offset, 1);
}

#[tokio::test]
async fn pages_are_counted_while_they_are_held() {
    let bytes = CacheBytes::default();
    let held = Page::new(Cursor::new(1, 1), None, vec![record(1)], Vec::new(), &bytes);
    let without_frames = bytes.load(Ordering::Relaxed);
    assert!(without_frames > EVENT_OVERHEAD);
    assert_eq!(held.frames(&Dialect::NativeJson).len(), 1);
    assert!(bytes.load(Ordering::Relaxed) > without_frames, "frames count too");
    drop(held);
    assert_eq!(bytes.load(Ordering::Relaxed), 0);
}
