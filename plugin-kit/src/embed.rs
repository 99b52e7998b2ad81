//! Manifest and settings schema as custom sections of a component, so that one file is a plugin.

use crate::manifest::Manifest;
use crate::plain;
use serde_json::Value;
use std::borrow::Cow;
use wasm_encoder::{ComponentSection, CustomSection};
use wasmparser::{Encoding, Parser, Payload};

/// The section of the manifest: JSON.
pub const MANIFEST: &str = "confab:manifest";

/// The section of the settings' schema: JSON Schema.
pub const SCHEMA: &str = "confab:settings-schema";

/// What travels in a component.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embedded {
    /// The manifest, if it has one.
    pub manifest: Option<Manifest>,
    /// The JSON Schema of its settings, if it has one.
    pub schema: Option<Value>,
}

/// Why what travels in a component cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

/// The component with manifest and schema in it; those that it had are replaced.
pub fn embed(component: &[u8], manifest: Option<&Manifest>, schema: Option<&Value>) -> Result<Vec<u8>, Unreadable> {
    let mut bytes = without(component, &[MANIFEST, SCHEMA])?;
    let mut put = |name: &str, data: &str| {
        CustomSection { name: Cow::Borrowed(name), data: Cow::Borrowed(data.as_bytes()) }
            .append_to_component(&mut bytes);
    };
    if let Some(manifest) = manifest {
        put(MANIFEST, &manifest.to_json());
    }
    if let Some(schema) = schema {
        put(SCHEMA, &schema.to_string());
    }
    Ok(bytes)
}

/// Reads what travels in a component.
pub fn read(component: &[u8]) -> Result<Embedded, Unreadable> {
    let mut found = Embedded::default();
    for (name, data, _) in sections(component)? {
        let text = || std::str::from_utf8(data).map_err(|_| Unreadable(format!("section `{name}` is not text")));
        match name {
            MANIFEST => {
                let read = Manifest::from_json(text()?);
                found.manifest = Some(read.map_err(|why| Unreadable(format!("section `{name}`: {why}")))?);
            }
            SCHEMA => {
                let read: Value =
                    serde_json::from_str(text()?).map_err(|why| Unreadable(format!("section `{name}`: {why}")))?;
                plain::check_schema(&read).map_err(|why| Unreadable(format!("section `{name}`: {why}")))?;
                found.schema = Some(read);
            }
            _ => {}
        }
    }
    Ok(found)
}

/// A custom section: its name, its content, and where it ends.
type Section<'a> = (&'a str, &'a [u8], usize);

/// The component's own custom sections, not those of the modules inside it.
fn sections(component: &[u8]) -> Result<Vec<Section<'_>>, Unreadable> {
    let wrong = |error: wasmparser::BinaryReaderError| Unreadable(format!("not a WebAssembly component: {error}"));
    let (mut found, mut depth) = (Vec::new(), 0_usize);
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(wrong)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(Unreadable("not a WebAssembly component, but a core module".into()));
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 => {
                found.push((section.name(), section.data(), section.range().end));
            }
            _ => {}
        }
    }
    Ok(found)
}

fn without(component: &[u8], names: &[&str]) -> Result<Vec<u8>, Unreadable> {
    let (mut kept, mut from) = (Vec::with_capacity(component.len()), 0);
    for (name, data, end) in sections(component)? {
        if names.contains(&name) {
            // A section is its id, its size, the length of its name, the name and the content.
            let inside = leb(name.len()) + name.len() + data.len();
            let start = end - inside - leb(inside) - 1;
            kept.extend_from_slice(&component[from..start]);
            from = end;
        }
    }
    kept.extend_from_slice(&component[from..]);
    Ok(kept)
}

/// How many bytes a number takes in a module, written as short as it can be.
fn leb(number: usize) -> usize {
    let bits = usize::BITS - number.leading_zeros();
    (bits.div_ceil(7) as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::Path;

    fn manifest(name: &str) -> Manifest {
        let text = format!("name = '{name}'\nversion = '1.0.0'\ndescription = 'x'\nlicense = 'MIT'");
        Manifest::parse(Path::new("plugin.toml"), &text).unwrap()
    }

    fn empty() -> Vec<u8> {
        wasm_encoder::Component::new().finish()
    }

    #[test]
    fn what_is_put_into_a_component_is_read_back_and_replaced_not_repeated() {
        let schema = json!({ "type": "object", "description": "x".repeat(300) });
        let first = embed(&empty(), Some(&manifest("a")), Some(&schema)).unwrap();
        let read = read(&first).unwrap();
        assert_eq!(read.manifest.unwrap().name, "a");
        assert_eq!(read.schema, Some(schema.clone()));
        let second = embed(&first, Some(&manifest("b")), Some(&schema)).unwrap();
        assert_eq!(second.len(), first.len());
        assert_eq!(super::read(&second).unwrap().manifest.unwrap().name, "b");
        assert_eq!(embed(&second, None, None).unwrap(), empty());
    }

    #[test]
    fn a_component_without_sections_says_nothing_and_a_module_is_none() {
        assert_eq!(read(&empty()).unwrap(), Embedded::default());
        assert!(read(b"\0asm\x01\0\0\0").unwrap_err().0.contains("core module"));
        assert!(read(b"hello").is_err());
    }
}
