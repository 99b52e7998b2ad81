//! `confab config …`: check the settings, show them, print the reference. Needs no running hub.

use super::{ConfigCommand, Exit, Screen, SettingsArgs, plugin_settings};
use confab_config::reference::{self, Variable};
use confab_config::{Diagnostics, Loaded};
use serde_json::json;
use std::io;

/// Does it.
pub fn run(settings: &SettingsArgs, command: &ConfigCommand, screen: &mut Screen<'_>) -> io::Result<Exit> {
    match command {
        ConfigCommand::Check { deny_warnings, json } => check(settings, *deny_warnings, *json, screen),
        ConfigCommand::Show { sources, json } => match settings.load(Vec::new()) {
            Ok(loaded) => show(&loaded, *sources, *json, screen),
            Err(errors) => {
                screen.findings(&errors)?;
                Ok(Exit::Configuration)
            }
        },
        ConfigCommand::Default => {
            screen.out.write_all(reference::TEXT.as_bytes())?;
            Ok(Exit::Done)
        }
        ConfigCommand::Env { json } => env(*json, screen),
    }
}

fn check(settings: &SettingsArgs, deny_warnings: bool, as_json: bool, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let (loaded, findings) = match settings.load(Vec::new()) {
        Ok(loaded) => {
            let settings = loaded.place(plugin_settings::problems(&loaded.config));
            let findings = loaded.warnings.iter().cloned().chain(loaded.check_serving().0).chain(settings.0).collect();
            (Some(loaded), Diagnostics(findings))
        }
        Err(errors) => (None, errors),
    };
    let exit = match (findings.errors(), findings.warnings()) {
        (0, 0) => Exit::Done,
        (0, _) if !deny_warnings => Exit::Done,
        (0, _) => Exit::Failed,
        _ => Exit::Configuration,
    };
    if as_json {
        let profile = loaded.as_ref().map(|loaded| loaded.config.profile().to_string());
        screen.json(&json!({ "ok": exit == Exit::Done, "profile": profile, "findings": findings.to_json() }))?;
        return Ok(exit);
    }
    screen.findings(&findings)?;
    if let (Exit::Done, Some(loaded)) = (exit, loaded) {
        writeln!(screen.out, "{}", summary(&loaded))?;
    }
    Ok(exit)
}

/// What was found to be fine, in a line.
fn summary(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let file = loaded.file.as_ref().map_or_else(|| "no hub.toml".into(), |file| file.display().to_string());
    format!(
        "{file}: ok ({} profile, {}, {}, {})",
        config.profile(),
        count(config.plugin.len(), "plugin"),
        count(config.chain.len(), "chain"),
        count(config.test.len(), "test"),
    )
}

fn show(loaded: &Loaded, sources: bool, as_json: bool, screen: &mut Screen<'_>) -> io::Result<Exit> {
    match (as_json, sources) {
        (false, false) => {
            let text = loaded.config.show().map_err(io::Error::other)?;
            screen.out.write_all(text.as_bytes())?;
        }
        (false, true) => {
            let text = loaded.show_sources().map_err(io::Error::other)?;
            screen.out.write_all(text.as_bytes())?;
        }
        (true, false) => screen.json(&serde_json::to_value(loaded.config.hide_secrets())?)?,
        (true, true) => {
            let settings = loaded.effective().map_err(io::Error::other)?;
            let value = |setting: confab_config::Effective| json!({ "setting": setting.path.to_string(), "value": setting.value, "source": setting.origin.to_string() });
            screen.json(&settings.into_iter().map(value).collect())?;
        }
    }
    Ok(Exit::Done)
}

fn env(as_json: bool, screen: &mut Screen<'_>) -> io::Result<Exit> {
    let variables = reference::variables();
    if as_json {
        let value = |Variable { name, value, on, words }: Variable| {
            let (default, example) = if on { (Some(value), None) } else { (None, Some(value)) };
            json!({ "name": name, "default": default, "example": example, "meaning": words })
        };
        screen.json(&variables.into_iter().map(value).collect())?;
        return Ok(Exit::Done);
    }
    for Variable { name, value, on, words } in variables {
        // Text needs no quotes of TOML; the quotes here are the shell's.
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        writeln!(screen.out, "# {words}\n{}{name}='{value}'", if on { "" } else { "#" })?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tests_support::Said;

    fn with(text: &str, command: ConfigCommand) -> Said {
        Said::by(text, |settings, screen| run(settings, &command, screen))
    }

    const CHECK: ConfigCommand = ConfigCommand::Check { deny_warnings: false, json: false };

    #[test]
    fn a_good_file_is_summed_up_in_a_line() {
        let said = with("[auth]\ninsecure = true\n", CHECK);
        assert_eq!(said.exit, Exit::Done);
        assert!(said.out.ends_with("hub.toml: ok (embedded profile, 0 plugins, 0 chains, 0 tests)\n"), "{}", said.out);
        assert_eq!(said.err, "");
    }

    #[test]
    fn a_bad_file_ends_with_78_and_the_place() {
        let said = with("[auth]\ninsecure = true\n[limits]\nfraem = 1\n", CHECK);
        assert_eq!(said.exit, Exit::Configuration);
        assert!(said.err.contains("hub.toml:4:1") && said.err.contains("did you mean `frame`?"), "{}", said.err);
        let said = with("[auth]\n", CHECK);
        assert_eq!(said.exit, Exit::Configuration);
        assert!(said.err.contains("nobody could connect"), "{}", said.err);
    }

    #[test]
    fn warnings_fail_only_when_they_are_denied() {
        let text = "[auth]\ninsecure = true\nhmac_secret = 'short'\n";
        assert_eq!(with(text, CHECK).exit, Exit::Done);
        let strict = ConfigCommand::Check { deny_warnings: true, json: true };
        let said = with(text, strict);
        assert_eq!(said.exit, Exit::Failed);
        let said: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(said["findings"][0]["severity"], "warning");
    }

    #[test]
    fn what_is_shown_has_no_secret() {
        for (sources, json) in [(false, false), (true, false), (false, true), (true, true)] {
            let said = with(
                "[auth]\nhmac_secret = 'hunter2-hunter2-hunter2-hunter2-'\n",
                ConfigCommand::Show { sources, json },
            );
            assert_eq!(said.exit, Exit::Done);
            assert!(said.out.contains("hmac_secret") && !said.out.contains("hunter2"), "{}", said.out);
        }
    }

    #[test]
    fn the_names_of_the_environment_can_be_sourced_by_a_shell() {
        let said = with("", ConfigCommand::Env { json: false });
        assert!(said.out.contains("\nCONFAB_LIMITS__FRAME='64 KiB'\n"), "{}", said.out);
        assert!(said.out.contains("\n#CONFAB_TIMELINE__REDIS__PREFIX='confab'\n"), "{}", said.out);
        let live: Vec<(String, String)> = said
            .out
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
            .collect();
        let loaded = confab_config::load(Some("/dev/null".as_ref()), live.into_iter(), Vec::new()).unwrap();
        assert_eq!(loaded.config.limits, confab_config::Limits::default());
    }
}
