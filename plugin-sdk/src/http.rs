//! Capability `http`: ask other servers. The plugin must be granted their origins:
//! `capabilities = { http = ["https://host.example"] }`.
//!
//! In a native test, [`answer`] says what a server answers, and nothing leaves the machine.

#[allow(unsafe_code, reason = "generated code passes values through the component's linear memory")]
#[allow(missing_docs, dead_code, clippy::all, reason = "generated code")]
mod contract {
    wit_bindgen::generate!({ path: "wit", world: "asking", additional_derives: [PartialEq, Eq, Clone] });
}

pub use contract::confab::plugin::host_http::{Error, Request, Response};

/// Asks. Redirections are not followed.
pub fn fetch(request: &Request) -> Result<Response, Error> {
    #[cfg(target_arch = "wasm32")]
    return contract::confab::plugin::host_http::fetch(request);
    #[cfg(not(target_arch = "wasm32"))]
    native::fetch(request)
}

/// Asks for what lies at an address.
pub fn get(url: &str) -> Result<Response, Error> {
    fetch(&Request { method: "GET".into(), url: url.into(), headers: Vec::new(), body: None })
}

impl Response {
    /// The value of a header field, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub use native::{answer, unlisted};

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use super::{Error, Request, Response};
    use std::cell::RefCell;
    use std::collections::HashMap;

    std::thread_local! {
        static ANSWERS: RefCell<HashMap<String, Result<Response, Error>>> = RefCell::default();
        static UNLISTED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    /// Says what is answered at an address, in this thread's native tests.
    pub fn answer(url: &str, answer: Result<Response, Error>) {
        ANSWERS.with_borrow_mut(|answers| answers.insert(url.to_owned(), answer));
    }

    /// The addresses that were asked in this thread's native test, since this was last asked, though nobody said what is
    /// answered there.
    pub fn unlisted() -> Vec<String> {
        UNLISTED.take()
    }

    pub fn fetch(request: &Request) -> Result<Response, Error> {
        let known = ANSWERS.with_borrow(|answers| answers.get(&request.url).cloned());
        known.unwrap_or_else(|| {
            UNLISTED.with_borrow_mut(|urls| urls.push(request.url.clone()));
            Err(Error::Unavailable(format!("no answer for {} in this test", request.url)))
        })
    }
}
