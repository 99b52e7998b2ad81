//! Builds several plugin folders into one folder of components: what `cargo xtask` calls, so that xtask itself compiles in
//! seconds and what this needs is compiled once, with the rest of the workspace.
//!
//! `build-plugins TARGET_DIR OUT_DIR find|script FOLDER...`: `find` takes the toolchain's own target where there is one,
//! `script` the compiler made from Debian's packages.
#![expect(clippy::print_stderr, reason = "saying what happens is a program's business")]

use confab_plugin_kit::build::{Builder, Rust};
use confab_plugin_kit::project::Project;
use confab_plugin_kit::{Error, Result};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1).map(PathBuf::from).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<PathBuf>) -> Result<()> {
    let [target_dir, out, way, folders @ ..] = arguments.as_slice() else {
        return Err(Error::new("usage: build-plugins TARGET_DIR OUT_DIR find|script FOLDER..."));
    };
    let say = |line: &str| eprintln!("{line}");
    let mut builder = Builder::new(&say).target_dir(target_dir.clone());
    if way == Path::new("script") {
        builder = builder.with_rust(Rust::by_script(target_dir)?);
    }
    for (n, folder) in folders.iter().enumerate() {
        let project = Project::open_plain(folder)?;
        say(&format!("… plugin {} of {}: {}", n + 1, folders.len(), project.name()));
        builder.build(&project, &out.join(format!("{}.wasm", project.name())))?;
    }
    Ok(())
}
