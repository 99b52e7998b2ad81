//! The native dialect's own history and recovery, option by option.

use anyhow::Result;
use confab_tests::client::Client;
use confab_tests::world::Embedded;
use serde_json::{Value, json};

fn offsets(page: &Value) -> Vec<u64> {
    page["publications"].as_array().unwrap().iter().map(|one| one["offset"].as_u64().unwrap()).collect()
}

async fn room_of(world: &Embedded, count: u64) -> Result<(Client, Value)> {
    let ada = Client::connect(&world.hub.listen, "ada").await?;
    let joined = ada.subscribe("lobby", None).await?.unwrap();
    for n in 1..=count {
        ada.say("lobby", &format!("k{n}"), "said").await?.unwrap();
    }
    Ok((ada, joined["epoch"].clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_option_of_history_gives_what_the_protocol_says() -> Result<()> {
    let world = Embedded::start("\n[limits]\nhistory_page = 4\n").await?;
    let (ada, epoch) = room_of(&world, 6).await?;
    let since = |offset: u64| json!({"offset": offset, "epoch": epoch});
    for (options, expected) in [
        (json!({}), vec![]),
        (json!({"limit": 0, "since": since(2)}), vec![]),
        (json!({"limit": 2}), vec![1, 2]),
        (json!({"limit": -1}), vec![1, 2, 3, 4]),
        (json!({"limit": 100}), vec![1, 2, 3, 4]),
        (json!({"limit": 3, "reverse": true}), vec![6, 5, 4]),
        (json!({"limit": -1, "reverse": true}), vec![6, 5, 4, 3]),
        (json!({"limit": 2, "since": since(3)}), vec![4, 5]),
        (json!({"limit": -1, "since": since(3)}), vec![4, 5, 6]),
        (json!({"limit": 2, "since": since(3), "reverse": true}), vec![2, 1]),
        (json!({"limit": 1, "since": since(3), "reverse": true}), vec![2]),
        (json!({"limit": -1, "since": since(1), "reverse": true}), vec![]),
        (json!({"limit": -1, "since": since(6)}), vec![]),
        (json!({"limit": 2, "since": {"offset": 4, "epoch": ""}}), vec![5, 6]),
        (json!({"limit": 1, "since": {"offset": 0, "epoch": ""}}), vec![1]),
    ] {
        let mut asked = options.clone();
        asked["channel"] = "lobby".into();
        let page = ada.ask("history", asked).await?.unwrap();
        assert_eq!(offsets(&page), expected, "{options}");
        assert_eq!((&page["offset"], &page["epoch"]), (&json!(6), &epoch), "{options}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_in_another_epoch_is_unrecoverable() -> Result<()> {
    let world = Embedded::start("").await?;
    let (ada, epoch) = room_of(&world, 3).await?;
    for other in ["zjPq", "0000000000000000", "99999"] {
        for limit in [0, 10] {
            let asked = json!({"channel": "lobby", "limit": limit, "since": {"offset": 1, "epoch": other}});
            assert_eq!(ada.ask("history", asked).await?.unwrap_err()["code"], 112, "{other}");
        }
        let bob = Client::connect(&world.hub.listen, "bob").await?;
        let joined = bob.subscribe("lobby", Some((other, 1))).await?.unwrap();
        assert_eq!((joined.get("recovered"), &joined["was_recovering"]), (None, &json!(true)), "{other}");
        assert_eq!((&joined["epoch"], &joined["offset"], joined.get("publications")), (&epoch, &json!(3), None));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_says_whether_it_is_whole() -> Result<()> {
    let rooms = "\n[[room]]\nmatch = [\"**\"]\nhot_window = { events = 2 }\ndeep_recovery = false\n";
    let world = Embedded::start(rooms).await?;
    let (_ada, epoch) = room_of(&world, 5).await?;
    let epoch = epoch.as_str().unwrap();
    for (held, offset, recovered, given) in [
        (epoch, 5, true, vec![]),
        (epoch, 4, true, vec![5]),
        (epoch, 3, true, vec![4, 5]),
        (epoch, 2, false, vec![]),
        (epoch, 0, false, vec![]),
        (epoch, 6, false, vec![]),
        ("", 3, true, vec![4, 5]),
        ("", 0, false, vec![]),
    ] {
        let bob = Client::connect(&world.hub.listen, "bob").await?;
        let joined = bob.subscribe("lobby", Some((held, offset))).await?.unwrap();
        let publications = if joined.get("publications").is_some() { offsets(&joined) } else { Vec::new() };
        assert_eq!((joined["recovered"] == true, publications), (recovered, given), "{held:?} {offset}");
        assert_eq!([&joined["recoverable"], &joined["positioned"], &joined["was_recovering"]], [&json!(true); 3]);
        assert_eq!((&joined["offset"], joined["epoch"].as_str()), (&json!(5), Some(epoch)));
    }
    let bob = Client::connect(&world.hub.listen, "bob").await?;
    let joined = bob.subscribe("lobby", None).await?.unwrap();
    assert_eq!((joined.get("was_recovering"), joined.get("recovered")), (None, None));
    let empty = bob.subscribe("never used", Some(("", 0))).await?.unwrap();
    assert_eq!((&empty["recovered"], &empty["offset"]), (&json!(true), &json!(0)));
    Ok(())
}
