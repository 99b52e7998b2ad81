//! `confab token …`: make, check and revoke the tokens that clients connect with. Only the last needs a running hub.

use super::remote::{ask, when};
use super::{CreateToken, Exit, Screen, SettingsArgs, TokenCommand};
use crate::auth::{Auth, Claims, Invalid};
use confab_config::human::duration;
use confab_config::{Config, Diagnostic, Diagnostics, Loaded, Secret};
use hyper::Method;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::json;
use std::io::{self, Read};
use std::time::Duration;

/// The most that is read from standard input: more than any token that is good.
const TOKEN_BYTES_MAX: u64 = 128 * 1024;

/// What a token says that is made here. Signed with HS256 and the secret of the settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Made {
    sub: String,
    exp: i64,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<serde_json::Value>,
}

/// Does it.
pub fn run(settings: &SettingsArgs, command: &TokenCommand, screen: &mut Screen<'_>) -> io::Result<Exit> {
    if let TokenCommand::Revoke { user, before, answer } = command {
        let body = json!({ "user": user, "before": before.map(Timestamp::as_millisecond) });
        return ask(settings, answer, Method::POST, "/api/v1/tokens/revoke", Some(body), screen, |answer, screen| {
            writeln!(screen.out, "the tokens of {user} issued before {} are revoked", when(&answer["before"]))
        });
    }
    let loaded = match settings.load(Vec::new()) {
        Ok(loaded) => loaded,
        Err(errors) => return wrong(&errors, screen),
    };
    match command {
        TokenCommand::Create(create) => match secret(&loaded) {
            Ok(secret) => self::create(create, &loaded.config, &secret, Timestamp::now(), screen),
            Err(errors) => wrong(&errors, screen),
        },
        TokenCommand::Verify { token, json } if token == "-" => {
            let mut text = String::new();
            io::stdin().lock().take(TOKEN_BYTES_MAX).read_to_string(&mut text)?;
            verify(text.trim(), &loaded.config, *json, screen)
        }
        TokenCommand::Verify { token, json } => verify(token, &loaded.config, *json, screen),
        TokenCommand::Revoke { .. } => Ok(Exit::Done), // by the hub, above
    }
}

fn wrong(errors: &Diagnostics, screen: &mut Screen<'_>) -> io::Result<Exit> {
    screen.findings(errors)?;
    Ok(Exit::Configuration)
}

fn secret(loaded: &Loaded) -> Result<Secret, Diagnostics> {
    match loaded.config.hmac_secret() {
        Ok(Some(secret)) => Ok(secret),
        Ok(None) => {
            let auth = &loaded.config.auth;
            let error = Diagnostic::error("there is no secret to make tokens with");
            let error = if auth.insecure {
                error.note("`auth.insecure` is on: clients connect to this hub without a token")
            } else if auth.has_keys() {
                error.note("there are public keys: whoever has the private ones makes the tokens")
            } else {
                error
            };
            Err(error
                .help("`openssl rand -hex 32 > confab.secret`, and set `auth.hmac_secret_file = \"confab.secret\"`")
                .help("or give it in the environment, as `CONFAB_AUTH__HMAC_SECRET`")
                .into())
        }
        Err(error) => Err(told(&error)),
    }
}

/// An error with its cause.
fn told(error: &dyn std::error::Error) -> Diagnostics {
    let cause = error.source().map(ToString::to_string);
    cause.into_iter().fold(Diagnostic::error(error.to_string()), Diagnostic::note).into()
}

fn create(
    create: &CreateToken,
    config: &Config,
    secret: &Secret,
    now: Timestamp,
    screen: &mut Screen<'_>,
) -> io::Result<Exit> {
    let ttl = i64::try_from(create.ttl.as_secs()).unwrap_or(i64::MAX);
    let claims = Made {
        sub: create.user.to_string(),
        exp: create.expires.map_or_else(|| now.as_second().saturating_add(ttl), Timestamp::as_second),
        iat: now.as_second(),
        iss: config.auth.issuer.first().cloned(),
        aud: config.auth.audience.first().cloned(),
        info: create.info.clone(),
    };
    if claims.exp <= now.as_second() {
        let error =
            Diagnostic::error("the token would be expired before it is made").help("write a later time, or `--ttl 1h`");
        screen.findings(&error.into())?;
        return Ok(Exit::Usage);
    }
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(io::Error::other)?;
    if create.json {
        screen.json(&json!({ "token": token, "claims": claims }))?;
    } else {
        writeln!(screen.out, "{token}")?;
    }
    Ok(Exit::Done)
}

/// Says of a token what a hub with these settings would say; but whether it was revoked, only a hub knows.
fn verify(token: &str, config: &Config, as_json: bool, screen: &mut Screen<'_>) -> io::Result<Exit> {
    if !config.auth.has_keys() {
        let error = Diagnostic::error("there is no key to check tokens with");
        return wrong(
            &error.help("set `auth.hmac_secret_file`, `auth.public_key_files` or `auth.jwks_url`").into(),
            screen,
        );
    }
    let auth = match Auth::of(config) {
        Ok(auth) => auth,
        Err(error) => return wrong(&told(&error), screen),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let read = runtime.block_on(auth.read_published());
    match (check(&auth, token), read) {
        (Ok(_), _) if as_json => screen.json(&json!({ "valid": true, "claims": payload(token) }))?,
        (Ok(claims), _) => tell(&claims, screen)?,
        (Err(Invalid::UnknownKey { .. }), Err(why)) => {
            writeln!(screen.err, "error: could not read the keys at `auth.jwks_url`: {why}")?;
            return Ok(Exit::Unreachable);
        }
        (Err(invalid), _) => {
            let reason = invalid.to_string();
            if as_json {
                screen.json(&json!({ "valid": false, "claim": invalid.claim(), "reason": reason }))?;
            } else {
                screen.findings(&Diagnostic::error(format!("the token is not valid: {reason}")).into())?;
            }
            return Ok(Exit::Failed);
        }
    }
    Ok(Exit::Done)
}

/// The claims, if a hub would let the bearer connect, or into the token's room.
fn check(auth: &Auth, token: &str) -> Result<Claims, Invalid> {
    let claims = auth.claims(token)?;
    if claims.channel.is_none() {
        auth.verify(token, "")?;
    }
    Ok(claims)
}

fn tell(claims: &Claims, screen: &mut Screen<'_>) -> io::Result<()> {
    let user = claims.user.as_ref().map_or("(a guest)", |user| user.as_str());
    writeln!(screen.out, "valid\nuser     {user}")?;
    match claims.expires_at.map(|at| i64::try_from(at).unwrap_or(i64::MAX)) {
        Some(exp) => {
            let left = u64::try_from(exp.saturating_sub(Timestamp::now().as_second())).unwrap_or(0);
            let left = duration::show(Duration::from_secs(left));
            writeln!(screen.out, "expires  {} (in {left})", moment(exp))?;
        }
        None => writeln!(screen.out, "expires  never")?,
    }
    if let Some(room) = &claims.channel {
        writeln!(screen.out, "room     {room}: it opens this room, and no connection")?;
    }
    if let Some(info) = &claims.info {
        writeln!(screen.out, "info     {}", info.as_str())?;
    }
    Ok(())
}

/// A good token's claims, as they stand in it.
fn payload(token: &str) -> serde_json::Value {
    jsonwebtoken::dangerous::insecure_decode_claims(token).unwrap_or_default()
}

fn moment(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| format!("second {seconds}"), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tests_support::Said;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    const SETTINGS: &str = "[auth]\nhmac_secret = 'a secret of more than thirty-two bytes'\n";

    fn say(text: &str, words: &[&str]) -> Said {
        let cli = Cli::try_parse_from(["confab", "token"].iter().chain(words)).unwrap();
        let Some(Command::Token(command)) = cli.command else { panic!("{words:?}") };
        Said::by(text, |settings, screen| run(settings, &command, screen))
    }

    #[test]
    fn a_token_that_was_made_is_valid() {
        let made = say(SETTINGS, &["create", "ann", "--ttl", "30d", "--info", r#"{"name": "Ann"}"#]);
        assert_eq!(made.exit, Exit::Done, "{}", made.err);
        let checked = say(SETTINGS, &["verify", made.out.trim(), "--json"]);
        assert_eq!(checked.exit, Exit::Done, "{}", checked.out);
        let checked: serde_json::Value = serde_json::from_str(&checked.out).unwrap();
        let claims = &checked["claims"];
        assert_eq!(claims["sub"], "ann");
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 30 * 24 * 3600);
        assert_eq!(claims["info"], json!({ "name": "Ann" }));
        let checked = say(SETTINGS, &["verify", made.out.trim()]);
        assert!(checked.out.starts_with("valid\nuser     ann\nexpires  20"), "{}", checked.out);
    }

    #[test]
    fn a_token_of_another_secret_is_not_valid() {
        let made = say(SETTINGS, &["create", "ann"]);
        let other = SETTINGS.replace("more", "not less");
        let checked = say(&other, &["verify", made.out.trim()]);
        assert_eq!(checked.exit, Exit::Failed);
        assert!(checked.err.contains("signed with another key"), "{}", checked.err);
    }

    #[test]
    fn a_token_is_not_valid_after_its_time() {
        let checked = say(SETTINGS, &["verify", &signed(&json!({ "sub": "ann", "exp": 1_000_000_000 }))]);
        assert_eq!(checked.exit, Exit::Failed);
        assert!(checked.err.contains("claim `exp`: it expired at 2001-09-09T01:46:40Z"), "{}", checked.err);
        let checked = say(SETTINGS, &["verify", "no.token"]);
        assert!(checked.err.contains("three parts"), "{}", checked.err);
        let made = say(SETTINGS, &["create", "ann", "--expires", "2001-09-09T01:46:40Z"]);
        assert_eq!(made.exit, Exit::Usage);
    }

    /// A token of these claims, with the secret of the settings.
    fn signed(claims: &serde_json::Value) -> String {
        let key = EncodingKey::from_secret(b"a secret of more than thirty-two bytes");
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
    }

    /// To the second: a hub lets in what this calls valid, and nothing else.
    #[test]
    fn it_says_what_a_hub_would_say_and_at_which_claim() {
        let settings = format!("{SETTINGS}issuer = ['me']\naudience = ['chat']\nrequire_exp = true\n");
        let made = say(&settings, &["create", "ann"]);
        assert_eq!(say(&settings, &["verify", made.out.trim()]).exit, Exit::Done, "what it makes, it takes");
        let now = Timestamp::now().as_second();
        let just_over = signed(&json!({ "sub": "ann", "exp": now - 2, "iss": "me", "aud": "chat" }));
        assert_eq!(say(&settings, &["verify", &just_over]).exit, Exit::Done, "clocks differ");
        for (claims, claim) in [
            (json!({ "sub": "ann", "exp": now + 60, "iss": "you", "aud": "chat" }), "iss"),
            (json!({ "sub": "ann", "exp": now + 60, "iss": "me" }), "aud"),
            (json!({ "sub": "ann", "iss": "me", "aud": "chat" }), "exp"),
            (json!({ "sub": "ann", "exp": (now + 60) * 1000, "iss": "me", "aud": "chat" }), "exp"),
            (json!({ "exp": now + 60, "iss": "me", "aud": "chat" }), "sub"),
        ] {
            let checked = say(&settings, &["verify", &signed(&claims)]);
            assert_eq!(checked.exit, Exit::Failed, "{claims}");
            assert!(checked.err.contains(&format!("claim `{claim}`")), "{}", checked.err);
            let checked = say(&settings, &["verify", &signed(&claims), "--json"]);
            let checked: serde_json::Value = serde_json::from_str(&checked.out).unwrap();
            assert_eq!((&checked["valid"], &checked["claim"]), (&json!(false), &json!(claim)));
        }
        let of_a_room = signed(&json!({ "sub": "ann", "channel": "team" }));
        assert!(say(SETTINGS, &["verify", &of_a_room]).out.contains("room     team"));
    }

    #[test]
    fn without_a_secret_it_says_how_to_get_one() {
        let made = say("[auth]\ninsecure = true\n", &["create", "ann"]);
        assert_eq!(made.exit, Exit::Configuration);
        assert!(made.err.contains("openssl rand -hex 32") && made.err.contains("without a token"), "{}", made.err);
    }

    #[test]
    fn a_user_that_no_hub_would_take_is_wrong_usage() {
        assert!(Cli::try_parse_from(["confab", "token", "create", ""]).is_err());
        assert!(Cli::try_parse_from(["confab", "token", "create", "ann", "--ttl", "soon"]).is_err());
        assert!(Cli::try_parse_from(["confab", "token", "create", "ann", "--info", "{"]).is_err());
    }
}
