//! Keys and tokens of well-known services, known by how they begin, and private keys.

use std::ops::Range;

/// How a service's keys look: what they begin with, and what follows.
struct Shape {
    prefix: &'static str,
    /// How many characters follow the prefix at least.
    least: usize,
    body: Body,
}

/// What the characters after the prefix are.
#[derive(Clone, Copy)]
enum Body {
    /// Capitals and digits.
    Capitals,
    /// Letters, digits, `_` and `-`; among them at least one digit, for no word has one.
    Url,
    /// Like [`Body::Url`], in parts with dots between them.
    Dotted,
}

const fn shape(prefix: &'static str, least: usize, body: Body) -> Shape {
    Shape { prefix, least, body }
}

/// Longer prefixes come before shorter ones that begin alike.
const SHAPES: &[Shape] = &[
    // Amazon
    shape("AKIA", 16, Body::Capitals),
    shape("ASIA", 16, Body::Capitals),
    // Google
    shape("AIza", 35, Body::Url),
    shape("GOCSPX-", 28, Body::Url),
    shape("ya29.", 20, Body::Dotted),
    // GitHub and GitLab
    shape("github_pat_", 36, Body::Url),
    shape("ghp_", 36, Body::Url),
    shape("gho_", 36, Body::Url),
    shape("ghu_", 36, Body::Url),
    shape("ghs_", 36, Body::Url),
    shape("ghr_", 36, Body::Url),
    shape("glpat-", 20, Body::Url),
    // Slack and SendGrid
    shape("xoxb-", 20, Body::Url),
    shape("xoxp-", 20, Body::Url),
    shape("xoxa-", 20, Body::Url),
    shape("xoxs-", 20, Body::Url),
    shape("xapp-", 20, Body::Url),
    shape("SG.", 60, Body::Dotted),
    // Payments and shops
    shape("sk_live_", 16, Body::Url),
    shape("rk_live_", 16, Body::Url),
    shape("sk_test_", 16, Body::Url),
    shape("whsec_", 24, Body::Url),
    shape("shpat_", 32, Body::Url),
    // Models
    shape("sk-", 32, Body::Url),
    shape("hf_", 30, Body::Url),
    // Registries, clouds and vaults
    shape("npm_", 36, Body::Url),
    shape("pypi-", 50, Body::Url),
    shape("dckr_pat_", 24, Body::Url),
    shape("dop_v1_", 64, Body::Url),
    shape("hvs.", 24, Body::Url),
    shape("AGE-SECRET-KEY-1", 58, Body::Capitals),
];

/// The places of keys of well-known services.
pub fn keys(text: &str) -> Vec<Range<usize>> {
    words(text).filter(|place| is_key(&text[place.clone()])).collect()
}

/// The places of JSON Web Tokens: three parts, of which the first two are JSON objects.
pub fn jwts(text: &str) -> Vec<Range<usize>> {
    words(text)
        .filter(|place| {
            let parts: Vec<&str> = text[place.clone()].split('.').collect();
            // `{"` in base64 is `eyJ`.
            matches!(parts[..], [header, claims, signature]
                if header.len() >= 10 && header.starts_with("eyJ") && claims.starts_with("eyJ") && signature.len() >= 16)
        })
        .collect()
}

/// The places of private keys, from `-----BEGIN … PRIVATE KEY` to the end of their block, or of the text.
pub fn private_keys(text: &str) -> Vec<Range<usize>> {
    const BEGIN: &str = "-----BEGIN ";
    /// No label is as long: what says nothing of a private key by then is none.
    const LABEL_MAX: usize = 64;
    let mut found: Vec<Range<usize>> = Vec::new();
    for (start, _) in text.match_indices(BEGIN) {
        let label = &text.as_bytes()[start + BEGIN.len()..];
        let label = &label[..label.len().min(LABEL_MAX)];
        let end = label.windows(5).position(|part| part == b"-----" || part[0] == b'\n').unwrap_or(label.len());
        let inside = found.last().is_some_and(|last| start < last.end);
        if inside || !label[..end].windows(11).any(|part| part == b"PRIVATE KEY") {
            continue;
        }
        let end = text[start..].find("-----END ").and_then(|size| {
            let closing = start + size + "-----END ".len();
            text[closing..].find("-----").map(|size| closing + size + "-----".len())
        });
        found.push(start..end.unwrap_or(text.len()));
    }
    found
}

/// Runs of the characters that keys are made of, without a full stop at their end.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(is_part)?;
        at = text[start..].find(|c| !is_part(c)).map_or(text.len(), |size| start + size);
        Some(start..start + text[start..at].trim_end_matches('.').len())
    })
}

fn is_key(word: &str) -> bool {
    SHAPES.iter().any(|shape| word.strip_prefix(shape.prefix).is_some_and(|rest| shape.fits(rest)))
}

impl Shape {
    fn fits(&self, rest: &str) -> bool {
        let digits = rest.bytes().any(|byte| byte.is_ascii_digit());
        let fits = match self.body {
            Body::Capitals => rest.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()),
            Body::Url => digits && !rest.contains('.'),
            Body::Dotted => digits,
        };
        fits && rest.len() >= self.least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(places: &[Range<usize>], text: &str) -> Option<String> {
        places.first().map(|place| text[place.clone()].to_owned())
    }

    #[test]
    fn a_key_is_known_by_how_it_begins_and_how_long_it_is() {
        for shape in SHAPES {
            let key = format!("{}{}", shape.prefix, "A7".repeat(shape.least.div_ceil(2)));
            let text = format!("my key is \"{key}\".");
            assert_eq!(one(&keys(&text), &text), Some(key));
            let short = format!("{}A7", shape.prefix);
            assert_eq!(one(&keys(&short), &short), None);
        }
    }

    #[test]
    fn a_long_word_is_no_key() {
        for word in
            ["sk-it-is-not-what-it-looks-like-at-all", "npm_install_everything_that_there_is_now", "SG.", "AKIA"]
        {
            assert_eq!(one(&keys(word), word), None, "{word}");
        }
    }

    #[test]
    fn a_token_has_three_parts_of_which_two_are_objects() {
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJlLW9mLTE2";
        let text = format!("bearer {token}, see eyJ.eyJ.x");
        assert_eq!(jwts(&text).len(), 1);
        assert_eq!(one(&jwts(&text), &text).as_deref(), Some(token));
    }

    #[test]
    fn a_private_key_ends_with_its_block_or_with_the_text() {
        let block = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----";
        let text = format!("look:\n{block}\nis that bad?");
        assert_eq!(one(&private_keys(&text), &text).as_deref(), Some(block));
        let torn = "-----BEGIN PRIVATE KEY-----\nMIIE";
        assert_eq!(one(&private_keys(torn), torn).as_deref(), Some(torn));
        assert!(private_keys("-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----").is_empty());
    }
}
