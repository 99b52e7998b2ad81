//! What a component says of itself, read without running it: its contract and what it imports.

use crate::embed::Unreadable;
use serde::Serialize;
use wasmparser::{Parser, Payload};

/// The contract's package.
const PACKAGE: &str = "confab:plugin/";

/// What stands at a component's door.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Face {
    /// The version of the contract that it was built for; `None` for a component that is no plugin.
    pub contract: Option<String>,
    /// The capabilities that it imports, by their key in hub.toml.
    pub capabilities: Vec<String>,
    /// What it imports that no plugin can have.
    pub foreign: Vec<String>,
}

/// Reads a component's imports.
pub fn face(component: &[u8]) -> Result<Face, Unreadable> {
    let wrong = |error: wasmparser::BinaryReaderError| Unreadable(format!("not a WebAssembly component: {error}"));
    let (mut face, mut depth) = (Face::default(), 0_usize);
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(wrong)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    note(&mut face, import.map_err(wrong)?.name.name);
                }
            }
            _ => {}
        }
    }
    Ok(face)
}

fn note(face: &mut Face, import: &str) {
    let Some(rest) = import.strip_prefix(PACKAGE) else {
        face.foreign.push(import.to_owned());
        return;
    };
    let (interface, version) = rest.split_once('@').unwrap_or((rest, "none"));
    face.contract = Some(version.to_owned());
    match interface.strip_prefix("host-") {
        Some(capability) => face.capabilities.push(capability.to_owned()),
        None if interface == "types" => {}
        None => face.foreign.push(import.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_capabilities_or_foreign() {
        let mut face = Face::default();
        for import in ["confab:plugin/types@1.0.0", "confab:plugin/host-kv@1.0.0", "wasi:io/poll@0.2.0"] {
            note(&mut face, import);
        }
        assert_eq!(face.contract.as_deref(), Some("1.0.0"));
        assert_eq!((face.capabilities, face.foreign), (vec!["kv".to_owned()], vec!["wasi:io/poll@0.2.0".to_owned()]));
    }
}
