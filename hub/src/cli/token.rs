//! `confab token …`: make and check the tokens that clients connect with. Needs no running hub.

use super::{CreateToken, Exit, Screen, SettingsArgs, TokenCommand};
use confab_config::human::duration;
use confab_config::{Diagnostic, Diagnostics, Loaded, Secret};
use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::{self, Read};
use std::time::Duration;

/// The longest token that is read from standard input.
const TOKEN_BYTES_MAX: u64 = 64 * 1024;

/// What a token says. Signed with HS256 and the secret of the settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// The user's id.
    pub sub: String,
    /// Until when it is valid, in seconds since 1970.
    pub exp: i64,
    /// When it was made, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// What others are shown of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<serde_json::Value>,
}

/// Does it.
pub fn run(settings: &SettingsArgs, command: &TokenCommand, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let secret = match settings.load(Vec::new()).and_then(|loaded| secret(&loaded)) {
        Ok(secret) => secret,
        Err(errors) => {
            screen.findings(&errors)?;
            return Ok(Exit::Configuration);
        }
    };
    match command {
        TokenCommand::Create(create) => self::create(create, &secret, Timestamp::now(), screen),
        TokenCommand::Verify { token, json } if token == "-" => {
            let mut text = String::new();
            io::stdin().lock().take(TOKEN_BYTES_MAX).read_to_string(&mut text)?;
            verify(text.trim(), &secret, *json, screen)
        }
        TokenCommand::Verify { token, json } => verify(token, &secret, *json, screen),
    }
}

fn secret(loaded: &Loaded) -> Result<Secret, Diagnostics> {
    match loaded.config.hmac_secret() {
        Ok(Some(secret)) => Ok(secret),
        Ok(None) => {
            let error = Diagnostic::error("there is no secret to make or check tokens with");
            let error = match loaded.config.auth.insecure {
                true => error.note("`auth.insecure` is on: clients connect to this hub without a token"),
                false => error,
            };
            Err(error
                .help("`openssl rand -hex 32 > confab.secret`, and set `auth.hmac_secret_file = \"confab.secret\"`")
                .help("or give it in the environment, as `CONFAB_AUTH__HMAC_SECRET`")
                .into())
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let found = Diagnostic::error(error.to_string());
            Err(cause.into_iter().fold(found, Diagnostic::note).into())
        }
    }
}

fn create(create: &CreateToken, secret: &Secret, now: Timestamp, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let ttl = i64::try_from(create.ttl.as_secs()).unwrap_or(i64::MAX);
    let claims = Claims {
        sub: create.user.to_string(),
        exp: create.expires.map_or_else(|| now.as_second().saturating_add(ttl), Timestamp::as_second),
        iat: Some(now.as_second()),
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

fn verify(token: &str, secret: &Secret, as_json: bool, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = 0;
    validation.validate_nbf = true;
    validation.set_required_spec_claims(&["exp", "sub"]);
    let key = DecodingKey::from_secret(secret.expose().as_bytes());
    match jsonwebtoken::decode::<Claims>(token, &key, &validation) {
        Ok(valid) if as_json => screen.json(&json!({ "valid": true, "claims": valid.claims }))?,
        Ok(valid) => {
            let Claims { sub, exp, info, .. } = valid.claims;
            let left = u64::try_from(exp.saturating_sub(Timestamp::now().as_second())).unwrap_or(0);
            let left = duration::show(Duration::from_secs(left));
            writeln!(screen.out, "valid\nuser     {sub}\nexpires  {} (in {left})", moment(exp))?;
            if let Some(info) = info {
                writeln!(screen.out, "info     {info}")?;
            }
        }
        Err(error) => {
            let reason = reason(token, error.kind());
            if as_json {
                screen.json(&json!({ "valid": false, "reason": reason }))?;
            } else {
                screen.findings(&Diagnostic::error(format!("the token is not valid: {reason}")).into())?;
            }
            return Ok(Exit::Failed);
        }
    }
    Ok(Exit::Done)
}

fn reason(token: &str, kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::ExpiredSignature => match jsonwebtoken::dangerous::insecure_decode::<Claims>(token) {
            Ok(token) => format!("it expired at {}", moment(token.claims.exp)),
            Err(_) => "it is expired".into(),
        },
        ErrorKind::InvalidSignature => "it was signed with another secret, or changed since".into(),
        ErrorKind::InvalidAlgorithm => "it is not signed with HS256".into(),
        ErrorKind::ImmatureSignature => "it is not valid yet".into(),
        ErrorKind::MissingRequiredClaim(claim) => format!("it has no claim `{claim}`"),
        ErrorKind::InvalidToken => "it does not have the three parts of a token".into(),
        _ => "it cannot be read as a token with the claims `sub` and `exp`".into(),
    }
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
        let claims: Claims = serde_json::from_value(checked["claims"].clone()).unwrap();
        assert_eq!((claims.sub.as_str(), claims.exp - claims.iat.unwrap()), ("ann", 30 * 24 * 3600));
        assert_eq!(claims.info, Some(json!({ "name": "Ann" })));
        let checked = say(SETTINGS, &["verify", made.out.trim()]);
        assert!(checked.out.starts_with("valid\nuser     ann\nexpires  20"), "{}", checked.out);
    }

    #[test]
    fn a_token_of_another_secret_is_not_valid() {
        let made = say(SETTINGS, &["create", "ann"]);
        let other = SETTINGS.replace("more", "not less");
        let checked = say(&other, &["verify", made.out.trim()]);
        assert_eq!(checked.exit, Exit::Failed);
        assert!(checked.err.contains("signed with another secret"), "{}", checked.err);
    }

    #[test]
    fn a_token_is_not_valid_after_its_time() {
        let claims = Claims { sub: "ann".into(), exp: 1_000_000_000, iat: None, info: None };
        let key = EncodingKey::from_secret(b"a secret of more than thirty-two bytes");
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
        let checked = say(SETTINGS, &["verify", &token]);
        assert_eq!(checked.exit, Exit::Failed);
        assert!(checked.err.contains("it expired at 2001-09-09T01:46:40Z"), "{}", checked.err);
        let checked = say(SETTINGS, &["verify", "no.token"]);
        assert!(checked.err.contains("three parts"), "{}", checked.err);
        let made = say(SETTINGS, &["create", "ann", "--expires", "2001-09-09T01:46:40Z"]);
        assert_eq!(made.exit, Exit::Usage);
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
