//! The glue between the contract's exports and a [`Plugin`].

use crate::Plugin;

/// Reads the settings and makes the plugin; an error names the setting that is wrong.
pub fn configure<P: Plugin>(settings: &str) -> Result<P, String> {
    let mut reader = serde_json::Deserializer::from_str(settings);
    let settings = serde_path_to_error::deserialize(&mut reader).map_err(|error| match error.path().to_string() {
        path if path == "." => reason(error.inner()),
        path => format!("`{path}`: {}", reason(error.inner())),
    })?;
    P::configure(settings)
}

/// Serde's reason without its place in the JSON text, which the operator never sees.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Exports a [`Plugin`](crate::Plugin) as a component, if the target is `wasm32`. Once in a crate whose type is `cdylib`.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code, reason = "the contract's exports are raw functions; generated code does the passing")]
        const _: () = {
            ::std::thread_local! {
                static PLUGIN: ::std::cell::OnceCell<$plugin> = const { ::std::cell::OnceCell::new() };
            }

            struct Exports;

            impl $crate::contract::Guest for Exports {
                fn configure(settings: ::std::string::String) -> ::std::result::Result<(), ::std::string::String> {
                    $crate::export::prepare();
                    let plugin = $crate::export::configure::<$plugin>(&settings)?;
                    PLUGIN.with(|cell| cell.set(plugin)).map_err(|_| "configured twice")?;
                    $crate::export::settle();
                    Ok(())
                }

                fn judge(event: $crate::Event, context: $crate::Context) -> $crate::Verdict {
                    PLUGIN.with(|cell| {
                        let plugin = cell.get().expect("the hub configures a plugin before it asks it");
                        $crate::Plugin::judge(plugin, &event, &context)
                    })
                }
            }

    $crate::contract::export_contract!(Exports with_types_in $crate::contract);
        };
    };
}

/// Makes panics speak: with the capability `log` they reach the hub's log; without it only the trap is seen.
pub fn prepare() {
    #[cfg(all(feature = "log", target_arch = "wasm32"))]
    std::panic::set_hook(Box::new(|panic| crate::log::warn(&panic.to_string())));
}

/// The plugin is configured: what each call allocates lies together from now on.
pub fn settle() {
    #[cfg(all(feature = "allocator", target_arch = "wasm32", not(target_feature = "atomics")))]
    crate::allocator::settle();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, Event, Verdict};

    struct Picky;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        words: Vec<String>,
    }

    impl Plugin for Picky {
        type Settings = Settings;
        fn configure(settings: Settings) -> Result<Self, String> {
            if settings.words.is_empty() { Err("no words".into()) } else { Ok(Self) }
        }
        fn judge(&self, _: &Event, _: &Context) -> Verdict {
            Verdict::accept()
        }
    }

    #[test]
    fn an_error_in_the_settings_names_the_setting_and_not_a_place_in_json() {
        let says = |settings| configure::<Picky>(settings).err().unwrap_or_default();
        assert_eq!(says(r#"{"words":["a"]}"#), "");
        assert_eq!(says(r#"{"words":[]}"#), "no words");
        assert_eq!(says(r#"{"words":["a",7]}"#), "`words[1]`: invalid type: integer `7`, expected a string");
        assert_eq!(says("{}"), "missing field `words`");
        assert!(says(r#"{"word":["a"]}"#).contains("unknown field `word`"), "{}", says(r#"{"word":["a"]}"#));
    }
}
