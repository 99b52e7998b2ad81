//! The reference: every setting with its default and its words. `confab config default` prints it, hub.toml and the
//! documentation are made from it, and tests keep it equal to the code.

use crate::environment::{RESERVED, name_of};
use crate::schema::ANY_KEY;

/// The reference as a hub.toml.
pub const TEXT: &str = include_str!("reference.toml");
/// What the hub.toml of this repository has besides.
pub const EXAMPLE: &str = include_str!("example.toml");

/// The hub.toml of this repository: the reference, open for development on this machine, and the example.
pub fn development() -> String {
    TEXT.replacen("insecure = false", "insecure = true", 1) + EXAMPLE
}

/// One table of the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its header, such as `[limits]`; empty for the settings at the top.
    pub header: &'static str,
    /// What it is about.
    pub words: String,
    /// Its settings, in order.
    pub settings: Vec<Setting>,
}

/// One setting of the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key inside the table.
    pub key: &'static str,
    /// Its default as TOML writes it, or an example if it has none.
    pub value: &'static str,
    /// Whether it is on in the reference. Off are settings without a default, and those of optional tables.
    pub on: bool,
    /// What it means.
    pub words: String,
}

/// A name that the environment can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name. `<NAME>` in it stands for the name of a plugin, or of a free key.
    pub name: String,
    /// The default as TOML writes it, or an example if it has none; empty for names that are no settings.
    pub value: &'static str,
    /// Whether it can be set to this value without changing anything.
    pub on: bool,
    /// What it means.
    pub words: String,
}

/// The reference, table by table.
pub fn sections() -> Vec<Section> {
    let mut sections = vec![Section { header: "", words: String::new(), settings: Vec::new() }];
    let mut words: Vec<&str> = Vec::new();
    for line in TEXT.lines() {
        if let Some(text) = line.strip_prefix("# ") {
            words.push(text);
            continue;
        }
        let (line, on) = line.strip_prefix('#').map_or((line, true), |line| (line, false));
        let said = std::mem::take(&mut words).join(" ");
        if line.starts_with('[') {
            sections.push(Section { header: line, words: said, settings: Vec::new() });
        } else if let (Some((key, value)), Some(section)) = (line.split_once(" = "), sections.last_mut()) {
            section.settings.push(Setting { key, value, on, words: said });
        }
    }
    sections
}

impl Section {
    /// The path of the table; `<name>` stands for a plugin's name.
    fn path(&self) -> Vec<&'static str> {
        match self.header.trim_matches(['[', ']']) {
            "" => Vec::new(),
            header => header.split('.').enumerate().map(|(at, key)| self.step(at, key)).collect(),
        }
    }

    fn step(&self, at: usize, key: &'static str) -> &'static str {
        if at == 1 && self.header.starts_with("[plugin.") { ANY_KEY } else { key }
    }

    /// Whether its settings stand in the file only.
    fn is_list(&self) -> bool {
        self.header.starts_with("[[")
    }

    /// The header with `<name>` in place of the example's name.
    fn title(&self) -> String {
        let path = self.path().join(".");
        if self.is_list() { format!("[[{path}]]") } else { format!("[{path}]") }
    }
}

/// Every name that the environment can use.
pub fn variables() -> Vec<Variable> {
    let of_section = |section: Section| {
        let path = section.path();
        let variable = move |setting: Setting| {
            let keys: Vec<&str> = path.iter().copied().chain(setting.key.split('.')).collect();
            Variable { name: name_of(&keys), value: setting.value, on: setting.on, words: setting.words }
        };
        section.settings.into_iter().map(variable)
    };
    let settings = sections().into_iter().filter(|section| !section.is_list()).flat_map(of_section);
    let reserved = RESERVED.iter().filter(|(_, words)| !is_for_builders(words));
    let others =
        reserved.map(|(name, words)| Variable { name: (*name).into(), value: "", on: false, words: (*words).into() });
    settings.chain(others).collect()
}

/// The reference as a page of the documentation.
pub fn markdown() -> String {
    let mut page = String::from(include_str!("reference.md"));
    for section in sections() {
        page += &if section.header.is_empty() {
            "\n## The top of the file\n".into()
        } else {
            format!("\n## `{}`\n", section.title())
        };
        if !section.words.is_empty() {
            page += &format!("\n{}\n", section.words);
        }
        page += "\n| setting | default | meaning |\n|---|---|---|\n";
        for setting in &section.settings {
            let example = !setting.on && !has_default(&section, setting);
            let value =
                if example { format!("none; such as `{}`", setting.value) } else { format!("`{}`", setting.value) };
            page += &format!("| `{}` | {} | {} |\n", setting.key, escape(&value), escape(&setting.words));
        }
    }
    page += "\n## Names in the environment\n\n| name | meaning |\n|---|---|\n";
    for variable in variables() {
        page += &format!("| `{}` | {} |\n", variable.name, escape(&variable.words));
    }
    page += "\nNames that begin with `CONFAB_` and are no settings, for tests and benchmarks only: ";
    let others = RESERVED.iter().filter(|(_, words)| is_for_builders(words));
    page += &others.map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    page + ".\n"
}

/// Whether a reserved name is of no use to operators.
fn is_for_builders(words: &str) -> bool {
    words.starts_with("Tests") || words.starts_with("Benchmarks")
}

/// Settings that are off have a default only if the tables they stand in are off, too.
fn has_default(section: &Section, setting: &Setting) -> bool {
    let path = section.path();
    let keys: Vec<&str> = path.iter().copied().chain([setting.key]).collect();
    !EXAMPLES.contains(&keys.join(".").as_str())
}

/// Settings without a default: what stands in the reference is an example. A test compares the list with the code.
pub const EXAMPLES: [&str; 29] = [
    "admin_token",
    "admin_token_file",
    "metrics",
    "plugin_cache",
    "auth.hmac_secret",
    "auth.hmac_secret_file",
    "auth.hmac_secret_previous",
    "auth.hmac_secret_previous_file",
    "auth.jwks_url",
    "auth.jwks_ca_file",
    "auth.personal_room",
    "timeline.redis.url",
    "timeline.redis.url_file",
    "timeline.redis.ca_file",
    "store.postgres.url",
    "store.postgres.url_file",
    "store.postgres.ca_file",
    "room.match",
    "plugin.<name>.module",
    "plugin.<name>.blake3",
    "chain.plugins",
    "socketio.on",
    "socketio.room",
    "socketio.emit",
    "test.room",
    "test.send",
    "test.on",
    "test.roles",
    "test.expect",
];

fn escape(text: &str) -> String {
    text.replace('|', "\\|")
}
