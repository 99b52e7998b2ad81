//! The services, started for real.

use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use xtask::services::process::Scratch;
use xtask::services::{Identity, Kafka, Life, Postgres, Process, Program, Redis, Server, kafka, postgres, redis};

/// A test's own folder, and one that PostgreSQL's user can enter.
fn folder() -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("confab-xtask-").tempdir()?;
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), permissions)?;
    Ok(folder)
}

/// Waits for a state, up to ten seconds.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        if Instant::now() >= deadline {
            bail!("not within ten seconds: {what}");
        }
        std::thread::yield_now();
    }
    Ok(())
}

fn connect<P: Program>(server: &Server<P>) -> Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", server.port()))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

/// One Redis command with a one-line answer.
fn redis_says(stream: &mut TcpStream, command: &str) -> Result<String> {
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n") {
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    Ok(String::from_utf8(answer)?.trim_end().to_owned())
}

#[test]
fn a_paused_redis_answers_nothing_until_it_is_resumed() -> Result<()> {
    let folder = folder()?;
    let redis = Redis::start(folder.path(), redis::Options::default())?;
    let mut client = connect(&redis)?;
    assert_eq!(redis_says(&mut client, "SET place here")?, "+OK");

    redis.pause()?;
    client.set_read_timeout(Some(Duration::from_millis(200)))?;
    client.write_all(b"PING\r\n")?;
    let silence = client.read(&mut [0; 16]).expect_err("a paused server must not answer");
    assert!(matches!(silence.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silence}");
    assert!(!redis.serves());

    redis.resume()?;
    client.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut pong = [0; 7];
    client.read_exact(&mut pong)?;
    assert_eq!(&pong, b"+PONG\r\n", "what was asked during the pause is answered after it");
    Ok(())
}

#[test]
fn a_redis_keeps_its_address_over_a_restart_and_its_data_if_told_to() -> Result<()> {
    let folder = folder()?;
    let args = ["--appendonly", "yes", "--appendfsync", "always"].map(str::to_owned).into();
    let mut redis = Redis::start(folder.path(), redis::Options { args, ..Default::default() })?;
    let address = redis.address();
    assert_eq!(redis_says(&mut connect(&redis)?, "SET place here")?, "+OK");

    redis.kill()?;
    assert_eq!(redis.pid(), None);
    assert!(connect(&redis).is_err(), "nobody answers for a killed server");
    redis.restart()?;
    assert_eq!(redis.address(), address);
    assert_eq!(redis_says(&mut connect(&redis)?, "EXISTS place")?, ":1");

    redis.restart_empty()?;
    assert_eq!(redis.address(), address);
    assert_eq!(redis_says(&mut connect(&redis)?, "EXISTS place")?, ":0");
    Ok(())
}

#[test]
fn a_dropped_server_is_gone() -> Result<()> {
    let folder = folder()?;
    let redis = Redis::start(folder.path(), redis::Options::default())?;
    let identity = redis.identity().context("it runs")?;
    assert!(identity.is_alive());
    drop(redis);
    assert!(!identity.is_alive());
    Ok(())
}

#[test]
fn a_server_that_cannot_start_says_why() -> Result<()> {
    let folder = folder()?;
    let args = ["--no-such-setting", "1"].map(str::to_owned).into();
    let error = Redis::start(folder.path(), redis::Options { args, ..Default::default() }).expect_err("a bad setting");
    let error = error.to_string();
    assert!(error.contains("Redis ended with") && error.contains("no-such-setting"), "{error}");
    Ok(())
}

#[test]
fn a_postgres_keeps_its_data_when_it_is_killed_and_loses_it_when_asked_to() -> Result<()> {
    let folder = folder()?;
    let mut server = Postgres::start(folder.path(), postgres::Options::for_tests())?;
    let address = server.address();
    psql(&address, "create table place (name text); insert into place values ('here')")?;

    server.kill()?;
    assert!(psql(&address, "select 1").is_err(), "nobody answers for a killed server");
    server.restart()?;
    assert_eq!(server.address(), address);
    assert_eq!(psql(&address, "select name from place")?, "here");

    server.restart_empty()?;
    assert_eq!(psql(&address, "select count(*) from pg_tables where tablename = 'place'")?, "0");
    Ok(())
}

#[test]
fn a_paused_postgres_holds_its_clients_too() -> Result<()> {
    let folder = folder()?;
    let server = Postgres::start(folder.path(), postgres::Options::for_tests())?;
    let mut client = Command::new("psql");
    client.args([server.address().as_str(), "-qAt", "-c", "select pg_backend_pid()", "-c", "select pg_sleep(0.2)"]);
    let mut client = client.args(["-c", "select 'after'"]).stdout(std::process::Stdio::piped()).spawn()?;
    let mut backend = String::new();
    let stdout = client.stdout.as_mut().context("psql's output is a pipe")?;
    std::io::BufRead::read_line(&mut std::io::BufReader::with_capacity(1, stdout), &mut backend)?;
    let stat = format!("/proc/{}/stat", backend.trim());

    server.pause()?;
    eventually("the client's backend stands still", || {
        std::fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") T "))
    })?;
    assert!(!server.serves());

    server.resume()?;
    assert!(client.wait()?.success(), "the client goes on after the pause");
    Ok(())
}

fn psql(address: &str, sql: &str) -> Result<String> {
    let output = Command::new("psql").args([address, "-qAt", "-v", "ON_ERROR_STOP=1", "-c", sql]).output()?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[test]
fn a_kafka_keeps_its_topics_over_a_kill_and_has_the_listeners_that_were_asked_for() -> Result<()> {
    let folder = folder()?;
    // SASL_PLAINTEXT needs no keys, so it shows an additional listener most simply.
    let properties = [
        ("sasl.enabled.mechanisms", "PLAIN"),
        (
            "listener.name.sasl_plaintext.plain.sasl.jaas.config",
            "org.apache.kafka.common.security.plain.PlainLoginModule required user_ada=\"secret\";",
        ),
    ];
    let options = kafka::Options {
        properties: properties.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        listeners: vec!["SASL_PLAINTEXT".into()],
        ..Default::default()
    };
    let mut kafka = Kafka::start(folder.path(), options)?;
    let address = kafka.address();
    let listener = kafka.listener("SASL_PLAINTEXT").context("it was asked for")?;
    assert_ne!(listener, address);
    TcpStream::connect(&listener)?;
    assert_eq!(kafka.listener("SSL"), None);

    create_topic(&kafka, "place")?;
    kafka.kill()?;
    kafka.restart()?;
    assert_eq!(kafka.address(), address);
    assert_eq!(partitions(&kafka, "place")?, Some(3));

    kafka.restart_empty()?;
    assert_eq!(partitions(&kafka, "place")?, None);
    kafka.stop()?;
    assert!(!kafka.is_running()?);
    Ok(())
}

/// `CreateTopics` version 2, as the protocol guide has it: three partitions, one replica.
fn create_topic(kafka: &Kafka, name: &str) -> Result<()> {
    let mut request = vec![0, 0, 0, 1];
    request.extend(kafka_string(name));
    request.extend(3_i32.to_be_bytes());
    request.extend(1_i16.to_be_bytes());
    request.extend([0; 8]); // no assignments, no settings
    request.extend(10_000_i32.to_be_bytes());
    request.push(0); // not only to validate
    let answer = ask_kafka(kafka, 19, 2, &request)?;
    // Throttle time, the number of topics, the name, then the error.
    let error = &answer[4 + 4 + 2 + name.len()..][..2];
    if error != [0, 0] {
        bail!("Kafka refused the topic with error {error:?}");
    }
    Ok(())
}

/// `Metadata` version 1: how many partitions a topic has, if it exists.
fn partitions(kafka: &Kafka, name: &str) -> Result<Option<u32>> {
    let mut request = vec![0, 0, 0, 1];
    request.extend(kafka_string(name));
    let answer = ask_kafka(kafka, 3, 1, &request)?;
    let topic = kafka_string(name);
    let at = answer.windows(topic.len()).position(|window| window == topic).context("the answer names the topic")?;
    if answer[at - 2..at] != [0, 0] {
        return Ok(None);
    }
    let count = at + topic.len() + 1; // behind the name and whether it is internal
    Ok(Some(u32::from_be_bytes(answer[count..count + 4].try_into()?)))
}

fn kafka_string(text: &str) -> Vec<u8> {
    [&(text.len() as i16).to_be_bytes()[..], text.as_bytes()].concat()
}

fn ask_kafka(kafka: &Kafka, api: u8, version: u8, body: &[u8]) -> Result<Vec<u8>> {
    let mut stream = connect(kafka)?;
    let header = [0, api, 0, version, 0, 0, 0, 1, 0xff, 0xff];
    stream.write_all(&((header.len() + body.len()) as u32).to_be_bytes())?;
    stream.write_all(&header)?;
    stream.write_all(body)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer)?;
    Ok(answer.split_off(4)) // behind the correlation
}

#[test]
fn a_process_that_ignores_term_is_killed_when_its_grace_is_over() -> Result<()> {
    let folder = folder()?;
    let log = folder.path().join("log");
    let mut stubborn = Command::new("sh");
    stubborn.args(["-c", "trap '' TERM; echo ready; while :; do read -r _ < /dev/zero; done"]);
    let mut process = Process::spawn(stubborn, &log, Life::WithUs)?;
    eventually("it ignores TERM", || std::fs::read_to_string(&log).is_ok_and(|said| said.contains("ready")))?;
    let status = process.end(xtask::services::Signal::Term, Duration::from_millis(100))?;
    assert_eq!(status.signal(), Some(9));
    Ok(())
}

/// What the next test starts in a process of its own, and kills.
fn own_a_server_for_ever(report: &Path) -> Result<()> {
    let scratch = Scratch::new("owner")?;
    let redis = Redis::start(&scratch.path().join("redis"), redis::Options::default())?;
    let identity = redis.identity().context("it runs")?;
    let text = format!("{}\n{}\n{}\n", identity.pid, identity.started, scratch.path().display());
    std::fs::write(report.with_extension("part"), text)?;
    std::fs::rename(report.with_extension("part"), report)?;
    loop {
        std::thread::park();
    }
}

#[test]
fn servers_and_scratch_folders_do_not_outlive_an_owner_that_was_killed() -> Result<()> {
    if let Some(report) = std::env::var_os("XTASK_TEST_OWNER") {
        return own_a_server_for_ever(Path::new(&report));
    }
    let folder = folder()?;
    let report = folder.path().join("report");
    let mut owner = Command::new(std::env::current_exe()?);
    owner
        .args(["--exact", "servers_and_scratch_folders_do_not_outlive_an_owner_that_was_killed"])
        .env("XTASK_TEST_OWNER", &report);
    let mut owner = owner.stdout(std::process::Stdio::null()).spawn()?;
    eventually("the owner has started its server", || report.exists())?;
    let text = std::fs::read_to_string(&report)?;
    let [pid, started, scratch] = text.lines().collect::<Vec<_>>()[..] else { bail!("a strange report: {text}") };
    let server = Identity { pid: pid.parse()?, started: started.to_owned() };
    assert!(server.is_alive());

    owner.kill()?;
    owner.wait()?;
    eventually("the server has ended", || !server.is_alive())?;
    eventually("the folder is gone", || !Path::new(scratch).exists())?;
    Ok(())
}
