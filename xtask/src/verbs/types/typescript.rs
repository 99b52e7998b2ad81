//! From types of Rust, as serde writes them, to types of TypeScript.

use super::property;
use super::source::Verb;
use anyhow::{Result, bail};
use syn::{Attribute, Expr, Field, Fields, GenericArgument, Item, Lit, Meta, PathArguments, Type};

/// The type of a verb's arguments.
pub fn arguments(verb: &Verb) -> Result<String> {
    let Some(Item::Struct(found)) = item(verb, &verb.arguments) else {
        bail!("the arguments of `{}` are no struct `{}`", verb.name, verb.arguments);
    };
    let fields = fields(verb, &found.fields, "  ")?;
    Ok(format!(
        "/** The arguments of `{}`. */\nexport interface {} {{\n{fields}}}\n\n",
        verb.name,
        verb.arguments_name()
    ))
}

fn item<'a>(verb: &'a Verb, name: &str) -> Option<&'a Item> {
    verb.items.iter().find(|item| match item {
        Item::Struct(one) => one.ident == name,
        Item::Enum(one) => one.ident == name,
        _ => false,
    })
}

fn fields(verb: &Verb, fields: &Fields, indent: &str) -> Result<String> {
    let mut out = String::new();
    for field in fields {
        let Some(name) = &field.ident else { bail!("the arguments of `{}` have a member without a name", verb.name) };
        let (kind, optional) = match inside(&field.ty, "Option") {
            Some(kind) => (kind, true),
            None => (&field.ty, has_default(field)),
        };
        if let Some(line) = doc(&field.attrs) {
            out += &format!("{indent}/** {line} */\n");
        }
        let name = property(name.to_string().trim_start_matches("r#"));
        out += &format!("{indent}{name}{}: {};\n", if optional { "?" } else { "" }, written(verb, kind, indent)?);
    }
    Ok(out)
}

fn written(verb: &Verb, kind: &Type, indent: &str) -> Result<String> {
    if let Some(of) = inside(kind, "Vec") {
        return Ok(format!("{}[]", written(verb, of, indent)?));
    }
    let Type::Path(path) = kind else { bail!("`{}`: a type that is not known here", verb.name) };
    let Some(name) = path.path.segments.last().map(|last| last.ident.to_string()) else { bail!("a type has a name") };
    Ok(match name.as_str() {
        "String" | "Key" | "EventId" | "UserId" | "Epoch" | "Room" | "Uuid" => "string".into(),
        "bool" => "boolean".into(),
        "u8" | "u16" | "u32" | "u64" | "i64" | "usize" | "f64" | "Millis" => "number".into(),
        "Body" => "Json".into(),
        _ => match item(verb, &name) {
            Some(Item::Struct(found)) => {
                let inner = fields(verb, &found.fields, &format!("{indent}  "))?;
                format!("{{\n{inner}{indent}}}")
            }
            Some(Item::Enum(found)) => {
                let variants = found.variants.iter().map(|one| format!("\"{}\"", snake(&one.ident.to_string())));
                variants.collect::<Vec<_>>().join(" | ")
            }
            _ => bail!(
                "`{}` has arguments of a type `{name}` that xtask/src/verbs/types/typescript.rs does not know",
                verb.name
            ),
        },
    })
}

/// As `rename_all = "lowercase"` or `"snake_case"` write a variant; of one word both are the same.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for (i, char) in name.char_indices() {
        if char.is_uppercase() && i > 0 {
            out.push('_');
        }
        out.extend(char.to_lowercase());
    }
    out
}

/// What a generic type of that name holds.
fn inside<'a>(kind: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(path) = kind else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(generics) = &last.arguments else { return None };
    match generics.args.first()? {
        GenericArgument::Type(of) => Some(of),
        _ => None,
    }
}

fn has_default(field: &Field) -> bool {
    field.attrs.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("serde") => list.tokens.to_string().contains("default"),
        _ => false,
    })
}

fn doc(attributes: &[Attribute]) -> Option<String> {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(value) => match &value.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    let text = lines.collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}
