//! Takes the built web client in: the files of `web/dist`, as `cargo xtask web` leaves them. Where there are none, the hub is
//! built without it.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let dist = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../web/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut out = String::from("static FILES: &[File] = &[\n");
    let mut files = Vec::new();
    gather(&dist, &mut files)?;
    files.sort();
    for file in &files {
        let Ok(name) = file.strip_prefix(&dist) else { continue };
        let name = name.to_string_lossy().replace('\\', "/");
        if name.starts_with('.') || name.ends_with(".gz") || name.ends_with(".br") {
            continue;
        }
        let compressed = |ending: &str| {
            let path = PathBuf::from(format!("{}.{ending}", file.display()));
            if path.exists() { format!("Some(include_bytes!({:?}))", path.display()) } else { "None".into() }
        };
        let (gzip, brotli, path) = (compressed("gz"), compressed("br"), file.display());
        writeln!(
            out,
            "    File {{ name: {name:?}, content: include_bytes!({path:?}), gzip: {gzip}, brotli: {brotli} }},"
        )
        .map_err(io::Error::other)?;
    }
    out.push_str("];\n");
    fs::write(Path::new(&variable("OUT_DIR")?).join("web.rs"), out)
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")))
}

fn gather(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
