//! Addresses: as much of them as a preview needs.

/// The origin of an http address: scheme, host and port. `None` for anything else.
fn origin(url: &str) -> Option<&str> {
    let scheme = if url.starts_with("https://") { "https://" } else { "http://" };
    let rest = url.strip_prefix(scheme)?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    (end > 0).then(|| &url[..scheme.len() + end])
}

/// The address without its fragment, which is the browser's own business.
pub fn without_fragment(url: &str) -> &str {
    url.split('#').next().unwrap_or(url)
}

/// What a reference on a page means: an absolute http address, or `None` where it is something else.
pub fn resolve(page: &str, reference: &str) -> Option<String> {
    let reference = reference.trim();
    if reference.is_empty() || reference.chars().any(|c| c.is_whitespace() || c.is_control() || "\"<>\\".contains(c)) {
        return None;
    }
    let from = origin(page)?;
    let url = if reference.starts_with("//") {
        format!("{}{reference}", &from[..from.find("//")?])
    } else if reference.starts_with('/') {
        format!("{from}{reference}")
    } else if has_scheme(reference) {
        reference.to_owned()
    } else {
        let path = page.split(['?', '#']).next()?;
        let folder = if path.len() > from.len() { &path[..path.rfind('/')?] } else { path };
        format!("{folder}/{reference}")
    };
    origin(&url)?;
    Some(url)
}

/// Whether a reference begins with a scheme, such as `https:` or `data:`.
fn has_scheme(reference: &str) -> bool {
    reference.split_once(':').is_some_and(|(scheme, _)| {
        scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_as_browsers_read_it() {
        let page = "https://a.example:8443/blog/post?x=/1";
        for (reference, url) in [
            ("https://b.example/p.png", Some("https://b.example/p.png")),
            ("//b.example/p.png", Some("https://b.example/p.png")),
            ("/p.png", Some("https://a.example:8443/p.png")),
            ("p.png", Some("https://a.example:8443/blog/p.png")),
            ("?y", Some("https://a.example:8443/blog/?y")),
            ("data:image/png;base64,AA", None),
            ("javascript:alert(1)", None),
            ("https://", None),
            ("a b.png", None),
            ("", None),
        ] {
            assert_eq!(resolve(page, reference).as_deref(), url, "{reference}");
        }
        assert_eq!(resolve("https://a.example", "p.png").as_deref(), Some("https://a.example/p.png"));
    }
}
