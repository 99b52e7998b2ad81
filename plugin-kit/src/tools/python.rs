//! Python: componentize-py, which puts a Python interpreter and the plugin's source into one component.

use super::{WORLD, once, run, write_contract};
use crate::project::Project;
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The tool, with its version.
pub const TOOL: &str = "componentize-py 0.25.1";

/// Makes a component of `src/plugin.py`; returns the file, which lies in the work's folder.
pub fn build(project: &Project, work: &Path, say: &dyn Fn(&str)) -> Result<PathBuf> {
    let tool = once("componentize-py-0.25.1", |folder| install(folder, say))?;
    let wit = write_contract(project.manifest.as_ref(), work)?;
    let out = work.join("unfinished");
    say(&format!("{}: {TOOL} (about half a minute)", project.name()));
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| Error::file("find", path, &error));
    let mut python = Command::new(tool.join("bin/componentize-py"));
    // Away from the plugin's folder, so that nothing but its sources can get in.
    python.current_dir(work).arg("--quiet").arg("--wit-path").arg(absolute(&wit)?).args(["--world", WORLD]);
    // Imports of system interfaces become traps: the hub links none.
    python.args(["componentize", "--stub-wasi", "--python-path"]).arg(absolute(&project.root.join("src"))?);
    python.arg("plugin").arg("--output").arg(absolute(&out)?).env("PYTHONDONTWRITEBYTECODE", "1");
    let help = "the module must have a class `WitWorld` with the methods `configure` and `judge`";
    run(&mut python, &format!("{} does not become a component", project.root.join("src/plugin.py").display()), help)?;
    Ok(out)
}

fn install(folder: &Path, say: &dyn Fn(&str)) -> Result<()> {
    say(&format!("installing {TOOL} (once; 72 MB)"));
    let help = "install Python 3.10 or later with its `venv` module, then try again";
    let what = format!("could not install {TOOL}");
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder), &what, help)?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", &TOOL.replace(' ', "==")]);
    run(&mut pip, &what, help)
}
