//! A component that is linked to what it is granted: how its instances begin, and the contract's two functions of each.

use super::contract::{Asked, Complete, CompletePre, types};
use super::guest::Guest;
use std::sync::OnceLock;
use wasmtime::component::{ComponentExportIndex, Instance, InstancePre, TypedFunc};
use wasmtime::{Result, Store};

/// Settings in; nothing or what is wrong with them out.
type Configure = TypedFunc<(&'static str,), (std::result::Result<(), String>,)>;
/// An event and its context in, a verdict out.
type Judge = TypedFunc<(types::Event<'static>, types::Context<'static>), (types::Verdict,)>;

/// A component, ready to be instantiated.
pub struct Linked {
    pre: InstancePre<Guest>,
    configure: ComponentExportIndex,
    judge: ComponentExportIndex,
    /// One of its instances had functions of the contract's types, so all of them have.
    typed: OnceLock<()>,
}

/// An instance's functions.
pub struct Exports {
    configure: Configure,
    judge: Judge,
}

impl Linked {
    /// Looks for the contract's functions. An error says what is missing.
    pub fn new(pre: InstancePre<Guest>) -> Result<Self> {
        CompletePre::new(pre.clone())?;
        let component = pre.component();
        let index = |name| {
            let found = component.get_export_index(None, name);
            found.ok_or_else(|| wasmtime::format_err!("there is no export `{name}`"))
        };
        Ok(Self { configure: index("configure")?, judge: index("judge")?, pre, typed: OnceLock::new() })
    }

    /// Begins an instance.
    pub async fn begin(&self, store: &mut Store<Guest>) -> Result<(Instance, Exports)> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        Ok((instance, self.exports(store, instance)?))
    }

    /// To look at the functions' types takes a noticeable part of a call, so it is done once for each component.
    fn exports(&self, store: &mut Store<Guest>, instance: Instance) -> Result<Exports> {
        if self.typed.get().is_none() {
            Complete::new(&mut *store, &instance)?;
            self.typed.get_or_init(|| ());
        }
        let mut function = |index| {
            let found = instance.get_func(&mut *store, index);
            found.ok_or_else(|| wasmtime::format_err!("an export of the component is gone"))
        };
        let configure = function(&self.configure)?;
        let judge = function(&self.judge)?;
        // SAFETY: `Complete::new` found functions of these names and of the contract's types, which are those of the two
        // aliases, in an instance of this component; all of its instances have the same.
        #[allow(unsafe_code, reason = "what was checked once is not checked for every instance; see SAFETY")]
        let exports = unsafe {
            Exports { configure: TypedFunc::new_unchecked(configure), judge: TypedFunc::new_unchecked(judge) }
        };
        Ok(exports)
    }
}

impl Exports {
    /// Hands the instance its settings.
    pub async fn configure(&self, store: &mut Store<Guest>, settings: &str) -> Result<std::result::Result<(), String>> {
        let configure: TypedFunc<(&str,), _> = self.configure;
        Ok(configure.call_async(store, (settings,)).await?.0)
    }

    /// Asks the instance about an event.
    pub async fn judge(&self, store: &mut Store<Guest>, asked: &Asked<'_>) -> Result<types::Verdict> {
        let judge: TypedFunc<(types::Event<'_>, types::Context<'_>), _> = self.judge;
        Ok(judge.call_async(store, (asked.event(), asked.context())).await?.0)
    }
}
