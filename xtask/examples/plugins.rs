//! Builds every plugin of the repository into the folder given, or `target/plugins`.
use std::path::PathBuf;

fn main() -> anyhow::Result<()> {
    let out = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("target/plugins"), PathBuf::from);
    let names = [xtask::wasm::PLUGINS, xtask::wasm::FIXTURES].concat();
    let start = std::time::Instant::now();
    for file in xtask::wasm::build(&names, &out)? {
        #[allow(clippy::print_stdout, reason = "this is what the program is for")]
        {
            println!("{} {} bytes, {:?}", file.display(), std::fs::metadata(&file)?.len(), start.elapsed());
        }
    }
    Ok(())
}
