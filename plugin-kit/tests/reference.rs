//! `docs/reference/plugin-contract.md` is made from the contract's text, so that neither says what the other does not.

use confab_plugin_kit::CONTRACT;
use confab_plugin_kit::manifest::CAPABILITIES;
use std::path::Path;
use wit_parser::{Docs, Function, Interface, Resolve, Type, TypeDef, TypeDefKind, World, WorldItem};

const HEAD: &str = "\
This page is made from `plugin-sdk/wit/plugin.wit` (`CONFAB_BLESS=1 cargo xtask test the_documentation_is_made`), which is the whole of what a
plugin and a hub know of one another. How to write a plugin: [write-a-plugin.md](../guide/write-a-plugin.md). What is bounded, and what happens past
a bound: [bounds.md](bounds.md#a-plugins-call). What an operator sees: [operate-plugins.md](../guide/operate-plugins.md).

Names are written as in WIT. Each language writes them its own way: `host-kv` is the module `kv` of the Rust SDK, `confab:plugin/host-kv@1.0.0` in JavaScript and
`wit_world.imports.host_kv` in Python; `too-large` is `TooLarge`, `'too-large'` and `Error_TooLarge`.
";

#[test]
fn the_documentation_is_made_from_the_contract() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/plugin-contract.md");
    let made = page();
    if std::env::var_os("CONFAB_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == made, "{} is not what the contract says: CONFAB_BLESS=1 rewrites it", path.display());
}

#[test]
fn everything_in_the_contract_says_what_it_means() {
    let resolve = resolve();
    let mut silent = Vec::new();
    for (_, interface) in &resolve.interfaces {
        let name = interface.name.as_deref().unwrap_or_default();
        let mut look = |what: &str, docs: &Docs| {
            if docs.contents.is_none() {
                silent.push(format!("{name}.{what}"));
            }
        };
        look("", &interface.docs);
        interface.functions.values().for_each(|function| look(&function.name, &function.docs));
        for (name, id) in &interface.types {
            let ty = &resolve.types[*id];
            look(name, &ty.docs);
            rows(&resolve, ty).into_iter().for_each(|row| look(&format!("{name}.{}", row.name), row.docs));
        }
    }
    assert!(silent.is_empty(), "no words for {silent:?}");
}

fn resolve() -> Resolve {
    let mut resolve = Resolve::default();
    resolve.push_source("plugin.wit", CONTRACT).expect("the contract is WIT");
    resolve
}

fn page() -> String {
    let resolve = resolve();
    let (_, package) = resolve.packages.iter().next().expect("the contract is a package");
    let interface = |name: &str| &resolve.interfaces[package.interfaces[name]];
    let mut page = format!("# The plugin contract\n\n{HEAD}\n`{}`\n\n", package.name);
    page += &text(&package.docs);
    page += "\n## What a plugin exports\n";
    let world = &resolve.worlds[package.worlds["plugin"]];
    functions(&resolve, exports(world), &mut page);
    page += "\n## What it is asked, and what it says\n";
    types(&resolve, interface("types"), &mut page);
    page += "\n## Capabilities\n\nWhat a plugin may do besides judging. Each is an interface of its own, which a plugin imports, names in its \
             `plugin.toml` with the reason,\nand is granted in hub.toml; what is not granted is not there. All of them are answers to a call: while it \
             is configured, a plugin can ask for nothing.\n";
    for (capability, world) in CAPABILITIES {
        let interface = interface(&format!("host-{capability}"));
        page += &format!(
            "\n### `{capability}`\n\nInterface `host-{capability}`, world `{world}`. {}",
            text(&interface.docs)
        );
        functions(&resolve, interface.functions.values(), &mut page);
        types(&resolve, interface, &mut page);
    }
    page
}

fn exports(world: &World) -> impl Iterator<Item = &Function> {
    world.exports.values().filter_map(|item| match item {
        WorldItem::Function(function) => Some(function),
        _ => None,
    })
}

fn functions<'f>(resolve: &Resolve, functions: impl Iterator<Item = &'f Function>, page: &mut String) {
    for function in functions {
        let params: Vec<String> =
            function.params.iter().map(|param| format!("{}: {}", param.name, name_of(resolve, &param.ty))).collect();
        let result = function.result.as_ref().map(|ty| format!(" → {}", name_of(resolve, ty))).unwrap_or_default();
        *page += &format!("\n**`{}({}){result}`**\n\n{}", function.name, params.join(", "), text(&function.docs));
    }
}

fn types(resolve: &Resolve, interface: &Interface, page: &mut String) {
    for (name, id) in &interface.types {
        let ty = &resolve.types[*id];
        *page += &format!("\n**{name}**, {}: {}", kind_of(resolve, ty), text(&ty.docs));
        let rows = rows(resolve, ty);
        if rows.is_empty() {
            continue;
        }
        let first = if matches!(ty.kind, TypeDefKind::Record(_)) { "field" } else { "case" };
        let typed = rows.iter().any(|row| row.ty.is_some());
        *page += &if typed {
            format!("\n| {first} | type | meaning |\n|---|---|---|\n")
        } else {
            format!("\n| {first} | meaning |\n|---|---|\n")
        };
        for row in rows {
            let ty = row.ty.map(|ty| format!("`{ty}`")).unwrap_or_default();
            let ty = if typed { format!(" {ty} |") } else { String::new() };
            *page += &format!(
                "| `{}` |{ty} {} |\n",
                row.name,
                text(row.docs).split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
            );
        }
    }
}

/// A field or a case.
struct Row<'r> {
    name: &'r str,
    ty: Option<String>,
    docs: &'r Docs,
}

fn rows<'r>(resolve: &Resolve, ty: &'r TypeDef) -> Vec<Row<'r>> {
    match &ty.kind {
        TypeDefKind::Record(record) => {
            let row = |field: &'r wit_parser::Field| Row {
                name: &field.name,
                ty: Some(name_of(resolve, &field.ty)),
                docs: &field.docs,
            };
            record.fields.iter().map(row).collect()
        }
        TypeDefKind::Variant(variant) => {
            let of = |case: &wit_parser::Case| case.ty.as_ref().map(|ty| name_of(resolve, ty));
            variant.cases.iter().map(|case| Row { name: &case.name, ty: of(case), docs: &case.docs }).collect()
        }
        TypeDefKind::Enum(list) => {
            list.cases.iter().map(|case| Row { name: &case.name, ty: None, docs: &case.docs }).collect()
        }
        _ => Vec::new(),
    }
}

fn kind_of(resolve: &Resolve, ty: &TypeDef) -> String {
    match &ty.kind {
        TypeDefKind::Record(_) | TypeDefKind::Variant(_) | TypeDefKind::Enum(_) => {
            format!("a {}", ty.kind.as_str()).replace("a enum", "an enum")
        }
        _ => format!("`{}`", unnamed(resolve, &ty.kind)),
    }
}

/// A type as WIT writes it.
fn name_of(resolve: &Resolve, ty: &Type) -> String {
    match ty {
        Type::Id(id) => {
            let ty = &resolve.types[*id];
            ty.name.clone().unwrap_or_else(|| unnamed(resolve, &ty.kind))
        }
        other => format!("{other:?}").to_lowercase(),
    }
}

fn unnamed(resolve: &Resolve, kind: &TypeDefKind) -> String {
    let name = |ty: &Type| name_of(resolve, ty);
    match kind {
        TypeDefKind::List(of) => format!("list<{}>", name(of)),
        TypeDefKind::Option(of) => format!("option<{}>", name(of)),
        TypeDefKind::Tuple(of) => format!("tuple<{}>", of.types.iter().map(name).collect::<Vec<_>>().join(", ")),
        TypeDefKind::Result(of) => {
            let [ok, err] = [&of.ok, &of.err].map(|ty| ty.as_ref().map_or_else(|| "_".into(), name));
            format!("result<{ok}, {err}>")
        }
        TypeDefKind::Type(of) => name(of),
        other => panic!("the contract uses a {}, which this page cannot name", other.as_str()),
    }
}

/// The words about something, as lines of the page.
fn text(docs: &Docs) -> String {
    let words = docs.contents.as_deref().unwrap_or_default().trim();
    if words.is_empty() { String::new() } else { format!("{words}\n") }
}
