//! Checks of who may connect: the keys that check tokens, and what a token must say.

use super::Findings;
use super::door::{twins, unreadable};
use crate::path::Path;
use crate::problem::Problem;
use crate::secret::{self, Secret};
use crate::settings::{Auth, Config};
use std::net::SocketAddr;
use std::time::Duration;
use url::{Host, Url};

/// HS256 is as strong as its secret; one shorter than the hash can be guessed offline from a single token.
const SECRET_BYTES_MIN: usize = 32;

pub(super) fn check(auth: &Auth, listen: SocketAddr, found: &mut Findings) {
    let insecure = Path::of("auth.insecure");
    secrets(auth, found);
    if auth.insecure && !listen.ip().is_loopback() {
        found.add(
            Problem::error(&insecure, "`auth.insecure` opens this hub to everybody who can reach it")
                .label(format!("and `listen` is {listen}, which other machines can reach"))
                .note("with `insecure`, clients say themselves who they are, moderators included")
                .help("for development, write `listen = \"127.0.0.1:8000\"`")
                .help("for others, take `insecure` out, set `auth.hmac_secret_file`, and make tokens with `confab token create`")
                .rests_on(&Path::of("listen")),
        );
    }
    if let Some(room) = &auth.personal_room
        && (!room.ends_with("#{user}") || room.matches('#').count() != 1)
    {
        found.add(
            Problem::error(&Path::of("auth.personal_room"), "the personal room is not the user's alone")
                .label("it must end in `#{user}`, and have no other `#`")
                .help("write `personal_room = \"#{user}\"`"),
        );
    }
    let grace = Path::of("auth.refresh_grace");
    found.duration(&grace, auth.refresh_grace, Duration::from_secs(1), Duration::from_secs(3600));
    if auth.insecure && auth.has_keys() {
        found.add(
            Problem::warning(&insecure, "`auth.insecure` makes the secret useless: clients without a token are let in")
                .label("take this out to ask for tokens"),
        );
    }
    jwks(auth, found);
    for (key, names) in [("issuer", &auth.issuer), ("audience", &auth.audience)] {
        for (at, name) in names.iter().enumerate() {
            if name.trim().is_empty() {
                let here = Path::of("auth").key(key).index(at);
                found.add(Problem::error(&here, format!("`{here}` is empty")));
            }
        }
    }
}

fn secrets(auth: &Auth, found: &mut Findings) {
    let given = [
        (Path::of("auth.hmac_secret"), &auth.hmac_secret, &auth.hmac_secret_file),
        (Path::of("auth.hmac_secret_previous"), &auth.hmac_secret_previous, &auth.hmac_secret_previous_file),
    ];
    for (path, text, file) in &given {
        if text.is_some() && file.is_some() {
            found.add(twins(path));
        }
        if let Some(text) = text {
            weak(path, text, auth.insecure, found);
        }
    }
}

fn jwks(auth: &Auth, found: &mut Findings) {
    let path = Path::of("auth.jwks_url");
    let least = Duration::from_secs(10);
    let most = Duration::from_secs(24 * 3600);
    found.duration(&Path::of("auth.jwks_refresh"), auth.jwks_refresh, least, most);
    let Some(text) = &auth.jwks_url else {
        if auth.jwks_ca_file.is_some() {
            let here = Path::of("auth.jwks_ca_file");
            found.add(Problem::warning(&here, "nothing is read with this").at_name().label("there is no `jwks_url`"));
        }
        return;
    };
    if let Err(why) = url_of_keys(text) {
        found.add(
            Problem::error(&path, "keys cannot be read from this address")
                .label(why)
                .help("write it like `\"https://login.example.com/.well-known/jwks.json\"`"),
        );
    }
    if auth.audience.is_empty() {
        found.add(
            Problem::warning(&path, "tokens that this issuer makes for other services are taken, too")
                .label("and `auth.audience` is empty")
                .help("set `auth.audience` to what the issuer calls this hub, and `auth.issuer` to the issuer"),
        );
    }
}

/// What is read over a network that others can write to would be anybody's keys.
fn url_of_keys(text: &str) -> Result<(), String> {
    let url = Url::parse(text).map_err(|error| format!("it is no address: {error}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user or a password".into());
    }
    let on_this_machine = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err("it names no host".into()),
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if on_this_machine => Ok(()),
        "http" => Err("`http` is for this machine only: whoever is between could put keys of their own there".into()),
        other => Err(format!("it begins with `{other}` and not with `https`")),
    }
}

fn weak(path: &Path, secret: &str, insecure: bool, found: &mut Findings) {
    if secret.trim().is_empty() {
        found.add(Problem::error(path, format!("`{path}` is empty")).help("`openssl rand -hex 32` prints a good one"));
    } else if secret.len() < SECRET_BYTES_MIN {
        let what = format!("`{path}` is shorter than {SECRET_BYTES_MIN} bytes");
        let problem = if insecure { Problem::warning(path, what) } else { Problem::error(path, what) };
        found.add(problem.label("whoever has one token can guess it").help("`openssl rand -hex 32` prints a good one"));
    }
}

/// What only a process that serves clients needs: reads the files of secrets and keys.
pub(super) fn serving(config: &Config, found: &mut Findings) {
    let auth = &config.auth;
    if !auth.has_keys() && !auth.insecure {
        found.add(
            Problem::error(&Path::of("auth"), "nobody could connect: there is no secret to check tokens with")
                .at_name()
                .label("neither `hmac_secret_file` nor `insecure` is set")
                .note("nor is there a public key, by `public_key_files` or `jwks_url`")
                .help("for development on this machine, set `auth.insecure = true`")
                .help("for others: `openssl rand -hex 32 > confab.secret`, and set `auth.hmac_secret_file = \"confab.secret\"`"),
        );
    }
    let here = |key: &str| Path::of("auth").key(key);
    let mut secret = |key: &str, in_file: bool, read: Result<Option<Secret>, secret::Error>| match read {
        Ok(Some(secret)) if in_file => weak(&here(key), secret.expose(), auth.insecure, found),
        Ok(_) => {}
        Err(error) => found.add(unreadable(&here(key), &error)),
    };
    secret("hmac_secret_file", auth.hmac_secret_file.is_some(), config.hmac_secret());
    let in_file = auth.hmac_secret_previous_file.is_some();
    secret("hmac_secret_previous_file", in_file, config.hmac_secret_previous());
    for (at, file) in auth.public_key_files.iter().enumerate() {
        let here = here("public_key_files").index(at);
        match std::fs::read_to_string(file) {
            Ok(text) => public_key(&here, &text, found),
            Err(error) => found.add(
                Problem::error(&here, format!("could not read a public key from {}", file.display()))
                    .label(error.to_string()),
            ),
        }
    }
    if let Some(file) = &auth.jwks_ca_file
        && let Err(error) = std::fs::metadata(file)
    {
        let what = format!("could not read authorities from {}", file.display());
        found.add(Problem::error(&here("jwks_ca_file"), what).label(error.to_string()));
    }
}

/// Whether a file holds one public key, by its PEM label; the hub reads the key itself.
fn public_key(here: &Path, text: &str, found: &mut Findings) {
    let labels: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----")).collect();
    let bad = |what: &str| Problem::error(here, what);
    match labels.as_slice() {
        ["PUBLIC KEY" | "RSA PUBLIC KEY"] => {}
        [] => found.add(bad("the file holds no key in PEM").label("a key begins with `-----BEGIN PUBLIC KEY-----`")),
        [label] if label.ends_with("PRIVATE KEY") => found.add(
            bad("the file holds a private key: the hub must not have it")
                .help("`openssl pkey -in FILE -pubout` prints the public one"),
        ),
        ["CERTIFICATE"] => found.add(
            bad("the file holds a certificate, and not its key")
                .help("`openssl x509 -in FILE -noout -pubkey` prints the key"),
        ),
        [label] => found.add(bad("the file holds no public key").label(format!("it holds a `{label}`"))),
        _ => found.add(bad("the file holds several keys").help("write each into a file of its own")),
    }
}
