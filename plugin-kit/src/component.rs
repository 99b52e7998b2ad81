//! What a component says of itself, read without running it: its contract and what it imports.

use crate::embed::Unreadable;
use crate::plain;
use serde::Serialize;
use wasmparser::component_types::ComponentEntityType;
use wasmparser::{Parser, Payload, Validator};

/// The contract's package.
const PACKAGE: &str = "confab:plugin/";

/// What stands at a component's door.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Face {
    /// The version of the contract that it was built for; `None` for a component that is no plugin.
    pub contract: Option<String>,
    /// The capabilities that it imports, by their key in hub.toml.
    pub capabilities: Vec<String>,
    /// The capabilities of which it knows the words and calls nothing: no grant is needed for that.
    pub words: Vec<String>,
    /// What it imports that no plugin can have.
    pub foreign: Vec<String>,
}

/// Reads a component's imports.
///
/// # Errors
/// [`Unreadable`] for what is no valid component.
pub fn face(component: &[u8]) -> Result<Face, Unreadable> {
    let wrong = |error: wasmparser::BinaryReaderError| Unreadable(format!("not a WebAssembly component: {error}"));
    let types = Validator::new().validate_all(component).map_err(wrong)?;
    let types = types.as_ref();
    let (mut face, mut depth) = (Face::default(), 0_usize);
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(wrong)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    let name = import.map_err(wrong)?.name.name;
                    plain::check(name).map_err(|why| Unreadable(format!("the name of an import: {why}")))?;
                    let only_types = match types.component_item_for_import(name).map(|item| item.ty) {
                        Some(ComponentEntityType::Instance(id)) => {
                            types[id].exports.values().all(|item| matches!(item.ty, ComponentEntityType::Type { .. }))
                        }
                        Some(ComponentEntityType::Type { .. }) => continue,
                        _ => false,
                    };
                    note(&mut face, name, only_types);
                }
            }
            _ => {}
        }
    }
    Ok(face)
}

fn note(face: &mut Face, import: &str, only_types: bool) {
    let Some(rest) = import.strip_prefix(PACKAGE) else {
        face.foreign.push(import.to_owned());
        return;
    };
    let (interface, version) = rest.split_once('@').unwrap_or((rest, "none"));
    face.contract = Some(version.to_owned());
    match interface.strip_prefix("host-") {
        Some(capability) if only_types => face.words.push(capability.to_owned()),
        Some(capability) => face.capabilities.push(capability.to_owned()),
        None if interface == "types" => {}
        None => face.foreign.push(import.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component in the text form.
    fn read(text: &str) -> Face {
        face(&wat::parse_str(text).unwrap()).unwrap()
    }

    #[test]
    fn imports_are_capabilities_or_foreign() {
        let found = read(
            r#"(component
                (import "confab:plugin/types@1.0.0" (instance))
                (import "confab:plugin/host-kv@1.0.0" (instance (export "delete" (func (param "key" string)))))
                (import "wasi:io/poll@0.2.0" (instance)))"#,
        );
        assert_eq!(found.contract.as_deref(), Some("1.0.0"));
        assert_eq!((found.capabilities, found.foreign), (vec!["kv".to_owned()], vec!["wasi:io/poll@0.2.0".to_owned()]));
    }

    #[test]
    fn an_interface_of_which_only_the_types_are_used_is_no_capability() {
        let found = read(
            r#"(component (import "confab:plugin/host-log@1.0.0" (instance
                (type $level (enum "debug" "info" "warn")) (export "level" (type (eq $level))))))"#,
        );
        assert_eq!((found.words, found.capabilities), (vec!["log".to_owned()], Vec::new()));
    }
}
