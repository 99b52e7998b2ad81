//! Capability `emit`: speak. The plugin must be granted it: `capabilities = { emit = true }`.
//!
//! In a native test, [`emitted`] tells what was said.

#[allow(unsafe_code, reason = "generated code passes values through the component's linear memory")]
#[allow(missing_docs, dead_code, clippy::all, reason = "generated code")]
mod contract {
    wit_bindgen::generate!({ path: "wit", world: "speaking", additional_derives: [PartialEq, Eq, Clone] });
}

pub use contract::confab::plugin::host_emit::{Error, Message};

/// Says something, once the event stands.
pub fn emit(message: &Message) -> Result<(), Error> {
    #[cfg(target_arch = "wasm32")]
    return contract::confab::plugin::host_emit::emit(message);
    #[cfg(not(target_arch = "wasm32"))]
    native::emit(message)
}

/// Says a text in the room of the event, once it stands.
pub fn say(text: &str) -> Result<(), Error> {
    emit(&Message { room: None, body: serde_json::json!({ "text": text }).to_string(), thread: None })
}

#[cfg(not(target_arch = "wasm32"))]
pub use native::emitted;

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use super::{Error, Message};
    use std::cell::RefCell;

    std::thread_local! {
        static SAID: RefCell<Vec<Message>> = const { RefCell::new(Vec::new()) };
    }

    /// What was said in this thread's native test since it was last asked.
    pub fn emitted() -> Vec<Message> {
        SAID.take()
    }

    #[allow(clippy::unnecessary_wraps, reason = "it stands for the host's, which may refuse")]
    pub fn emit(message: &Message) -> Result<(), Error> {
        SAID.with_borrow_mut(|said| said.push(message.clone()));
        Ok(())
    }
}
