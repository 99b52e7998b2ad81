//! The history of a run: what every client did, heard and was told, in the order in which it happened to it.

use anyhow::{Context, Result};
use confab_protocol::Cursor;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

/// What a client was told of a send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// It stands.
    Receipt {
        /// The event.
        id: String,
        /// Its place.
        cursor: Cursor,
        /// When the hub stamped it.
        at: u64,
    },
    /// Not now, or not at all.
    Refused {
        /// The public code.
        code: u64,
        /// Whether asking again may help.
        temporary: bool,
    },
    /// Nothing: the link was lost, or the answer did not come in time.
    Nothing,
}

/// An event as a client heard it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Its id.
    pub id: String,
    /// Its place.
    pub cursor: Cursor,
    /// Who sent it.
    pub sender: String,
    /// The key it was sent with.
    pub key: String,
    /// What it says.
    pub text: String,
}

/// What a send does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Does {
    /// Says something.
    #[default]
    Say,
    /// Edits this message.
    Edit(String),
    /// Deletes this message.
    Delete(String),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A session began.
    Connected {
        /// Its number; the client has one session at a time.
        session: u32,
        /// The hub.
        hub: usize,
    },
    /// The session ended.
    Disconnected {
        /// Its number.
        session: u32,
        /// The hub's close code, 1006 for a link that broke, 0 where the client let go of it.
        code: u64,
    },
    /// The client listens to a room.
    Joined {
        /// The room.
        room: String,
        /// Where it said it was.
        since: Option<Cursor>,
        /// Whether the hub says that it gives everything after `since`.
        recovered: bool,
        /// The place from which it listens: the last of what came with the reply.
        cursor: Cursor,
        /// What came with the reply.
        missed: Vec<Heard>,
    },
    /// It was not let into a room, or put out of it.
    NotJoined {
        /// The room.
        room: String,
        /// The code.
        code: u64,
    },
    /// It heard an event.
    Heard {
        /// The room.
        room: String,
        /// The event.
        event: Heard,
    },
    /// It sent something.
    Sent {
        /// The room.
        room: String,
        /// Its key.
        key: String,
        /// The how manieth try, from 1.
        attempt: u32,
        /// In which session.
        session: u32,
        /// What is done.
        does: Does,
    },
    /// It was answered.
    Answered {
        /// The key.
        key: String,
        /// Which try.
        attempt: u32,
        /// What.
        told: Told,
    },
    /// Chaos did something to the world.
    Fault {
        /// The fault's name.
        name: String,
        /// What it befell.
        on: String,
        /// Whether it begins or is over.
        begins: bool,
    },
    /// What the runner has to say.
    Note {
        /// It.
        text: String,
    },
}

/// A line of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, in milliseconds since the run began.
    pub ms: u64,
    /// Which client; `chaos` for the runner itself.
    pub who: String,
    /// What.
    pub what: What,
}

/// Takes down what happens, in memory and in a file.
pub struct History {
    begun: Instant,
    path: PathBuf,
    kept: Mutex<(Vec<Entry>, BufWriter<File>)>,
}

impl History {
    /// An empty one, kept in this file.
    pub fn at(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("could not make {}", path.display()))?;
        Ok(Self { begun: Instant::now(), path: path.to_owned(), kept: Mutex::new((Vec::new(), BufWriter::new(file))) })
    }

    /// Takes something down.
    pub fn record(&self, who: &str, what: What) {
        let mut kept = self.kept.lock().expect("nobody panics with it in hand");
        let ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let entry = Entry { ms, who: who.to_owned(), what };
        let line = serde_json::to_string(&entry).expect("an entry has a JSON form");
        // What cannot be written is still judged, from memory.
        let _ = writeln!(kept.1, "{line}");
        kept.0.push(entry);
    }

    /// Says something for whoever reads it.
    pub fn note(&self, text: impl Into<String>) {
        self.record("chaos", What::Note { text: text.into() });
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.kept.lock().expect("nobody panics with it in hand").0.len()
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything that happened until now; the file has it too.
    pub fn entries(&self) -> Vec<Entry> {
        let mut kept = self.kept.lock().expect("nobody panics with it in hand");
        let _ = kept.1.flush();
        kept.0.clone()
    }

    /// Looks at everything without copying it.
    pub fn with<T>(&self, look: impl FnOnce(&[Entry]) -> T) -> T {
        look(&self.kept.lock().expect("nobody panics with it in hand").0)
    }

    /// Where it is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
