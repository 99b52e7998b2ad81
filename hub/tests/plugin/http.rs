//! Plugins that ask other servers: only those that are granted, within bounds, and at nobody else's expense.

use crate::servers::{Server, answer, answering, nobody_at, silent};
use crate::support::{World, reach, world};
use crate::waiting;
use std::sync::Arc;
use std::time::Duration;

/// The fixture, granted these servers at private addresses; `more` are further limits.
async fn asking(servers: &[&Server], more: &str) -> World {
    let allow: Vec<String> = servers.iter().map(|server| format!("'{}'", server.origin())).collect();
    let http = format!("http = {{ allow = [{}], private = true, timeout = '30s', {more} }}", allow.join(", "));
    world(&reach(&format!("kv = true, {http}"), "").replace("'5s'", "'60s'")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_granted_server_is_asked_and_its_answer_is_handed_over_whatever_its_status() {
    let server = answering(answer("418 I'm a teapot", "x-score: 7\r\n", "short and stout"), false).await;
    let world = asking(&[&server], "calls = 9").await;
    assert_eq!(world.said(&format!("ask GET {}/a?b=c#d", server.origin())).await, "418 short and stout");
    assert_eq!(world.said(&format!("ask POST {}/ x-key 12", server.origin())).await, "418 short and stout");
    let heads = server.heads.lock().unwrap().clone();
    assert!(heads[0].starts_with("GET /a?b=c HTTP/1.1\r\n"), "{}", heads[0]);
    assert!(heads[0].contains(&format!("\r\nhost: {}\r\n", server.address)), "{}", heads[0]);
    assert!(heads[0].contains(" (plugin it)\r\n"), "{}", heads[0]);
    assert!(heads[1].contains("\r\nx-key: 12\r\n") && heads[1].contains("\r\ncontent-length: 6\r\n"), "{}", heads[1]);
    assert_eq!((world.seen.host("http", "ok"), world.seen.waits.lock().unwrap()["http"]), (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_origin_is_not_asked() {
    let (server, stranger) = (answering(answer("200 OK", "", "ok"), false).await, answering("", false).await);
    let world = asking(&[&server], "").await;
    for url in [stranger.origin(), format!("https://{}", server.address), "http://example.com/".into()] {
        let said = world.said(&format!("ask GET {url}")).await;
        assert!(said.starts_with("forbidden: ") && said.ends_with("is not granted"), "{said}");
    }
    let said = world.said(&format!("ask GET http://user@{}/", server.address)).await;
    assert!(said.starts_with("invalid: "), "{said}");
    let said = world.said(&format!("ask GET {} Host example.com", server.origin())).await;
    assert_eq!(said, "invalid: the header field `host` is the hub's own");
    assert_eq!((server.asked(), stranger.asked()), (0, 0));
    assert_eq!((world.seen.host("http", "forbidden"), world.seen.host("http", "invalid")), (3, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_address_is_not_asked_unless_that_is_granted() {
    let server = answering(answer("200 OK", "", "secret"), false).await;
    // By its address, and by a name that leads to it.
    let named = format!("http://localhost:{}", server.address.port());
    let http = format!("http = {{ allow = ['{}', '{named}'] }}", server.origin());
    let guarded = world(&reach(&format!("kv = true, {http}"), "")).await;
    let said = guarded.said(&format!("ask GET {}", server.origin())).await;
    assert!(said.starts_with("forbidden: ") && said.ends_with("is no public address"), "{said}");
    let said = guarded.said(&format!("ask GET {named}/")).await;
    assert!(said.starts_with("forbidden: it resolves to ") && said.ends_with("is no public address"), "{said}");
    assert_eq!((server.asked(), guarded.seen.host("http", "forbidden")), (0, 2));

    let open = world(&reach(&format!("kv = true, {}", http.replace(" }", ", private = true }")), "")).await;
    assert_eq!(open.said(&format!("ask GET {named}/")).await, "200 secret");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirection_is_an_answer_and_is_not_followed() {
    let target = answering(answer("200 OK", "", "secret"), false).await;
    let fields = format!("location: {}/secret\r\n", target.origin());
    let server = answering(answer("302 Found", &fields, "elsewhere"), false).await;
    let world = asking(&[&server], "").await;
    assert_eq!(world.said(&format!("ask GET {}/", server.origin())).await, "302 elsewhere");
    assert_eq!((server.asked(), target.asked()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_too_large_or_has_no_end_is_cut() {
    let exact = answering(answer("200 OK", "", &"x".repeat(1024)), false).await;
    let large = answering(answer("200 OK", "", &"x".repeat(1025)), false).await;
    let endless = answering("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", true).await;
    let endless_head = answering("HTTP/1.1 200 OK\r\nx: ", true).await;
    let world = asking(&[&exact, &large, &endless, &endless_head], "bytes = '1 KiB', calls = 9").await;
    assert_eq!(world.said(&format!("ask GET {}", exact.origin())).await, "200 1024 bytes");
    for server in [&large, &endless, &endless_head] {
        assert_eq!(world.said(&format!("ask GET {}", server.origin())).await, "too large");
    }
    assert_eq!(world.seen.host("http", "too_large"), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_reached_or_breaks_off_is_unavailable() {
    let gone = nobody_at().await;
    let broken = answering("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfive", false).await;
    let nonsense = answering("What?\r\n\r\n", false).await;
    let http = format!(
        "http = {{ allow = ['http://{gone}', '{}', '{}', 'http://nowhere.invalid'], private = true, timeout = '500ms' }}",
        broken.origin(),
        nonsense.origin()
    );
    let world = world(&reach(&format!("kv = true, {http}"), "").replace("'5s'", "'60s'")).await;
    for url in [format!("http://{gone}"), nonsense.origin()] {
        let said = world.said(&format!("ask GET {url}")).await;
        assert!(said.starts_with("unavailable: "), "{said}");
    }
    // The rest of the answer is waited for, but not for ever.
    assert_eq!(world.said(&format!("ask GET {}", broken.origin())).await, "timeout");
    let said = world.said("ask GET http://nowhere.invalid").await;
    assert!(said.starts_with("unavailable: ") || said == "timeout", "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_is_a_timeout_and_the_plugin_still_answers() {
    let server = silent().await;
    let http = format!("http = {{ allow = ['{}'], private = true, timeout = '100ms', calls = 2 }}", server.origin());
    let world = world(&reach(&format!("kv = true, {http}"), "")).await;
    let said = world.said(&format!("asks 4 {}", server.origin())).await;
    assert_eq!(said, "timeout, timeout, too many, too many");
    assert_eq!((world.seen.host("http", "timeout"), world.seen.host("http", "too_many")), (2, 2));

    // Where the grant is more patient than the plugin's own time, the request ends in time for the plugin.
    let http = http.replace("'100ms'", "'50s'");
    let world = crate::support::world(&reach(&format!("kv = true, {http}"), "").replace("'5s'", "'1s'")).await;
    assert_eq!(world.said(&format!("ask GET {}", server.origin())).await, "timeout");
    assert!(world.seen.faults().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asking_for_ever_ends_with_the_call_and_asks_only_so_often() {
    let server = answering(answer("200 OK", "", "ok"), false).await;
    let http = format!("http = {{ allow = ['{}'], private = true, calls = 3 }}", server.origin());
    let world = world(&reach(&format!("kv = true, {http}"), "").replace("'5s'", "'500ms'")).await;
    world.refused("a", &format!("http-flood {}", server.origin())).await;
    assert_eq!(world.seen.faults(), ["timeout"]);
    assert!(server.asked() <= 3 && world.seen.host("http", "too_many") > 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_server_makes_only_its_own_messages_late() {
    let slow = silent().await;
    let world = Arc::new(asking(&[&slow], "concurrency = 8").await);
    let waiting: Vec<_> = (0..8)
        .map(|n| {
            let (world, text) = (Arc::clone(&world), format!("ask GET {}", slow.origin()));
            tokio::spawn(async move { world.approved(&format!("slow-{n}"), &text).await })
        })
        .collect();
    waiting::until("the slow server is asked", Duration::from_secs(20), async || (slow.asked() >= 8).then_some(()))
        .await;
    // The same plugin, in other rooms.
    for n in 0..50 {
        world.approved(&format!("other-{n}"), "clock").await;
    }
    assert!(waiting.iter().all(|task| !task.is_finished()), "the slow server was not slow");
    for task in waiting {
        task.abort();
    }
}
