//! An outbox against a model: events leave whole and in order or the session is slow, and nothing else goes uncounted.

use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

const BOUND: usize = 200;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// An event of so many bytes.
    Event(usize),
    /// Something of the moment.
    Passing(usize),
    /// The session reads.
    Drain,
    /// The hub ends the session.
    End,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..220_usize).prop_map(Step::Event),
        4 => (0..60_usize).prop_map(Step::Passing),
        4 => Just(Step::Drain),
        1 => Just(Step::End),
    ]
}

/// A frame that says which it is; of no bytes, it says nothing.
fn frame(kind: char, number: usize, len: usize) -> Frame {
    if len == 0 {
        return String::new().into();
    }
    let name = format!("{kind}{number}:");
    format!("{name}{}", "x".repeat(len.saturating_sub(name.len()))).into()
}

fn name(frame: &Frame) -> (char, usize) {
    let Frame::Text(text) = frame else { panic!("these are text") };
    let (head, _) = text.split_once(':').expect("a name");
    (head.chars().next().expect("a kind"), head[1..].parse().expect("a number"))
}

#[derive(Default)]
struct Model {
    /// Events that wait, with their bytes.
    waiting: VecDeque<(usize, usize)>,
    /// It was closed because this did not fit.
    overflowed: Option<Close>,
    ended: bool,
    /// Frames of the moment that were put in while the session lived, and those that came out.
    passed: usize,
    given_ephemeral: Vec<usize>,
    dropped: u64,
}

impl Model {
    fn event(&mut self, number: usize, len: usize) {
        if self.overflowed.is_some() || self.ended || len == 0 {
            return;
        }
        let held: usize = self.waiting.iter().map(|(_, len)| len).sum();
        if held + len > BOUND {
            self.overflowed = Some(if len > BOUND { Close::TooLarge } else { Close::Slow });
            self.waiting.clear();
        } else {
            self.waiting.push_back((number, len));
        }
    }

    fn given(&mut self, frames: &[Frame]) {
        let mut ephemeral = false;
        for frame in frames {
            match name(frame) {
                ('e', number) => {
                    assert!(!ephemeral, "events leave first");
                    assert_eq!(self.waiting.pop_front().map(|(waiting, _)| waiting), Some(number));
                }
                (_, number) => {
                    ephemeral = true;
                    self.given_ephemeral.push(number);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn events_leave_whole_and_in_order_or_the_session_is_slow(steps in prop::collection::vec(step(), 1..120)) {
        let outbox = Outbox::new(BOUND);
        let mut model = Model::default();
        let mut frames = Vec::new();
        for (number, step) in steps.into_iter().chain([Step::Drain; 4]).enumerate() {
            match step {
                Step::Event(len) => {
                    let frame = frame('e', number, len);
                    model.event(number, frame.len());
                    outbox.push(frame);
                }
                Step::Passing(len) => {
                    let frame = frame('p', number, len);
                    model.passed += usize::from(!frame.is_empty() && model.overflowed.is_none() && !model.ended);
                    outbox.push_passing(frame);
                }
                Step::End => {
                    outbox.close(Close::Shutdown);
                    model.ended |= model.overflowed.is_none();
                }
                Step::Drain => {
                    frames.clear();
                    match outbox.drain(&mut frames) {
                        Drained::Frames => {}
                        Drained::Close(close @ (Close::Slow | Close::TooLarge)) => {
                            prop_assert_eq!(model.overflowed, Some(close));
                        }
                        Drained::Close(_) => prop_assert!(model.ended && model.waiting.is_empty()),
                    }
                    model.given(&frames);
                }
            }
            let held: usize = model.waiting.iter().map(|(_, len)| len).sum();
            prop_assert_eq!(outbox.bytes(), held);
            prop_assert!(held <= BOUND, "{} bytes wait", held);
            model.dropped += outbox.take_dropped();
        }
        prop_assert!(model.waiting.is_empty(), "everything has left, or the session was slow");
        prop_assert!(model.given_ephemeral.is_sorted());
        prop_assert_eq!(model.given_ephemeral.len() + model.dropped as usize, model.passed, "none is let go uncounted");
    }
}
