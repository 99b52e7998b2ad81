//! The file as it was written: which place of the text a setting has.

use crate::path::{Path, Step};
use crate::secret::mask;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A text with the name it is shown under. Secrets in it are masked.
#[derive(Debug)]
pub(crate) struct Source {
    pub name: String,
    pub text: String,
}

/// A parsed hub.toml that remembers where everything stands.
#[derive(Debug)]
pub(crate) struct Document {
    pub source: Arc<Source>,
    root: Node,
}

/// A value of the document.
#[derive(Debug)]
struct Node {
    key: Option<Range<usize>>,
    value: Range<usize>,
    children: Children,
}

#[derive(Debug)]
enum Children {
    None,
    Table(BTreeMap<String, Node>),
    Array(Vec<Node>),
}

impl Node {
    /// Whether it is a table whose keys have lines of their own.
    fn is_section(&self) -> bool {
        matches!(&self.children, Children::Table(keys) if keys.values().any(|node| node.value.start > self.value.end))
    }
}

/// A mistake in the syntax.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub source: Arc<Source>,
    pub message: String,
    pub span: Option<Range<usize>>,
}

impl Document {
    /// Reads the text into places and values.
    pub fn parse(name: &str, text: &str) -> Result<(Self, toml::Table), SyntaxError> {
        let source = Arc::new(Source { name: name.into(), text: mask(text) });
        let failed = |error: toml::de::Error| SyntaxError {
            source: source.clone(),
            message: error.message().to_owned(),
            span: error.span(),
        };
        let parsed = DeTable::parse(text).map_err(failed)?;
        let table: toml::Table = toml::from_str(text).map_err(failed)?;
        let root = Node { key: None, value: parsed.span(), children: table_children(parsed.get_ref()) };
        Ok((Self { source, root }, table))
    }

    /// Where the value at the path stands: the value itself, or the name of a table.
    pub fn value_span(&self, path: &Path) -> Option<Range<usize>> {
        let node = self.find(path)?;
        let table = matches!(node.children, Children::Table(_));
        let inline = self.source.text.as_bytes().get(node.value.start) == Some(&b'{');
        Some(if table && !inline { node.key.clone().unwrap_or(node.value.clone()) } else { node.value.clone() })
    }

    /// Where the name of the value at the path stands.
    pub fn key_span(&self, path: &Path) -> Option<Range<usize>> {
        let node = self.find(path)?;
        Some(node.key.clone().unwrap_or(node.value.clone()))
    }

    /// The line of a byte, from 1.
    pub fn line(&self, at: usize) -> usize {
        1 + self.source.text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
    }

    /// Every setting that is no table, with the line in which its value ends, in the order of the text.
    pub fn leaves(&self) -> Vec<(Path, usize)> {
        let mut found = Vec::new();
        leaves(&self.root, &Path::root(), &mut found);
        found.sort_by_key(|(_, end)| *end);
        found.into_iter().map(|(path, end)| (path, self.line(end))).collect()
    }

    fn find(&self, path: &Path) -> Option<&Node> {
        path.steps().iter().try_fold(&self.root, |node, step| match (&node.children, step) {
            (Children::Table(table), Step::Key(key)) => table.get(key),
            (Children::Array(array), Step::Index(index)) => array.get(*index),
            _ => None,
        })
    }
}

fn leaves(node: &Node, path: &Path, found: &mut Vec<(Path, usize)>) {
    match &node.children {
        Children::Table(table) => table.iter().for_each(|(key, node)| leaves(node, &path.key(key.as_str()), found)),
        Children::Array(array) if array.iter().any(Node::is_section) => {
            array.iter().enumerate().for_each(|(at, node)| leaves(node, &path.index(at), found));
        }
        Children::Array(_) | Children::None => found.push((path.clone(), node.value.end)),
    }
}

fn table_children(table: &DeTable<'_>) -> Children {
    let child = |(key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        let name = key.get_ref().to_string();
        (name, Node { key: Some(key.span()), value: value.span(), children: value_children(value.get_ref()) })
    };
    Children::Table(table.iter().map(child).collect())
}

fn value_children(value: &DeValue<'_>) -> Children {
    let element = |value: &Spanned<DeValue<'_>>| Node {
        key: None,
        value: value.span(),
        children: value_children(value.get_ref()),
    };
    match value {
        DeValue::Table(table) => table_children(table),
        DeValue::Array(array) => Children::Array(array.iter().map(element).collect()),
        _ => Children::None,
    }
}
