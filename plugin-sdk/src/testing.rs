//! Judging without WebAssembly and without a hub: for a plugin's own tests.
//!
//! ```
//! # use confab_plugin_sdk::{Context, Event, Plugin, Verdict, testing};
//! # struct Yes;
//! # impl Plugin for Yes {
//! #     type Settings = serde_json::Value;
//! #     fn configure(_: serde_json::Value) -> Result<Self, String> { Ok(Self) }
//! #     fn judge(&self, _: &Event, _: &Context) -> Verdict { Verdict::accept() }
//! # }
//! let plugin = testing::plugin::<Yes>(serde_json::json!({}));
//! assert_eq!(plugin.judge("hi"), Verdict::accept());
//! ```

#[cfg(feature = "golden")]
pub mod golden;

use crate::{Context, Decision, Event, Kind, Plugin, Verdict};
use serde_json::Value;

/// A configured plugin under test.
#[derive(Debug)]
pub struct Trial<P>(P);

/// Configures the plugin.
///
/// # Panics
/// Where the plugin refuses the settings. To test for that, see [`configure`].
#[allow(clippy::needless_pass_by_value, reason = "`json!({…})` reads better than `&json!({…})`")]
pub fn plugin<P: Plugin>(settings: Value) -> Trial<P> {
    match configure(&settings) {
        Ok(plugin) => Trial(plugin),
        Err(error) => panic!("the plugin refuses its settings: {error}"),
    }
}

/// Configures the plugin, exactly as a hub would; the error is what the operator would be shown.
pub fn configure<P: Plugin>(settings: &Value) -> Result<P, String> {
    crate::export::configure(&settings.to_string())
}

impl<P: Plugin> Trial<P> {
    /// Judges a message with this text.
    pub fn judge(&self, text: &str) -> Verdict {
        self.judge_event(&event(text))
    }

    /// Judges an event; make one with [`event`] and change what matters.
    pub fn judge_event(&self, event: &Event) -> Verdict {
        self.judge_in(event, &context())
    }

    /// Judges an event in certain circumstances; make them with [`context`] and change what matters.
    pub fn judge_in(&self, event: &Event, context: &Context) -> Verdict {
        self.0.judge(event, context)
    }

    /// The `text` of the body after the verdict; `None` where the verdict lets nothing through.
    pub fn text_after(&self, text: &str) -> Option<String> {
        match self.judge(text).decision {
            Decision::Accept(_) => Some(text.to_owned()),
            Decision::Replace(replacement) => {
                let body: Value = serde_json::from_str(&replacement.body).expect("a replacement is JSON");
                body.get("text").and_then(Value::as_str).map(str::to_owned)
            }
            Decision::Reject(_) | Decision::Hold(_) => None,
        }
    }
}

/// A message in the room `test`, sent by `ada`, whose body is `{"text": …}`.
pub fn event(text: &str) -> Event {
    Event {
        id: "01890000-0000-7000-8000-000000000001".into(),
        room: "test".into(),
        sender: "ada".into(),
        key: "key-1".into(),
        kind: Kind::Send,
        at: 1_700_000_000_000,
        body: serde_json::json!({ "text": text }).to_string(),
        text: Some(text.into()),
        target: None,
        thread: None,
        annotations: Vec::new(),
    }
}

/// The circumstances that a [`Trial`] judges in: none in particular.
pub fn context() -> Context {
    Context { client: None, info: None, roles: Vec::new(), hops: 0, facts: Vec::new() }
}
