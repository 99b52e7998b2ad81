//! From a plugin's folder to one file that is the plugin.

use crate::project::{Language, Project};
use crate::tools::{javascript, python};
use crate::{Error, Result, embed};
use std::fs;
use std::path::{Path, PathBuf};

pub use crate::tools::rust::Rust;

/// How plugins are built: which compiler for Rust, where its work goes, and who hears what is being done.
pub struct Builder<'s> {
    rust: Option<Rust>,
    target_dir: Option<PathBuf>,
    say: &'s dyn Fn(&str),
}

/// What a build came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The component.
    pub file: PathBuf,
    /// Whether it differs from what lay there.
    pub changed: bool,
}

impl<'s> Builder<'s> {
    /// A builder that looks for a compiler when the first Rust plugin is to be built.
    pub fn new(say: &'s dyn Fn(&str)) -> Self {
        Self { rust: None, target_dir: None, say }
    }

    /// Puts cargo's work into this folder instead of each plugin's own.
    #[must_use]
    pub fn target_dir(mut self, folder: PathBuf) -> Self {
        self.target_dir = Some(folder);
        self
    }

    /// Takes this compiler for Rust.
    #[must_use]
    pub fn with_rust(mut self, rust: Rust) -> Self {
        self.rust = Some(rust);
        self
    }

    /// Makes a component of the plugin, with manifest and schema in it, at `out`. What has not changed is not built again,
    /// and a new file appears whole or not at all: a hub, or a test, may be reading it.
    pub fn build(&mut self, project: &Project, out: &Path) -> Result<Built> {
        if let Some(folder) = out.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|error| Error::file("make", folder, &error))?;
        }
        let component = match project.language {
            Language::Rust => self.rust(project)?,
            Language::JavaScript => {
                script(project, javascript::TOOL, |work| javascript::build(project, work, self.say))?
            }
            Language::Python => script(project, python::TOOL, |work| python::build(project, work, self.say))?,
        };
        let whole = embed::embed(&component, project.manifest.as_ref(), project.schema.as_ref())
            .map_err(|why| Error::new(format!("could not finish {}", out.display())).note(why.0))?;
        if fs::read(out).is_ok_and(|old| old == whole) {
            return Ok(Built { file: out.to_owned(), changed: false });
        }
        put(out, &whole)?;
        Ok(Built { file: out.to_owned(), changed: true })
    }

    fn rust(&mut self, project: &Project) -> Result<Vec<u8>> {
        let rust = match &mut self.rust {
            Some(rust) => rust,
            none => {
                let folder =
                    match self.target_dir.clone().or_else(|| std::env::var_os("CARGO_TARGET_DIR").map(Into::into)) {
                        Some(folder) => folder,
                        None => project.root.join("target"),
                    };
                none.insert(Rust::find(&folder, self.say)?)
            }
        };
        let core = rust.compile(project)?;
        let module = fs::read(&core).map_err(|error| Error::file("read", &core, &error))?;
        let encoded = wit_component::ComponentEncoder::default()
            .validate(true)
            .module(&module)
            .and_then(|mut encoder| encoder.encode());
        encoded.map_err(|error| {
            Error::new(format!("{} is no plugin", project.name()))
                .note(format!("{error:#}"))
                .help("the crate type is `cdylib`, and `confab_plugin_sdk::export_plugin!(…)` stands in its lib.rs")
        })
    }
}

/// Builds what takes long (half a minute) only if one of its sources has changed: the work's folder keeps the component
/// under the digest of all that it was made from.
fn script(project: &Project, tool: &str, build: impl FnOnce(&Path) -> Result<PathBuf>) -> Result<Vec<u8>> {
    let work = project.root.join(".confab");
    fs::create_dir_all(&work).map_err(|error| Error::file("make", &work, &error))?;
    let digest = digest(project, tool)?;
    let kept = work.join(format!("{digest}.wasm"));
    if !kept.is_file() {
        let made = build(&work)?;
        forget_others(&work);
        fs::rename(&made, &kept).map_err(|error| Error::file("write", &kept, &error))?;
    }
    fs::read(&kept).map_err(|error| Error::file("read", &kept, &error))
}

fn digest(project: &Project, tool: &str) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(tool.as_bytes()).update(crate::CONTRACT.as_bytes());
    let capabilities = project.manifest.iter().flat_map(|manifest| manifest.capabilities.keys());
    capabilities.for_each(|capability| _ = hasher.update(capability.as_bytes()).update(b","));
    for file in project.sources()?.iter().filter(|file| file.starts_with(project.root.join("src"))) {
        let bytes = fs::read(file).map_err(|error| Error::file("read", file, &error))?;
        let name = file.strip_prefix(&project.root).unwrap_or(file).to_string_lossy();
        hasher.update(name.as_bytes()).update(&bytes.len().to_le_bytes()).update(&bytes);
    }
    Ok(hasher.finalize().to_hex()[..16].to_owned())
}

/// Components of earlier sources: nobody asks for them again.
fn forget_others(work: &Path) {
    for entry in fs::read_dir(work).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|end| end == "wasm") && path.file_stem().is_some_and(|stem| stem.len() == 16) {
            let _ = fs::remove_file(path);
        }
    }
}

fn put(out: &Path, bytes: &[u8]) -> Result<()> {
    let unfinished = out.with_extension(format!("wasm.{}", std::process::id()));
    fs::write(&unfinished, bytes)
        .and_then(|()| fs::rename(&unfinished, out))
        .map_err(|error| Error::file("write", out, &error))
}
