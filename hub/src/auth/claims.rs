//! What a token says (RFC 7519), and whether that is good now. A claim that is `null` is absent, and one of foreign shape that
//! nothing here needs is passed over.

use super::invalid::Invalid;
use super::{PLUGIN_USER, Rules};
use crate::quoted::quoted;
use confab_protocol::{Body, Millis, Room, UserId};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far the clock of whoever made a token may differ from ours.
pub const LEEWAY: Duration = Duration::from_secs(5);

/// The last second of the year 9999. What is later was counted in something else than seconds.
const SECONDS_MAX: f64 = 253_402_300_799.0;

/// What a token says.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// Who it is for (`sub`); nobody in particular where it does not say.
    pub user: Option<UserId>,
    /// Until when it is good (`exp`), in seconds since 1970.
    pub expires_at: Option<u64>,
    /// When it was made (`iat`), in milliseconds since 1970.
    pub issued_at: Option<Millis>,
    /// What others are shown of the user (`info`).
    pub info: Option<Body>,
    /// What the user may do besides (`roles`).
    pub roles: Vec<String>,
    /// The rooms that it gives (`channels` and the names of `subs`).
    pub rooms: Vec<Room>,
    /// The room that it opens (`channel`): a room's token, then, and none of a connection.
    pub channel: Option<Room>,
}

#[derive(Deserialize)]
struct ClaimsIn<'a> {
    #[serde(borrow)]
    iss: Option<&'a RawValue>,
    #[serde(borrow)]
    aud: Option<&'a RawValue>,
    #[serde(borrow)]
    sub: Option<&'a RawValue>,
    #[serde(borrow)]
    exp: Option<&'a RawValue>,
    #[serde(borrow)]
    nbf: Option<&'a RawValue>,
    #[serde(borrow)]
    iat: Option<&'a RawValue>,
    #[serde(borrow)]
    info: Option<&'a RawValue>,
    #[serde(borrow)]
    roles: Option<&'a RawValue>,
    #[serde(borrow)]
    channels: Option<&'a RawValue>,
    #[serde(borrow)]
    subs: Option<&'a RawValue>,
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
}

/// Reads the claims of a token whose signature is good, and checks times, issuer and audience.
pub fn read(text: &[u8], rules: &Rules) -> Result<Claims, Invalid> {
    let malformed = |why: String| Invalid::Malformed(format!("its claims cannot be read: {why}"));
    let text = std::str::from_utf8(text).map_err(|error| malformed(error.to_string()))?;
    if !text.trim_start().starts_with('{') {
        return Err(malformed("they are no JSON object".into()));
    }
    let read: ClaimsIn<'_> = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
    let expires_at = times(&read, rules, now())?;
    member("iss", read.iss, &rules.issuers, |raw| one_text(raw).map(|one| vec![one]))?;
    member("aud", read.aud, &rules.audiences, texts)?;
    let user = read.sub.map(subject).transpose()?.flatten();
    let channel = read.channel.map(|raw| of_shape("channel", raw, "it is no name of a room")).transpose()?;
    let channels: Vec<Room> = optional("channels", read.channels, "it is no list of names of rooms")?;
    let subs: BTreeMap<Room, IgnoredAny> = optional("subs", read.subs, "its members are no names of rooms")?;
    let rooms: BTreeSet<Room> = channels.into_iter().chain(subs.into_keys()).collect();
    let info = read.info.map(|raw| of_shape("info", raw, "it cannot be read")).transpose()?;
    Ok(Claims {
        user,
        expires_at,
        issued_at: read.iat.and_then(issued_at),
        info,
        roles: read.roles.map(roles).unwrap_or_default(),
        rooms: rooms.into_iter().collect(),
        channel,
    })
}

/// Whether it is good at this time, in seconds since 1970. Returns until when it is.
fn times(read: &ClaimsIn<'_>, rules: &Rules, now: f64) -> Result<Option<u64>, Invalid> {
    let leeway = LEEWAY.as_secs_f64();
    if let Some(nbf) = read.nbf.map(|raw| date("nbf", raw)).transpose()?
        && nbf > now + leeway
    {
        let why = format!("it is not good yet, for {} s more", (nbf - now).ceil());
        return Err(Invalid::Claim { claim: "nbf", why });
    }
    match read.exp.map(|raw| date("exp", raw)).transpose()? {
        Some(exp) if exp <= now - leeway => Err(Invalid::Expired { at: exp }),
        Some(exp) => Ok(Some(exp as u64)),
        None if rules.require_exp => Err(missing("exp", "and `auth.require_exp` is on")),
        None => Ok(None),
    }
}

/// A NumericDate: a number of seconds, which may have a fraction.
fn date(claim: &'static str, raw: &RawValue) -> Result<f64, Invalid> {
    let seconds: f64 = of_shape(claim, raw, "it is no number of seconds since 1970")?;
    if seconds > SECONDS_MAX {
        let why = "it lies past the year 9999: it is counted in seconds, and this looks like milliseconds";
        return Err(Invalid::Claim { claim, why: why.into() });
    }
    Ok(seconds)
}

/// When it was made. Nothing but a revocation asks, and one that cannot be read is none.
fn issued_at(raw: &RawValue) -> Option<Millis> {
    let seconds: f64 = serde_json::from_str(raw.get()).ok()?;
    (0.0..=SECONDS_MAX).contains(&seconds).then_some((seconds * 1000.0) as Millis)
}

fn subject(raw: &RawValue) -> Result<Option<UserId>, Invalid> {
    let text = one_text(raw).ok_or_else(|| bad("sub", "it is no text"))?;
    match text.as_str() {
        "" => Ok(None),
        name if name.starts_with(PLUGIN_USER) => Err(bad("sub", "names that begin with `plugin:` are plugins'")),
        name => UserId::new(name).map(Some).map_err(|error| bad("sub", &error.to_string())),
    }
}

/// Whoever is named must be among those that the settings name, if they name any.
fn member(
    claim: &'static str,
    raw: Option<&RawValue>,
    wanted: &[String],
    read: fn(&RawValue) -> Option<Vec<String>>,
) -> Result<(), Invalid> {
    if wanted.is_empty() {
        return Ok(());
    }
    let raw = raw.ok_or_else(|| missing(claim, "and the settings ask for it"))?;
    let found = read(raw).ok_or_else(|| bad(claim, "it is no text"))?;
    if found.iter().any(|one| wanted.contains(one)) {
        return Ok(());
    }
    let found = found.iter().take(3).map(|one| quoted(one).to_string()).collect::<Vec<_>>().join(", ");
    Err(bad(claim, &format!("it is {found}, which the settings do not name")))
}

fn one_text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// A text, or a list of some.
fn texts(raw: &RawValue) -> Option<Vec<String>> {
    one_text(raw).map(|one| vec![one]).or_else(|| serde_json::from_str(raw.get()).ok())
}

/// The names in a list. Others than ours call something else so: that gives nothing.
fn roles(raw: &RawValue) -> Vec<String> {
    let read: Vec<serde_json::Value> = serde_json::from_str(raw.get()).unwrap_or_default();
    read.into_iter().filter_map(|role| role.as_str().map(str::to_owned)).collect()
}

fn of_shape<'a, T: Deserialize<'a>>(claim: &'static str, raw: &'a RawValue, why: &str) -> Result<T, Invalid> {
    serde_json::from_str(raw.get()).map_err(|_| bad(claim, why))
}

fn optional<'a, T>(claim: &'static str, raw: Option<&'a RawValue>, why: &str) -> Result<T, Invalid>
where
    T: Deserialize<'a> + Default,
{
    raw.map_or_else(|| Ok(T::default()), |raw| of_shape(claim, raw, why))
}

fn bad(claim: &'static str, why: &str) -> Invalid {
    Invalid::Claim { claim, why: why.to_owned() }
}

fn missing(claim: &'static str, why: &str) -> Invalid {
    Invalid::Claim { claim, why: format!("it is missing, {why}") }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read_with(claims: &Value, rules: &Rules) -> Result<Claims, Invalid> {
        read(claims.to_string().as_bytes(), rules)
    }

    fn read_one(claims: Value) -> Result<Claims, Invalid> {
        read_with(&claims, &Rules::default())
    }

    fn failed_at(claims: Value) -> &'static str {
        let invalid = read_one(claims.clone()).unwrap_err();
        invalid.claim().unwrap_or_else(|| panic!("{claims}: {invalid}"))
    }

    #[test]
    fn times_are_numbers_that_may_have_a_fraction() {
        let later = now() + 60.5;
        assert_eq!(read_one(json!({"exp": later})).unwrap().expires_at, Some(later as u64));
        assert_eq!(read_one(json!({"exp": now() - 0.25})).map(|_| ()), Ok(()), "within the leeway");
        for exp in [json!(now() - 60.5), json!(0), json!(-1), json!(-1.5e9)] {
            assert!(matches!(read_one(json!({"exp": exp})), Err(Invalid::Expired { .. })), "{exp}");
        }
        assert_eq!(failed_at(json!({"nbf": now() + 60.5})), "nbf");
        assert!(read_one(json!({"nbf": now() + 0.5})).is_ok());
        for exp in [json!("9999999999"), json!([1]), json!({}), json!(true), json!(now() * 1000.0)] {
            assert_eq!(failed_at(json!({"exp": exp})), "exp", "{exp}");
        }
        let milliseconds = read_one(json!({"exp": 1_900_000_000_000_u64})).unwrap_err().to_string();
        assert!(milliseconds.contains("milliseconds"), "{milliseconds}");
    }

    #[test]
    fn what_is_null_is_absent_and_what_nobody_needs_is_passed_over() {
        let nothing = read_one(json!({})).unwrap();
        let nulls = ["iss", "aud", "sub", "exp", "nbf", "iat", "info", "roles", "channels", "subs", "channel"];
        for claim in nulls {
            assert_eq!(read_one(json!({claim: null})).as_ref(), Ok(&nothing), "{claim}");
        }
        for foreign in [json!({"iss": 5, "aud": {}, "jti": [1]}), json!({"iat": "now"}), json!({"iat": 1e300})] {
            assert_eq!(read_one(foreign.clone()).as_ref(), Ok(&nothing), "{foreign}");
        }
        for roles in [json!("moderator"), json!({"moderator": true}), json!([5, null]), json!(7)] {
            assert_eq!(read_one(json!({ "roles": roles })).as_ref(), Ok(&nothing), "{roles}");
        }
        assert_eq!(read_one(json!({"roles": ["a", 5]})).unwrap().roles, ["a"]);
        for (claim, value) in
            [("sub", json!(5)), ("channels", json!("a")), ("channels", json!([""])), ("subs", json!([]))]
        {
            assert_eq!(failed_at(json!({claim: value})), claim);
        }
        for channel in [json!(""), json!(5), json!({})] {
            assert_eq!(failed_at(json!({"channel": channel})), "channel", "it must not pass for a connection's");
        }
    }

    #[test]
    fn issuer_and_audience_are_looked_at_where_the_settings_name_some() {
        let rules = Rules { issuers: vec!["a".into(), "b".into()], audiences: vec!["chat".into()], ..Rules::default() };
        let failed = |claims: Value| read_with(&claims, &rules).map(|_| ()).map_err(|error| error.claim());
        assert_eq!(failed(json!({"iss": "b", "aud": "chat"})), Ok(()));
        assert_eq!(failed(json!({"iss": "b", "aud": ["other", "chat"]})), Ok(()));
        for iss in [json!("c"), json!(null), json!(["a"]), json!(5), json!("")] {
            assert_eq!(failed(json!({"iss": iss, "aud": "chat"})), Err(Some("iss")), "{iss}");
        }
        for aud in [json!("c"), json!(null), json!([]), json!(["chat", 5]), json!({"chat": 1}), json!("CHAT")] {
            assert_eq!(failed(json!({"iss": "a", "aud": aud})), Err(Some("aud")), "{aud}");
        }
        let rules = Rules { require_exp: true, ..Rules::default() };
        assert_eq!(read_with(&json!({"sub": "ada"}), &rules).unwrap_err().claim(), Some("exp"));
    }

    #[test]
    fn a_claim_that_stands_there_twice_is_malformed() {
        let read = |text: &str| read(text.as_bytes(), &Rules::default());
        for bad in [r#"{"sub":"a","sub":"b"}"#, r#"["a"]"#, "5", "", "{", r#"{"sub":"\ud800"}"#, r#"{"exp":1e999}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn when_it_was_made_is_known_to_the_millisecond() {
        assert_eq!(read_one(json!({"iat": 1_700_000_000.25})).unwrap().issued_at, Some(1_700_000_000_250));
        assert_eq!(
            read_one(json!({"iat": 1_700_000_000_000_u64})).unwrap().issued_at,
            None,
            "milliseconds are no date"
        );
    }
}
