//! Plugins that misbehave under load: their senders get the policy's answer, and nobody else notices.
//!
//! `CONFAB_TEST_HOSTILE=10` feeds each for ten seconds. What it prints are figures; what it asserts cannot depend on the
//! machine's mood.

use anyhow::{Context, Result};
use confab_tests::client::Client;
use confab_tests::eventually;
use confab_tests::world::{Embedded, plugin};
use serde_json::json;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// A plugin that misbehaves.
struct Fixture {
    name: &'static str,
    component: &'static str,
    /// What is said to it.
    text: String,
    /// The metric that shows what it did, without the plugin's name.
    shown_by: (&'static str, &'static str),
    /// Whether every message to it is refused, as its `on_fault` says.
    refused: bool,
}

/// The ways to misbehave. `misbehave` goes by its settings, `reach` by what it is told; `silent` is a server that takes
/// connections and says nothing.
fn fixtures(silent: &str) -> Vec<Fixture> {
    let faults = [
        ("loop", "fault=\"timeout\""),
        ("stack", "fault=\"stack\""),
        ("memory", "fault=\"memory\""),
        ("trap", "fault=\"trap\""),
        ("panic", "fault=\"trap\""),
        ("megabytes", "fault=\"output\""),
        ("invalid-utf8", "fault=\"nonsense\""),
        ("not-json", "fault=\"nonsense\""),
        ("bad-code", "fault=\"nonsense\""),
    ];
    let misbehave = |(name, fault)| {
        let shown_by = ("confab_plugin_faults_total", fault);
        Fixture { name, component: "misbehave", text: "hello".into(), shown_by, refused: true }
    };
    let reach = |name, text, asked, refused| Fixture {
        name,
        component: "reach",
        text,
        shown_by: ("confab_plugin_host_calls_total", asked),
        refused,
    };
    let mut all: Vec<Fixture> = faults.into_iter().map(misbehave).collect();
    let (text, shown_by) = ("hello".into(), ("confab_plugin_log_cut_bytes_total", ""));
    all.push(Fixture { name: "log-flood", component: "misbehave", text, shown_by, refused: false });
    all.push(reach("kv-flood", "kv-flood".into(), "interface=\"kv\",result=\"full\"", true));
    all.push(reach("kv-fill", "values 100".into(), "interface=\"kv\",result=\"full\"", false));
    let (ask, flood) = (format!("ask GET {silent}"), format!("http-flood {silent}"));
    all.push(reach("silent-server", ask, "interface=\"http\",result=\"timeout\"", false));
    all.push(reach("http-flood", flood, "interface=\"http\",result=\"too_many\"", true));
    let shown_by = ("confab_plugin_host_calls_total", "interface=\"emit\",result=\"too_deep\"");
    all.push(Fixture { name: FORK, component: "asks", text: "hello".into(), shown_by, refused: false });
    all
}

/// The plugin that answers each message with more than it may say, and is answered so by another one.
const FORK: &str = "fork";
/// What one message can set off: two plugins say four things each, then one of them four of each, three times in all.
const MOST_OF_ONE: usize = 2 * 4 + 2 * 4 * 4 + 2 * 4 * 4 * 4;

/// How often the bad rooms and the good one are spoken in: a hundred times a second.
const BEAT: Duration = Duration::from_millis(10);
/// The most that the hub may grow by, whatever its plugins do.
const GROWTH_MAX: u64 = 600 << 20;

/// Each in a room of its own. The breaker would take them out: here each of them is asked again and again.
fn hub_toml(fixtures: &[Fixture], origin: &str) -> Result<String> {
    let mut toml = String::new();
    for Fixture { name, component, .. } in fixtures {
        let more = match *component {
            "reach" => format!(
                "capabilities = {{ log = true, clock = true, random = true, kv = true, \
                 http = {{ allow = [\"{origin}\"], private = true }} }}"
            ),
            "asks" => "capabilities = { emit = true }\nsettings = { send = \"says 9 again\" }".to_owned(),
            _ => format!("settings = {{ mode = \"{name}\", n = 1000 }}"),
        };
        let more = format!("breaker = {{ faults = 0 }}\n{more}");
        toml += &plugin(name, component, &more)?;
        let mut judges = vec![(*name).to_owned()];
        if *name == FORK {
            judges.push(format!("{FORK}-too"));
            toml += &plugin(&judges[1], component, &more)?;
        }
        toml += &format!("[[chain]]\nrooms = [\"bad:{name}\"]\nplugins = {}\n", json!(judges));
    }
    Ok(toml)
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_plugins_under_load_are_answered_counted_and_bounded() -> Result<()> {
    let span = Duration::from_secs_f64(std::env::var("CONFAB_TEST_HOSTILE").map_or(Ok(1.0), |text| text.parse())?);
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let origin = format!("http://{}", silent.local_addr()?);
    let fixtures = fixtures(&format!("{origin}/"));
    let world = Embedded::start(&hub_toml(&fixtures, &origin)?).await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let bob = Client::connect(&world.hub.listen, "bob").await?;
    let pid = world.hub.pid().context("it runs")?;

    let base = p99(&bob, span).await?;
    let before = resident(pid)?;
    println!("{:<14} base  p99 {base:>8.2?}", "");
    let (begun, mut people) = (Instant::now(), 0);
    for Fixture { name, text, shown_by: (metric, labels), refused: all, .. } in &fixtures {
        let (under, answers) = tokio::join!(p99(&bob, span), feed(&ada, name, text, span));
        let (under, (answered, refused)) = (under?, answers?);
        println!("{name:<14} under p99 {under:>8.2?}, {answered} answered, hub {} MiB", resident(pid)? >> 20);
        assert!(answered > 0);
        assert!(!all || refused == answered, "{name}: {refused} of {answered} refused, and `on_fault` is `reject`");
        // Where the machine is busy, the plugin's clock may end before it has done its worst.
        let labels = if labels.is_empty() { String::new() } else { format!(",{labels}") };
        let as_meant = format!("{metric}{{plugin=\"{name}\"{labels}}}");
        let too_late = format!("confab_plugin_faults_total{{plugin=\"{name}\",fault=\"timeout\"}}");
        if *name == FORK {
            people = answered - refused;
        }
        let seen = world.hub.metric(&as_meant).await? + world.hub.metric(&too_late).await?;
        assert!(seen > 0.0, "{as_meant}");
    }
    let (said, all) = come_to_an_end(&world, &ada).await?;
    println!("{FORK:<14} said {said} of their own beside {people} of people");
    assert_eq!(all, people + said);
    let complaints = world.hub.said().matches("of plugins' messages are on their way").count();
    let at_most = 10 * (2 + begun.elapsed().as_secs() as usize / 10);
    assert!(complaints <= at_most, "{complaints} lines of the log about what was not said, not {at_most}");
    assert!(0 < said && said <= people * MOST_OF_ONE, "{said} of {people}");
    let grown = resident(pid)?.saturating_sub(before);
    assert!(grown < GROWTH_MAX, "the hub grew by {} MiB", grown >> 20);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_keeps_failing_is_taken_out_and_said_so() -> Result<()> {
    let more = "breaker = { pause = \"1h\", pause_max = \"1h\" }\nsettings = { mode = \"trap\" }";
    let trap = plugin("trap", "misbehave", more)?;
    let world = Embedded::start(&format!("{trap}[[chain]]\nrooms = [\"bad\"]\nplugins = [\"trap\"]\n")).await?;
    for n in 0..10 {
        let somebody = Client::connect(&world.hub.listen, &format!("u{n}")).await?;
        assert_eq!(somebody.say("bad", "k", "x").await?.unwrap_err()["code"], 207);
    }
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    for n in 0..20 {
        assert_eq!(ada.say("bad", &format!("k{n}"), "x").await?.unwrap_err()["code"], 207);
    }
    assert_eq!(world.hub.metric("confab_plugin_breaker{plugin=\"trap\"}").await?, 2.0);
    assert_eq!(world.hub.metric("confab_plugin_skipped_total{plugin=\"trap\"}").await?, 20.0);
    let (status, out, err) = world.hub.verb(&["chain", "status", "--json"])?;
    assert!(status.success(), "{err}");
    let status: serde_json::Value = serde_json::from_str(&out)?;
    let plugin = &status["plugins"][0];
    assert_eq!((&plugin["breaker"], &plugin["faults"], &plugin["skipped"]), (&json!("open"), &json!(10), &json!(20)));
    let said = world.hub.said();
    assert_eq!(said.matches("plugin taken out: it keeps failing").count(), 1, "{said}");
    assert_eq!(said.matches("plugin failed: it crashed").count(), 10, "{said}");
    Ok(())
}

/// The plugins, chain and tests of the repository's hub.toml, as they are.
fn default_chain() -> Result<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("a root")?;
    let text = std::fs::read_to_string(root.join("hub.toml"))?;
    let (_, chain) = text.split_once("# ---- An example to begin with").context("hub.toml has an example")?;
    let (_, chain) = chain.split_once('\n').context("a line")?;
    let folder = confab_tests::world::service("CONFAB_TEST_PLUGINS")?;
    Ok(chain.replace("\"plugins/", &format!("\"{folder}/")))
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_poisons_a_filter_changes_nothing_for_others() -> Result<()> {
    let world = Embedded::start(&default_chain()?).await?;
    let mallory = Client::connect(&world.hub.listen, "mallory").await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let poison = ["ѕ ", "ѕраm", "𝓼𝓹𝓪 ", "sp\u{200b}\u{336}", "http://a.b ", "((((", "\u{fdfa} "]
        .map(|text| text.repeat(15_000 / text.len()));
    for n in 0..40 {
        let body = json!({"room": "hers", "body": {"text": poison[n % poison.len()]}});
        let bad = tokio::spawn(mallory.begin_rpc("send", body));
        let said = ada.say("mine", &format!("k{n}"), "hello").await?;
        assert!(said.is_ok(), "message {n}: {said:?}");
        let answer = bad.await??;
        assert!(!answer.as_ref().is_err_and(|error| error["code"] == 207), "it does not even fail: {answer:?}");
    }
    for plugin in ["word-filter", "link-notes"] {
        assert_eq!(world.hub.metric(&format!("confab_plugin_breaker{{plugin=\"{plugin}\"}}")).await?, 0.0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_makes_a_plugin_fail_is_refused_and_nobody_else_is() -> Result<()> {
    let filter = plugin("filter", "misbehave", "settings = { mode = \"by-text\" }")?;
    let world = Embedded::start(&format!("{filter}[[chain]]\nplugins = [\"filter\"]\n")).await?;
    let mallory = Client::connect(&world.hub.listen, "mallory").await?;
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    for n in 0..40 {
        let key = format!("k{n}");
        assert_eq!(mallory.say("hers", &key, "trap").await?.unwrap_err()["code"], 207);
        assert!(ada.say("mine", &key, "hello").await?.is_ok(), "message {n}");
    }
    assert_eq!(world.hub.metric("confab_plugin_breaker{plugin=\"filter\"}").await?, 0.0);
    assert!(world.hub.metric("confab_plugin_senders_paused_total{plugin=\"filter\"}").await? >= 1.0);
    assert!(world.hub.metric("confab_plugin_skipped_total{plugin=\"filter\"}").await? > 0.0);
    assert!(world.hub.said().contains("plugin skips a sender"), "{}", world.hub.said());
    Ok(())
}

/// Waits until nothing more is said in the room of those that answer one another: everything that they were let say was said,
/// or left out and counted. How many they said, and how many messages there are in all.
async fn come_to_an_end(world: &Embedded, client: &Client) -> Result<(usize, usize)> {
    let both = async |metric: &str, labels: &str| -> Option<f64> {
        let of = async |name: &str| world.hub.metric(&format!("{metric}{{plugin=\"{name}\",{labels}}}")).await.ok();
        Some(of(FORK).await? + of(&format!("{FORK}-too")).await?)
    };
    let became =
        async |result| both("confab_plugin_effects_total", &format!("effect=\"say\",result=\"{result}\"")).await;
    let mut before = (Instant::now(), (0.0, 0.0, 0.0));
    let said = eventually("they come to an end", async || {
        let (said, left_out) = (became("done").await?, became("dropped").await? + became("failed").await?);
        let let_say = both("confab_plugin_host_calls_total", "interface=\"emit\",result=\"ok\"").await?;
        let now = (said, left_out, let_say);
        if now != before.1 {
            before = (Instant::now(), now);
        }
        // On a busy machine a call may come to nothing after it was let say something; then nothing becomes of it, and that
        // nothing moves any more must do.
        let lost = 4.0 * both("confab_plugin_faults_total", "fault=\"timeout\"").await?;
        let rests = before.0.elapsed() > Duration::from_secs(2) && let_say - said - left_out <= 2.0 * lost;
        (said + left_out == let_say || rests).then_some(said)
    })
    .await;
    let room = client.rpc("history", json!({"room": format!("bad:{FORK}"), "limit": 0})).await?.unwrap();
    Ok((said as usize, room["offset"].as_u64().context("an offset")? as usize))
}

/// What 99 of a hundred receipts in a room without plugins take at most.
async fn p99(client: &Client, span: Duration) -> Result<Duration> {
    let mut beat = tokio::time::interval(BEAT);
    let (begun, mut waiting) = (Instant::now(), Vec::new());
    while begun.elapsed() < span {
        beat.tick().await;
        let (sent, answer) =
            (Instant::now(), client.begin_rpc("send", json!({"room": "good", "body": {"text": "hello"}})));
        waiting.push(tokio::spawn(async move { answer.await.map(|answer| (answer, sent.elapsed())) }));
    }
    let mut took = Vec::new();
    for answer in waiting {
        let (answer, after) = answer.await??;
        assert!(answer.is_ok(), "{answer:?}");
        took.push(after);
    }
    took.sort_unstable();
    Ok(took[(took.len() - 1) * 99 / 100])
}

/// Speaks in the room of a bad plugin; returns how many were answered, and how many of them by its `on_fault`.
async fn feed(client: &Client, name: &str, text: &str, span: Duration) -> Result<(usize, usize)> {
    let mut beat = tokio::time::interval(BEAT);
    let (begun, mut waiting) = (Instant::now(), Vec::new());
    while begun.elapsed() < span {
        beat.tick().await;
        let body = json!({"room": format!("bad:{name}"), "body": {"text": text}});
        waiting.push(tokio::spawn(client.begin_rpc("send", body)));
    }
    let (answered, mut refused) = (waiting.len(), 0);
    for answer in waiting {
        refused += usize::from(answer.await??.is_err_and(|error| error["code"] == 207));
    }
    Ok((answered, refused))
}

/// How much memory a process has, in bytes.
fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process has memory")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
