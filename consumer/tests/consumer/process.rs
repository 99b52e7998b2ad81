//! The program itself: its file, its signals, its exit codes and its admin port.

use crate::eventually;
use crate::fixture::{Fixture, talk};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_survives_a_kill_and_ends_well_when_asked() {
    let fixture = Fixture::new(2).await;
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = folder.path().join("hub.toml");
    std::fs::write(&file, settings(&fixture, port)).unwrap();

    fixture.produce(&talk(4, 50));
    let mut first = Program::start(&file);
    fixture.stored(200).await;
    first.child.kill().unwrap();
    first.child.wait().unwrap();

    let more: Vec<_> = talk(4, 100).into_iter().filter(|record| record.cursor.offset > 50).collect();
    fixture.produce(&more);
    let mut second = Program::start(&file);
    fixture.stored(400).await;
    eventually("it says that it is ready", || async { get(port, "/readyz").await.starts_with("HTTP/1.1 200") }).await;
    assert!(get(port, "/healthz").await.starts_with("HTTP/1.1 200"));
    let all_counted = || async { get(port, "/metrics").await.contains("confab_consumer_records_total 200") };
    eventually("the metrics count what this process stored", all_counted).await;
    let metrics = get(port, "/metrics").await;
    for name in ["batches_total", "batch_records_bucket", "apply_seconds_bucket", "position{partition=", "partitions 2"]
    {
        assert!(metrics.contains(&format!("confab_consumer_{name}")), "{name} is missing:\n{metrics}");
    }
    second.signal("-TERM");
    assert_eq!(second.ended().await.code(), Some(0));
}

#[tokio::test]
async fn wrong_settings_end_it_with_78_and_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let whole = "[timeline.redis]\nurl = \"redis://127.0.0.1:1\"\n\
                 [store.postgres]\nurl = \"postgres://nobody@127.0.0.1:1/nothing\"\n\
                 [consumer]\nadmin = \"127.0.0.1:0\"\n[journal.kafka]\nbrokers = [\"127.0.0.1:1\"]\n";
    let weak = format!("{whole}options = {{ acks = \"1\" }}\n");
    let unknown = format!("{whole}options = {{ colour = \"red\" }}\n");
    for (text, words) in [
        ("", "belongs to the cluster profile"),
        ("[journal.kafka]\nbrokers = [\"127.0.0.1:1\"]\n", "store.postgres"),
        ("[journal.kafka]\nbrokerz = []\n", "brokerz"),
        (&weak, "acks"),
        (&unknown, "colour"),
    ] {
        let file = folder.path().join("hub.toml");
        std::fs::write(&file, text).unwrap();
        let Output { status, stderr, .. } = command(&file).output().unwrap();
        let said = String::from_utf8_lossy(&stderr);
        assert_eq!(status.code(), Some(78), "{text}: {said}");
        assert!(said.contains(words), "{text}: {said}");
    }
    let missing = command(&folder.path().join("nowhere.toml")).output().unwrap();
    assert_eq!(missing.status.code(), Some(78));
}

fn settings(fixture: &Fixture, port: u16) -> String {
    format!(
        "[timeline.redis]\nurl = \"redis://127.0.0.1:1\"\n[journal.kafka]\nbrokers = [\"{}\"]\ntopic_prefix = \"{}\"\noptions = {{ \"session.timeout.ms\" = \"6000\" }}\n\
         [store.postgres]\nurl = \"{}\"\n[consumer]\ngroup = \"{}\"\nadmin = \"127.0.0.1:{port}\"\n",
        fixture.kafka.brokers[0], fixture.kafka.topic_prefix, fixture.database.url, fixture.consumer.group
    )
}

fn command(file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_confab-consumer"));
    command.arg("--config").arg(file).env("CONFAB_LOG", "warn").stdin(Stdio::null());
    command
}

struct Program {
    child: Child,
}

impl Program {
    fn start(file: &Path) -> Self {
        Self { child: command(file).stdout(Stdio::null()).spawn().expect("the program starts") }
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").arg(signal).arg(self.child.id().to_string()).status().unwrap().success());
    }

    async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("it ends", || {
            let ended = child.try_wait().unwrap().is_some();
            async move { ended }
        })
        .await;
        child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A GET by hand; empty if nobody listens.
async fn get(port: u16, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else { return String::new() };
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    if stream.write_all(request.as_bytes()).await.is_ok() {
        let _ = stream.read_to_string(&mut answer).await;
    }
    answer
}
