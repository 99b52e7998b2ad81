//! The programs of the guide, as they stand there.

use anyhow::{Context, Result, ensure};
use confab_tests::stock::Documented;
use confab_tests::world::Embedded;
use std::path::Path;

/// Runs every program of a page until each has printed the line that everybody hears.
async fn programs_of(page: &str, expected: usize) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide").join(page);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut found = 0;
    for part in text.split("<!-- runs: ").skip(1) {
        let (what, rest) = part.split_once(" -->\n").context("a comment ends")?;
        let (language, name) = what.split_once(' ').context("a language and a name")?;
        let (_, rest) = rest.split_once("\n").context("a block begins")?;
        let (program, _) = rest.split_once("\n```").context("a block ends")?;
        let world = Embedded::start("").await?;
        ensure!(program.contains("127.0.0.1:8000"), "{name} names the hub of the guide");
        let program = program.replace("127.0.0.1:8000", &world.hub.listen);
        let running = Documented::start(language, name, &program).await.with_context(|| what.to_owned())?;
        running.says("hello").await.with_context(|| what.to_owned())?;
        found += 1;
    }
    ensure!(found == expected, "{page} has {found} programs that are run");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programs_of_the_clients_page_work() -> Result<()> {
    programs_of("clients.md", 5).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_of_the_socket_io_page_works() -> Result<()> {
    programs_of("socket-io.md", 1).await
}
