//! The one place where it is written down what operators and moderators do through verbs: who, by which door, what, to whom, why, and
//! what came of it.

use super::{Error, Services};
use crate::actor::Actor;
use crate::audit;
use confab_protocol::Refusal;
use confab_store::Act;

impl Services {
    /// What somebody does, with all that the audit log may want to know besides.
    pub fn act(actor: &Actor, verb: &str) -> Act {
        Act { by: actor.name().to_owned(), via: actor.via.name().to_owned(), verb: verb.to_owned(), ..Act::default() }
    }

    /// Writes down what came of it, and passes that on.
    ///
    /// # Errors
    /// What came of it.
    pub async fn write_down<T>(&self, act: Act, done: Result<T, Error>) -> Result<T, Error> {
        let result = done.as_ref().map_or_else(result, |_| audit::OK.to_owned());
        let act = Act { result, ..act };
        match &done {
            // Whoever may not moderate at all may try often, and must not push out what counts.
            Err(Error::Refused(Refusal::PermissionDenied(_))) => self.audit.record_stranger(act).await,
            _ => self.audit.record(act).await,
        }
        done
    }
}

/// What came of it: the refusal's number, and why.
fn result(error: &Error) -> String {
    format!("{}: {error}", error.code())
}
