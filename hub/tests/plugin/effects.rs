//! What plugins ask for besides, and what they are told of the context.

use crate::support::{World, message, try_world, whole, world};
use confab_config::JudgedKind;
use confab_hub::plugin::{Effect, Emitted, EventContext, Judged, Origin, RequestedEffect};
use confab_protocol::{Refusal, Room};

/// Two plugins that ask for what the message says; `one` and `two` are further lines of their tables.
async fn asking(one: &str, two: &str, chain: &str) -> World {
    let table = |name: &str, more: &str| {
        format!("[plugin.{name}]\nmodule = 'asks.wasm'\ntimeout = '5s'\ncapabilities = {{ emit = true }}\n{more}\n")
    };
    world(&format!("{}{}[[chain]]\n{chain}", table("one", one), table("two", two))).await
}

fn of(plugin: &str, effect: Effect) -> RequestedEffect {
    RequestedEffect { plugin: plugin.into(), effect }
}

fn flag(why: &str) -> Effect {
    Effect::Flag(why.into())
}

#[tokio::test]
async fn effects_are_collected_along_the_chain_also_of_whoever_rejects() {
    let rejects = "settings = { send = 'mute 60 enough; notice no; reject 460 no' }";
    let world = asking("", rejects, "plugins = ['one', 'two']").await;
    let Judged::Refused(refusal, _, requested) = world.send("a", "flag odd").await else { panic!("refused") };
    assert_eq!(refusal, Refusal::Plugin { code: 460, reason: "no".into(), details: None });
    let expected = [
        of("one", flag("odd")),
        of("two", Effect::Mute { seconds: 60, reason: "enough".into() }),
        of("two", Effect::Notice("no".into())),
    ];
    assert_eq!(requested, expected);
}

#[tokio::test]
async fn a_hold_has_effects_and_a_shadow_has_none() {
    let watches = "plugins = [{ use = 'one', shadow = true }, 'two']";
    let world = asking("settings = { send = 'flag never; say never' }", "", watches).await;
    let Judged::Held { requested, .. } = world.send("a", "flag this; hold look").await else { panic!("held") };
    assert_eq!(requested, [of("two", flag("this"))]);
    let Judged::Approved(approved) = world.send("a", "hello").await else { panic!("approved") };
    assert_eq!(approved.requested, []);
}

#[tokio::test]
async fn what_a_plugin_says_is_an_effect_with_one_hop_more() {
    let world = asking("", "", "plugins = ['one']").await;
    let kind = JudgedKind::Send;
    let judge = async |hops, text: &str| {
        let context = EventContext { kind, origin: Origin { hops, ..Origin::default() } };
        match world.chain.judge(message("a", text), context).await {
            Judged::Approved(approved) => (approved.requested, approved.event.annotations),
            other => panic!("{other:?}"),
        }
    };
    let (requested, _) = judge(1, "say hello").await;
    let [RequestedEffect { effect: Effect::Say(Emitted { room, body, thread: None, hops: 2, .. }), .. }] = &*requested
    else {
        panic!("{requested:?}")
    };
    assert_eq!((room, body.text().as_deref()), (&Room::new("a").unwrap(), Some("hello")));
    let (requested, annotations) = judge(3, "say hello").await;
    assert_eq!((requested.len(), annotations["one.said"].as_str()), (0, "[\"too deep\"]"));
    assert_eq!((world.seen.host("emit", "ok"), world.seen.host("emit", "too_deep")), (1, 1));
}

#[tokio::test]
async fn a_plugin_is_told_the_roles_and_does_not_judge_its_own_words() {
    let world = asking("", "", "plugins = ['one', 'two']").await;
    let roles = ["member", "moderator"].map(str::to_owned);
    let origin = Origin { roles: roles.into(), hops: 1, plugin: Some("one".into()), ..Origin::default() };
    let context = EventContext { kind: JudgedKind::Send, origin };
    let Judged::Approved(approved) = world.chain.judge(message("a", "hi"), context).await else { panic!() };
    let steps: Vec<_> = approved.trail.steps.iter().map(|step| step.plugin.as_str()).collect();
    assert_eq!(steps, ["two"]);
    assert_eq!(approved.event.annotations["two.roles"].as_str(), r#"["member","moderator"]"#);
    assert_eq!(approved.event.annotations["two.hops"].as_str(), "1");
}

#[tokio::test]
async fn a_join_is_judged_where_a_chain_says_so_and_cannot_be_replaced_or_held() {
    let settings = "settings = { join = 'reject 460 full', leave = 'hold it', typing = 'flag fidgets' }";
    let world = asking(settings, "", "on = ['join', 'leave', 'typing']\nplugins = ['one']").await;
    assert!(world.chain.judges(JudgedKind::Join) && !world.chain.judges(JudgedKind::Send));
    let refusal = async |kind| match world.chain.judge(message("a", ""), kind).await {
        Judged::Refused(refusal, ..) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refusal(JudgedKind::Join).await.code(), 460);
    assert_eq!(refusal(JudgedKind::Leave).await, Refusal::PluginFault { plugin: "one".into() });
    assert_eq!(world.seen.faults(), ["nonsense"]);
    let Judged::Approved(typing) = world.chain.judge(message("a", ""), JudgedKind::Typing).await else { panic!() };
    assert_eq!(typing.requested, [of("one", flag("fidgets"))]);
}

#[tokio::test]
async fn whoever_speaks_while_it_is_configured_is_not_loaded() {
    let toml = "[plugin.it]\nmodule = 'asks.wasm'\ncapabilities = { emit = true }\nsettings = { configure = 'say' }";
    let Err(error) = try_world(toml).await else { panic!("it was loaded") };
    let told = whole(&error);
    assert!(told.contains("used `emit` while it was configured"), "{told}");
}
