//! JavaScript: componentize-js from npm, which puts a JavaScript engine and the plugin's source into one component.

use super::{WORLD, once, run, write_contract};
use crate::project::Project;
use crate::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The tool, with its version.
pub const TOOL: &str = "componentize-js 0.23.0";

/// Beside the tool stands one package that it needs and does not name.
const PACKAGE: &str = include_str!("componentize-js.json");
const LOCK: &str = include_str!("componentize-js.lock.json");

/// Calls the tool. Every feature that would import a system interface is off: the hub links none.
const CALL: &str = "\
import { componentize } from '@bytecodealliance/componentize-js';
import { writeFile } from 'node:fs/promises';

const [sourcePath, witPath, worldName, out] = process.argv.slice(2);
const disableFeatures = ['random', 'stdio', 'clocks', 'http', 'fetch-event'];
const { component } = await componentize({ sourcePath, witPath, worldName, disableFeatures });
await writeFile(out, component);
";

/// Makes a component of `src/plugin.js`; returns the file, which lies in the work's folder.
pub fn build(project: &Project, work: &Path, say: &dyn Fn(&str)) -> Result<PathBuf> {
    let packages = &blake3::hash(LOCK.as_bytes()).to_hex()[..8];
    let tool = once(&format!("componentize-js-0.23.0-{packages}"), |folder| install(folder, say))?;
    let wit = write_contract(project.manifest.as_ref(), work)?;
    let out = work.join("unfinished");
    say(&format!("{}: {TOOL} (about half a minute)", project.name()));
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| Error::file("find", path, &error));
    let mut node = Command::new("node");
    node.current_dir(&tool).arg(tool.join("call.mjs")).arg(absolute(&project.root.join("src/plugin.js"))?);
    node.arg(absolute(&wit)?).arg(WORLD).arg(absolute(&out)?);
    let help = "the file must be a module that exports `configure` and `judge`; the engine has no `\\p{…}` in patterns";
    run(&mut node, &format!("{} does not become a component", project.root.join("src/plugin.js").display()), help)?;
    Ok(out)
}

fn install(folder: &Path, say: &dyn Fn(&str)) -> Result<()> {
    say(&format!("installing {TOOL} (once; 385 MB)"));
    for (name, text) in [("package.json", PACKAGE), ("package-lock.json", LOCK), ("call.mjs", CALL)] {
        let file = folder.join(name);
        fs::write(&file, text).map_err(|error| Error::file("write", &file, &error))?;
    }
    let mut npm = Command::new("npm");
    npm.current_dir(folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    run(&mut npm, &format!("could not install {TOOL}"), "install Node.js 20 or later with npm, then try again")
}
