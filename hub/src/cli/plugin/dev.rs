//! `confab plugin dev`: builds at every change, tests, and swaps the plugin into a local hub.

use super::args::{Dev, Test};
use super::{Done, Failure, say, test};
use crate::cli::{AnswerArgs, Exit, Reload, Screen, SettingsArgs, reload};
use confab_plugin_kit::build::Builder;
use confab_plugin_kit::project::{GOLDEN, Project};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How often the folder is looked at. A plugin's folder has a few dozen files.
const LOOK: Duration = Duration::from_millis(300);

pub(super) fn run(settings: &SettingsArgs, dev: &Dev, screen: &mut Screen<'_>) -> Done {
    let mut seen = None;
    let mut builds = 0;
    loop {
        let now = stamps(&dev.folder);
        if seen.as_ref() == Some(&now) {
            std::thread::sleep(LOOK);
            continue;
        }
        seen = Some(now);
        let last = match once(settings, dev, screen) {
            Ok(exit) => exit,
            // What is wrong with the plugin is told, and its author goes on.
            Err(Failure::Found(found, exit)) => {
                screen.findings(&found)?;
                exit
            }
            Err(failure) => return Err(failure),
        };
        builds += 1;
        if dev.builds.is_some_and(|most| builds >= most) {
            return Ok(last);
        }
        say(&format!("watching {} (Ctrl-C ends this)", dev.folder.display()));
        screen.out.flush()?;
    }
}

/// Builds, tests and swaps; what fails keeps the hub on what it has.
fn once(settings: &SettingsArgs, dev: &Dev, screen: &mut Screen<'_>) -> Done {
    let project = Project::open(&dev.folder)?;
    let out = dev.out.clone().unwrap_or_else(|| project.component());
    say(&format!("building {}", project.name()));
    // Beside the file that the hub reads: a build that fails its cases never gets there.
    let aside = dev.folder.join(".confab").join(format!("{}.wasm", project.name()));
    Builder::new(&say).build(&project, &aside)?;
    let cases = dev.folder.join(GOLDEN);
    if cases.exists() {
        let test = Test { plugin: aside.clone(), cases: Some(cases), only: None, json: false };
        if test::run(&test, screen)? != Exit::Done {
            return Ok(Exit::Failed);
        }
    }
    let bytes = std::fs::read(&aside).map_err(|error| confab_plugin_kit::Error::file("read", &aside, &error))?;
    let unfinished = out.with_extension(format!("wasm.{}", std::process::id()));
    std::fs::write(&unfinished, bytes)
        .and_then(|()| std::fs::rename(&unfinished, &out))
        .map_err(|error| confab_plugin_kit::Error::file("write", &out, &error))?;
    if dev.no_reload {
        return Ok(Exit::Done);
    }
    if !is_in_hub_toml(settings, &out) {
        let place = out.display();
        writeln!(
            screen.err,
            "note: no plugin of hub.toml has the module {place}: `confab plugin add {place}` puts it there"
        )?;
    }
    let swap = Reload { dry_run: false, answer: AnswerArgs { json: false, hub: dev.hub.clone() } };
    Ok(reload::run(settings, &swap, screen)?)
}

/// Whether the hub takes this file in at all. Where the settings cannot be read, the reload tells.
fn is_in_hub_toml(settings: &SettingsArgs, out: &Path) -> bool {
    let Ok(loaded) = settings.load(Vec::new()) else { return true };
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    loaded.config.plugin.values().any(|plugin| whole(&plugin.module) == whole(out))
}

/// When each file that decides what the plugin is was changed.
fn stamps(folder: &Path) -> Vec<(PathBuf, Option<SystemTime>)> {
    // A folder that is no plugin now may be one in a moment: an editor is at work.
    let mut files = Project::open(folder).and_then(|project| project.sources()).unwrap_or_default();
    files.push(folder.join(GOLDEN));
    files.push(folder.join("plugin.toml"));
    let stamp = |file: PathBuf| {
        let changed = std::fs::metadata(&file).and_then(|metadata| metadata.modified()).ok();
        (file, changed)
    };
    files.into_iter().map(stamp).collect()
}
