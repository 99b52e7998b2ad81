//! Where in hub.toml a chain that cannot be made went wrong.

use super::{Error, Fault};
use confab_config::{Path, Problem};

impl Error {
    /// The same as a finding about a setting; [`confab_config::Loaded::place`] gives it its place in the file.
    pub fn problem(&self) -> Problem {
        let at = match self {
            Self::Engine(_) => Path::of("plugin"),
            Self::UnknownPlugin { chain, .. } => Path::of("chain").index(chain - 1).key("plugins"),
            Self::Patterns { chain, .. } => Path::of("chain").index(chain - 1).key("rooms"),
            Self::Start { plugin, source: Fault::Configure(_), .. } => {
                Path::of("plugin").key(plugin.as_str()).key("settings")
            }
            Self::Module { plugin, .. } | Self::Start { plugin, .. } => {
                Path::of("plugin").key(plugin.as_str()).key("module")
            }
        };
        let causes = std::iter::successors(std::error::Error::source(self), |error| error.source());
        let mut lines: Vec<String> = causes.map(ToString::to_string).collect();
        lines.dedup();
        let label = lines.join(": ");
        let problem = Problem::error(&at, self.to_string());
        if label.is_empty() { problem } else { problem.label(label) }
    }
}
