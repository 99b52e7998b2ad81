//! The programs of the guide, as they stand there, and the tests that the promises name.

use anyhow::{Context, Result, ensure};
use confab_tests::stock::Documented;
use confab_tests::world::Embedded;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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

/// The functions that Rust files below a folder define.
fn functions(folder: &Path, found: &mut BTreeSet<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            functions(&path, found)?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path)?;
            let after = text.split("fn ").skip(1);
            found.extend(after.filter_map(|rest| rest.split(['(', '<']).next().map(str::to_owned)));
        }
    }
    Ok(())
}

#[test]
fn every_test_that_the_promises_name_exists() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut defined = BTreeSet::new();
    for folder in ["tests", "hub", "store", "consumer", "protocol", "plugin-sdk"] {
        for part in ["src", "tests"] {
            let folder = root.join(folder).join(part);
            if folder.exists() {
                functions(&folder, &mut defined)?;
            }
        }
    }
    let page = std::fs::read_to_string(root.join("docs/reference/promises.md"))?;
    // Tests tell stories: nothing else in that page is as long a name.
    let is_test = |name: &&str| {
        name.matches('_').count() >= 4 && name.chars().all(|c| c.is_ascii_lowercase() || "_0123456789".contains(c))
    };
    let named: Vec<&str> = page.split('`').skip(1).step_by(2).filter(is_test).collect();
    let missing: Vec<_> = named.iter().filter(|name| !defined.contains(**name)).collect();
    ensure!(missing.is_empty(), "no such test: {missing:?}");
    let (_, schedules) = page.split_once("## Schedules").context("the page has the schedules")?;
    for number in 1..=15 {
        let row = schedules.lines().find(|line| line.starts_with(&format!("| {number} |")));
        let row = row.with_context(|| format!("schedule {number} is missing"))?;
        ensure!(row.contains('`') || row.contains("not yet"), "schedule {number} has no test");
    }
    ensure!(named.len() > 50, "the page names only {} tests", named.len());
    Ok(())
}

/// The pages of this folder, and of those in it.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            pages(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    Ok(())
}

#[test]
fn every_file_that_a_page_links_to_exists() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|page| root.join(page)).into();
    pages(&root.join("docs"), &mut found)?;
    let mut missing = Vec::new();
    for page in found {
        let text = std::fs::read_to_string(&page)?;
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        for link in links.filter(|link| !link.contains("://") && !link.contains(' ')) {
            let file = link.split('#').next().unwrap_or_default();
            if !page.with_file_name("").join(file).exists() {
                missing.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    Ok(())
}
