//! What the hub's source says of verbs: the table, the types of their arguments, and the kinds of events.

use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use syn::visit::{self, Visit};
use syn::{Arm, Expr, ExprCall, ExprStruct, File, GenericArgument, Item, ItemFn, Lit, Pat, PathArguments, Type};

/// A row of the table.
pub struct Verb {
    /// As clients write it.
    pub name: String,
    /// The type of its result.
    pub result: String,
    /// The items of the file that its arguments are in, and those of the file of `history`, whose types others use.
    pub items: Vec<Item>,
    /// The name of the type of its arguments, in that file.
    pub arguments: String,
}

impl Verb {
    /// What the type of its arguments is called in TypeScript: `room.create` has `RoomCreateArguments`.
    pub fn arguments_name(&self) -> String {
        let words = self.name.split(['.', '_', '-']).map(|word| {
            let (first, rest) = word.split_at(1.min(word.len()));
            first.to_uppercase() + rest
        });
        words.collect::<String>() + "Arguments"
    }
}

/// All verbs, in the order of the table.
pub fn verbs() -> Result<Vec<Verb>> {
    let names = names("protocol/src/verb.rs")?;
    let file = parse("hub/src/verb.rs")?;
    let table = file.items.iter().find_map(|item| match item {
        Item::Static(table) if table.ident == "TABLE" => Some(&table.expr),
        _ => None,
    });
    let Some(Expr::Array(table)) = table.map(|expr| &**expr) else { bail!("hub/src/verb.rs has no array `TABLE`") };
    table.elems.iter().map(|row| verb(row, &names)).collect()
}

/// The names of the kinds of events that take a place.
pub fn kinds() -> Result<Vec<String>> {
    let file = parse("protocol/src/event.rs")?;
    let arms = arms(&file, "Kind").context("protocol/src/event.rs has no `as_str` of `Kind`")?;
    Ok(arms.into_iter().map(|(_, name)| name).collect())
}

fn verb(row: &Expr, names: &HashMap<String, String>) -> Result<Verb> {
    let mut found = Row::default();
    found.visit_expr(row);
    let variant = found.variant.context("a row of the table of verbs has no name")?;
    let name = names.get(&variant).with_context(|| format!("VerbName::{variant} has no name"))?.clone();
    let path = found.arguments.with_context(|| format!("the verb `{name}` has no type of arguments"))?;
    let (arguments, modules) = path.split_last().with_context(|| format!("`{name}`: a type has a name"))?;
    let file = format!("hub/src/verb/{}.rs", modules.join("/"));
    let mut items = parse(&file)?.items;
    items.extend(parse("hub/src/verb/history.rs")?.items);
    let result = found.result.unwrap_or_else(|| "Receipt".to_owned()); // that of every draft
    Ok(Verb { name, result, items, arguments: arguments.clone() })
}

/// What a row says, wherever in it it stands.
#[derive(Default)]
struct Row {
    variant: Option<String>,
    arguments: Option<Vec<String>>,
    result: Option<String>,
}

impl<'ast> Visit<'ast> for Row {
    fn visit_expr_struct(&mut self, literal: &'ast ExprStruct) {
        for field in &literal.fields {
            if let (syn::Member::Named(name), Expr::Lit(value)) = (&field.member, &field.expr)
                && name == "result"
                && let Lit::Str(text) = &value.lit
            {
                self.result = Some(text.value());
            }
        }
        visit::visit_expr_struct(self, literal);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(function) = &*call.func
            && let Some(PathArguments::AngleBracketed(generics)) =
                function.path.segments.last().map(|last| &last.arguments)
            && let Some(GenericArgument::Type(Type::Path(of))) = generics.args.first()
        {
            self.arguments = Some(of.path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        let names: Vec<String> = path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let [of, variant] = names.as_slice()
            && of == "VerbName"
        {
            self.variant = Some(variant.clone());
        }
        visit::visit_expr_path(self, path);
    }
}

/// The names of `VerbName`'s variants.
fn names(path: &str) -> Result<HashMap<String, String>> {
    let arms = arms(&parse(path)?, "VerbName").with_context(|| format!("{path} has no `as_str` of `VerbName`"))?;
    Ok(arms.into_iter().collect())
}

/// What `as_str` of a type gives for each variant.
fn arms(file: &File, of: &str) -> Option<Vec<(String, String)>> {
    let body = file.items.iter().find_map(|item| match item {
        Item::Impl(one) if one.trait_.is_none() && is(&one.self_ty, of) => {
            one.items.iter().find_map(|item| match item {
                syn::ImplItem::Fn(function) if function.sig.ident == "as_str" => Some(&function.block),
                _ => None,
            })
        }
        _ => None,
    })?;
    let mut found = Arms(Vec::new());
    found.visit_block(body);
    Some(found.0)
}

struct Arms(Vec<(String, String)>);

impl<'ast> Visit<'ast> for Arms {
    fn visit_arm(&mut self, arm: &'ast Arm) {
        if let (Pat::Path(variant), Expr::Lit(name)) = (&arm.pat, &*arm.body)
            && let (Some(last), Lit::Str(name)) = (variant.path.segments.last(), &name.lit)
        {
            self.0.push((last.ident.to_string(), name.value()));
        }
    }
}

fn is(of: &Type, name: &str) -> bool {
    matches!(of, Type::Path(path) if path.path.is_ident(name))
}

/// The Rust of a file.
pub fn parse(path: &str) -> Result<File> {
    let mut file =
        syn::parse_file(&super::read(path)?).with_context(|| format!("could not read the Rust of {path}"))?;
    // Types may be inside of functions; what is outside comes first.
    let mut inner = Inner(Vec::new());
    inner.visit_file(&file);
    file.items.extend(inner.0);
    Ok(file)
}

struct Inner(Vec<Item>);

impl<'ast> Visit<'ast> for Inner {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.0.extend(function.block.stmts.iter().filter_map(|statement| match statement {
            syn::Stmt::Item(item) => Some(item.clone()),
            _ => None,
        }));
    }
}
