//! Runs a verb in a test: settings in, two texts and an exit code out.

use super::{Exit, Screen, SettingsArgs};
use std::io;

/// What a verb said.
pub(super) struct Said {
    pub exit: Exit,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Runs the verb with a hub.toml of this text.
    pub fn by(text: &str, verb: impl FnOnce(&SettingsArgs, &mut Screen<'_>) -> io::Result<Exit>) -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let file = folder.path().join("hub.toml");
        std::fs::write(&file, text).expect("the folder can be written to");
        let settings = SettingsArgs { config: Some(file), set: Vec::new() };
        let mut out = Vec::new();
        let mut err = Vec::new();
        let exit =
            verb(&settings, &mut Screen { out: &mut out, err: &mut err, colour: false }).expect("buffers take all");
        let text = |bytes| String::from_utf8(bytes).expect("verbs write text");
        Self { exit, out: text(out), err: text(err) }
    }
}
