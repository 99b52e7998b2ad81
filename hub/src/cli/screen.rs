//! Where a verb writes: answers to standard output, everything else to standard error.

use confab_config::{Diagnostics, wants_colour};
use std::io::{self, Write};

/// The two streams of a verb. Tests give it two buffers.
pub struct Screen<'s> {
    /// For answers: what a pipe carries on.
    pub out: &'s mut dyn Write,
    /// For findings and errors: what a person reads.
    pub err: &'s mut dyn Write,
    /// Whether what goes to `err` may have colours.
    pub colour: bool,
}

impl Screen<'_> {
    /// Runs a verb on the streams of this process. A reader that has gone away (`confab … | head`) is no error.
    pub fn of_process<T>(verb: impl FnOnce(&mut Screen<'_>) -> io::Result<T>) -> io::Result<Option<T>> {
        let mut out = io::stdout().lock();
        let mut err = io::stderr().lock();
        let colour = wants_colour(&io::stderr());
        let done = verb(&mut Screen { out: &mut out, err: &mut err, colour }).and_then(|done| {
            out.flush()?;
            Ok(done)
        });
        match done {
            Ok(done) => Ok(Some(done)),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes findings for a person.
    pub fn findings(&mut self, findings: &Diagnostics) -> io::Result<()> {
        if findings.is_empty() {
            return Ok(());
        }
        let text = findings.render(self.colour);
        self.err.write_all(text.as_bytes())
    }

    /// Writes a value for a program, indented.
    pub fn json(&mut self, value: &serde_json::Value) -> io::Result<()> {
        writeln!(self.out, "{value:#}")
    }
}
