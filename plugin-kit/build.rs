//! Lists the files of the SDK, so that every one of them is in the program that makes new plugins.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let sdk = Path::new(&env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("../plugin-sdk");
    let mut list = String::from("/// The files of the SDK: path and text.\npub const SDK: &[(&str, &str)] = &[\n");
    for folder in ["src", "wit"] {
        walk(&sdk, Path::new(folder), &mut list)?;
    }
    list.push_str("];\n");
    let out = Path::new(&env::var("OUT_DIR").map_err(io::Error::other)?).join("sdk.rs");
    fs::write(out, list)
}

fn walk(sdk: &Path, below: &Path, list: &mut String) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", sdk.join(below).display());
    let mut entries = fs::read_dir(sdk.join(below))?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            walk(sdk, &path, list)?;
        } else {
            let shown = path.to_string_lossy();
            writeln!(list, "    ({shown:?}, include_str!({:?})),", entry.path()).map_err(io::Error::other)?;
        }
    }
    Ok(())
}
