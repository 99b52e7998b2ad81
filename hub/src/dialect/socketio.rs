//! The second dialect: Socket.IO v5. Verbs are events with acknowledgements; what happens in a room arrives as `event`.

mod assemble;
mod mapping;
mod packet;
mod read;
mod write;

pub use assemble::{Assembler, Bounds};
pub use mapping::Mapping;
pub use packet::{Kind, Malformed, Packet};
pub use read::Reader;
pub use write::{close_frames, publication, refused, reply, signal, unsubscribed};
