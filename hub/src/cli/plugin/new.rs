//! `confab plugin new`: a folder with a plugin to begin with.

use super::Done;
use super::args::{Lang, New};
use crate::cli::{Exit, Screen};
use confab_plugin_kit::template;
use std::path::PathBuf;

pub(super) fn run(new: &New, screen: &mut Screen<'_>) -> Done {
    let folder = new.path.clone().unwrap_or_else(|| PathBuf::from(&new.name));
    let files = template::write(&folder, &new.name, new.lang.into(), new.sdk.as_deref())?;
    let shown = folder.display();
    writeln!(screen.out, "made {shown}: {} files", files.len())?;
    let source = match new.lang {
        Lang::Rust => "src/lib.rs",
        Lang::Js => "src/plugin.js",
        Lang::Python => "src/plugin.py",
    };
    writeln!(
        screen.out,
        "\n  cd {shown}\n  confab plugin test                     the cases of golden.toml pass as they are\n  \
         confab plugin run -m hello -s most=3   one message\n\nThe plugin is {source}, its README says what else is there."
    )?;
    Ok(Exit::Done)
}
