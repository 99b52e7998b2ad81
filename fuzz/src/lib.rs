//! The decoders that fuzzing feeds. They are written once, for it and for the tests: hub/tests/decoders/fuzzed.rs.

#[path = "../../hub/tests/decoders/fuzzed.rs"]
mod fuzzed;

pub use fuzzed::*;
