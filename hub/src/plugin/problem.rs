//! Where in hub.toml a chain that cannot be made went wrong.

use super::{Error, Fault, ModuleError};
use confab_config::{Path, Problem};

impl Error {
    /// The same as findings about settings, at least one; [`confab_config::Loaded::place`] gives them their places in the file.
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            Self::Module { plugin, source: ModuleError::Settings(refused), .. } => refused.problems(plugin),
            other => vec![other.problem()],
        }
    }

    fn problem(&self) -> Problem {
        let at = match self {
            Self::Engine(_) => Path::of("plugin"),
            Self::UnknownPlugin { chain, .. } => Path::of("chain").index(chain - 1).key("plugins"),
            Self::Patterns { chain, .. } => Path::of("chain").index(chain - 1).key("rooms"),
            Self::Start { plugin, source: Fault::Configure(_), .. } => {
                Path::of("plugin").key(plugin.as_str()).key("settings")
            }
            Self::Module { plugin, source: ModuleError::NotGranted { .. }, .. } => {
                Path::of("plugin").key(plugin.as_str()).key("capabilities")
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
