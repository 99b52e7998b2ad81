//! What goes on beside the measured messages: the same thing said again and again in a room of its own. Every one must be
//! answered; how, is counted.

use crate::dialect::{Dialect, FIRST, Heard};
use crate::fleet::Fleet;
use crate::histogram::Histogram;
use crate::report::{Fed, Latency};
use anyhow::{Context, Result};

/// What is said, where, and how often.
#[derive(Clone, Debug)]
pub struct Feed {
    /// The room's number.
    pub room: u32,
    /// Messages a second.
    pub rate: u32,
    /// The text.
    pub text: String,
}

/// Says it, on a connection of its own that is in no room. In the native dialect only.
pub struct Feeder {
    feed: Feed,
    link: usize,
    begun: u64,
    /// How many were said since then.
    turn: u64,
    /// When each was said that has no answer yet, by its number.
    sent: Vec<Option<u64>>,
    unanswered: u64,
    refused: u64,
    answered: Histogram,
    count: u64,
}

impl Feeder {
    /// On this link.
    pub fn new(feed: Feed, link: usize) -> Self {
        let (sent, answered) = (Vec::new(), Histogram::default());
        Self { feed, link, begun: 0, turn: 0, sent, unanswered: 0, refused: 0, answered, count: 0 }
    }

    /// Its link.
    pub fn link(&self) -> usize {
        self.link
    }

    /// Its pace is counted from here.
    pub fn begin(&mut self, now: u64) {
        (self.begun, self.turn) = (now, 0);
    }

    /// What was answered until now is forgotten.
    pub fn start_over(&mut self) {
        (self.answered, self.refused, self.count) = (Histogram::default(), 0, 0);
    }

    /// Says what is due.
    pub fn feed(&mut self, fleet: &mut Fleet) {
        let now = fleet.now();
        let due = (now - self.begun) * u64::from(self.feed.rate) / 1_000_000_000;
        while self.turn < due {
            let number = FIRST + self.sent.len() as u32;
            Dialect::say(fleet.output(self.link), number, self.feed.room, &self.feed.text);
            self.sent.push(Some(now));
            self.turn += 1;
            self.unanswered += 1;
        }
    }

    /// Takes an answer.
    pub fn hear(&mut self, heard: Heard, now: u64) -> Result<()> {
        let (number, refused) = match heard {
            Heard::Done(number) => (number, false),
            Heard::Refused(number, _) => (number, true),
            _ => return Ok(()),
        };
        let sent = number.checked_sub(FIRST).and_then(|n| self.sent.get_mut(n as usize)?.take());
        self.answered.add(now - sent.context("an answer came that nobody waits for")?);
        self.unanswered -= 1;
        self.count += 1;
        self.refused += u64::from(refused);
        Ok(())
    }

    /// Whether an answer is still to come.
    pub fn waits(&self) -> bool {
        self.unanswered > 0
    }

    /// What was found.
    pub fn report(&self) -> Fed {
        Fed { answered: self.count, refused: self.refused, took: Latency::of(&self.answered) }
    }
}
