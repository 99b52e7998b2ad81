//! Golden cases: events in, verdicts out, in a file that plugins in every language can share (`golden.toml`). What a case
//! is, and when it passes, is the SDK's to say: the same two files are compiled there and here.

#[path = "../../plugin-sdk/src/testing/golden/case.rs"]
mod case;
#[path = "../../plugin-sdk/src/testing/golden/compare.rs"]
mod compare;

pub use case::{Case, EventCase, Expect, Failing, Recorded, Step, json_text, to_json};

pub use compare::{Difference, Outcome, compare};

use crate::{Error, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};

const SHAPE: &str = "a case is `[[case]]` with `name`, `settings`, `event` and `expect`";

/// The cases of a file.
#[derive(Clone, Debug)]
pub struct Golden {
    /// The file.
    pub file: PathBuf,
    /// Its cases, in order.
    pub cases: Vec<Case>,
}

impl Golden {
    /// Reads a file of cases.
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|error| Error::file("read", file, &error).help(SHAPE))?;
        Self::parse(file, &text)
    }

    /// Reads the text of a file of cases; `file` is what errors call it.
    pub fn parse(file: &Path, text: &str) -> Result<Self> {
        let cases = case::parse(text).map_err(|wrong| match wrong {
            case::Wrong::Toml(error) => Error::toml(file, text, &error),
            case::Wrong::Case { span, message, help } => Error::at(file, text, span, message).help(help),
            case::Wrong::Empty => Error::new(format!("{} has no cases", file.display())).help(SHAPE),
        })?;
        Ok(Self { file: file.to_owned(), cases })
    }
}

/// Reads a file of recorded answers: `[[http]]`, as cases write them.
pub fn read_answers(file: &Path) -> Result<Vec<Recorded>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Answers {
        http: Vec<Recorded>,
    }
    let help = "an answer is `[[http]]` with `url`, and `status`, `headers`, `body` or `error`";
    let text = std::fs::read_to_string(file).map_err(|error| Error::file("read", file, &error).help(help))?;
    let read: Answers = toml::from_str(&text).map_err(|error| Error::toml(file, &text, &error).help(help))?;
    Ok(read.http)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn parse(text: &str) -> Result<Golden> {
        Golden::parse(Path::new("golden.toml"), text)
    }

    fn refused(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_case_is_one_event_or_several_or_settings_that_are_refused() {
        let golden = parse(
            "[[case]]\nname = 'a'\nsettings = { words = ['spam'] }\nevent = { text = 'x' }\nexpect = { verdict = 'accept' }\n\
             [[case]]\nname = 'b'\nsteps = [{ event = {}, expect = {} }, { pass = '61s', expect = { code = 429 } }]\n\
             http = [{ url = 'https://a.example/' }]\n\
             [[case]]\nname = 'c'\nsettings_error = 'no words'\n",
        )
        .unwrap();
        let lines: Vec<_> = golden.cases.iter().map(|case| (case.name.as_str(), case.line, case.steps.len())).collect();
        assert_eq!(lines, [("a", 2, 1), ("b", 7, 2), ("c", 11, 0)]);
        assert_eq!(golden.cases[1].steps[1].pass, Duration::from_secs(61));
        assert_eq!(golden.cases[1].http[0].status, 200);
    }

    #[test]
    fn what_is_wrong_has_its_line_and_what_to_do() {
        let wrong = refused("[[case]]\nname = 'a'\nevent = { txet = 'x' }\nexpect = {}");
        assert!(wrong.contains("golden.toml:3:11") && wrong.contains("txet"), "{wrong}");
        let wrong = refused("[[case]]\nname = 'a'\nevent = { text = 'x' }");
        assert!(wrong.contains("golden.toml:2:8") && wrong.contains("or `steps`"), "{wrong}");
        let wrong = refused("[[case]]\nname = 'a'\nexpect = { verdict = 'acept' }");
        assert!(wrong.contains("accept, replace, reject, hold, fault"), "{wrong}");
        let wrong = refused("[[case]]\nname = 'a'\nevent = { body = 'hello' }\nexpect = {}");
        assert!(wrong.contains("is JSON text"), "{wrong}");
        assert!(refused("").contains("has no cases"));
    }
}
