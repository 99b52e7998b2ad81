//! The scripts of the timeline, as the hub loads them, run in a Lua like Redis' own.

use super::Data;
use super::commands::{Effect, Reply, needs_memory, writes};
use mlua::{Function, MultiValue, Value as LuaValue};
use std::cell::RefCell;
use std::rc::Rc;

/// Which script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // they are named as in hub/src/timeline/redis/scripts.rs
pub enum Script {
    Append,
    Settle,
    Remember,
    Lookup,
    Read,
    Find,
    Deleted,
    Sweep,
    Open,
    Refill,
    Lease,
    Forget,
}

macro_rules! source {
    ($name:literal) => {
        include_str!(concat!("../../../hub/src/timeline/redis/", $name, ".lua"))
    };
}

impl Script {
    /// Every script with its source.
    pub const ALL: [(Self, &'static str); 12] = [
        (Self::Append, source!("append")),
        (Self::Settle, source!("settle")),
        (Self::Remember, source!("remember")),
        (Self::Lookup, source!("lookup")),
        (Self::Read, source!("read")),
        (Self::Find, source!("find")),
        (Self::Deleted, source!("deleted")),
        (Self::Sweep, source!("sweep")),
        (Self::Open, source!("open")),
        (Self::Refill, source!("refill")),
        (Self::Lease, source!("lease")),
        (Self::Forget, source!("forget")),
    ];
}

/// A script with its names and arguments.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Which.
    pub script: Script,
    /// `KEYS`.
    pub keys: &'a [String],
    /// `ARGV`.
    pub args: &'a [Vec<u8>],
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Called {
    /// The answer, or what Redis would say went wrong.
    pub answer: Result<Reply, String>,
    /// What it changed, also where it failed half-way.
    pub written: Vec<Effect>,
    /// What it published: channel and payload.
    pub published: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What the running script works on.
#[derive(Default)]
struct Running {
    data: Data,
    now: u64,
    full: bool,
    written: Vec<Effect>,
    published: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A Lua with all scripts. Making one takes a millisecond; it keeps nothing between calls.
pub struct Lua {
    lua: mlua::Lua,
    scripts: Vec<Function>,
    running: Rc<RefCell<Running>>,
}

impl Lua {
    /// Loads the scripts; `change` may give a script another text, to see what comes of it.
    ///
    /// # Errors
    /// A script that is no Lua.
    pub fn new(change: impl Fn(Script, &str) -> String) -> mlua::Result<Self> {
        let lua = mlua::Lua::new();
        let running = Rc::<RefCell<Running>>::default();
        let at_work = running.clone();
        let call = lua.create_function(move |lua, args: MultiValue| {
            let command = args.iter().map(bytes).collect::<mlua::Result<Vec<_>>>()?;
            let reply = at_work.borrow_mut().command(command).map_err(mlua::Error::runtime)?;
            to_lua(lua, reply)
        })?;
        let redis = lua.create_table()?;
        redis.set("call", call)?;
        lua.globals().set("redis", redis)?;
        let scripts = Script::ALL.iter().map(|(script, source)| lua.load(change(*script, source)).into_function());
        let scripts = scripts.collect::<mlua::Result<Vec<_>>>()?;
        Ok(Self { lua, scripts, running })
    }

    pub(super) fn call(&self, data: &mut Data, full: bool, call: &Call<'_>, now: u64) -> Called {
        let held = std::mem::take(data);
        *self.running.borrow_mut() = Running { data: held, now, full, ..Running::default() };
        let answer = self.run(call).map_err(|error| error.to_string());
        let Running { data: held, written, published, .. } = std::mem::take(&mut *self.running.borrow_mut());
        *data = held;
        Called { answer, written, published }
    }

    fn run(&self, call: &Call<'_>) -> mlua::Result<Reply> {
        let keys = call.keys.iter().map(|key| self.lua.create_string(key)).collect::<mlua::Result<Vec<_>>>()?;
        let args = call.args.iter().map(|arg| self.lua.create_string(arg)).collect::<mlua::Result<Vec<_>>>()?;
        let globals = self.lua.globals();
        globals.set("KEYS", keys)?;
        globals.set("ARGV", args)?;
        let at = Script::ALL.iter().position(|(script, _)| *script == call.script).unwrap_or_default();
        from_lua(self.scripts[at].call::<LuaValue>(())?)
    }
}

impl Running {
    fn command(&mut self, mut command: Vec<Vec<u8>>) -> Result<Reply, String> {
        // As Redis: a script that has written goes on, even where the memory is full.
        if self.full && self.written.is_empty() && needs_memory(&command[0]) {
            return Err("OOM command not allowed when used memory > 'maxmemory'.".into());
        }
        let reply = self.data.apply(&command, self.now)?;
        if command[0] == b"SPUBLISH" {
            let payload = command.pop().unwrap_or_default();
            self.published.push((command.pop().unwrap_or_default(), payload));
        } else if writes(&command[0]) {
            if let (b"XADD", Reply::Bulk(id)) = (&command[0][..], &reply) {
                // A replica is told the id that was given.
                command.iter_mut().filter(|part| *part == b"*").take(1).for_each(|part| part.clone_from(id));
            }
            self.written.push(Effect { command, now: self.now });
        }
        Ok(reply)
    }
}

/// An argument of `redis.call`, as Redis reads it.
fn bytes(value: &LuaValue) -> mlua::Result<Vec<u8>> {
    match value {
        LuaValue::String(text) => Ok(text.as_bytes().to_vec()),
        LuaValue::Integer(number) => Ok(number.to_string().into_bytes()),
        LuaValue::Number(number) => Ok(number.to_string().into_bytes()),
        _ => Err(mlua::Error::runtime("ERR Lua redis lib command arguments must be strings or integers")),
    }
}

fn to_lua(lua: &mlua::Lua, reply: Reply) -> mlua::Result<LuaValue> {
    Ok(match reply {
        Reply::Nil => LuaValue::Boolean(false),
        Reply::Int(number) => LuaValue::Number(number as f64),
        Reply::Bulk(text) => LuaValue::String(lua.create_string(text)?),
        Reply::Status(word) => {
            let table = lua.create_table()?;
            table.set("ok", word)?;
            LuaValue::Table(table)
        }
        Reply::Array(list) => {
            let list = list.into_iter().map(|reply| to_lua(lua, reply)).collect::<mlua::Result<Vec<_>>>()?;
            LuaValue::Table(lua.create_sequence_from(list)?)
        }
    })
}

fn from_lua(value: LuaValue) -> mlua::Result<Reply> {
    Ok(match value {
        LuaValue::String(text) => Reply::Bulk(text.as_bytes().to_vec()),
        LuaValue::Integer(number) => Reply::Int(number),
        LuaValue::Number(number) => Reply::Int(number as i64),
        LuaValue::Boolean(true) => Reply::Int(1),
        LuaValue::Table(table) => {
            let mut list = Vec::new();
            for value in table.sequence_values() {
                list.push(from_lua(value?)?);
            }
            Reply::Array(list)
        }
        _ => Reply::Nil,
    })
}
