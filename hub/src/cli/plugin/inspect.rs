//! `confab plugin inspect`: what a plugin is, without running it.

use super::Done;
use super::args::Inspect;
use super::build::size;
use super::candidate::Candidate;
use crate::cli::{Exit, Screen};
use confab_config::human::duration;
use confab_plugin_kit::plain;
use serde_json::{Value, json};

pub(super) fn run(inspect: &Inspect, screen: &mut Screen<'_>) -> Done {
    let candidate = Candidate::find(&inspect.plugin)?;
    if inspect.json {
        screen.json(&as_json(&candidate))?;
    } else {
        tell(&candidate, screen)?;
    }
    Ok(Exit::Done)
}

fn as_json(candidate: &Candidate) -> Value {
    let reasons = candidate.embedded.manifest.as_ref().map(|manifest| &manifest.capabilities);
    let asked = candidate.face.capabilities.iter().map(|capability| {
        let why = reasons.and_then(|reasons| reasons.get(capability));
        json!({ "capability": capability, "why": why })
    });
    json!({
        "file": candidate.file,
        "manifest": candidate.embedded.manifest,
        "contract": candidate.face.contract,
        "imports": asked.collect::<Vec<_>>(),
        "words": candidate.face.words,
        "foreign_imports": candidate.face.foreign,
        "bytes": candidate.bytes,
        "blake3": candidate.hash,
        "settings_schema": candidate.embedded.schema,
    })
}

fn tell(candidate: &Candidate, screen: &mut Screen<'_>) -> std::io::Result<()> {
    let out = &mut screen.out;
    match &candidate.embedded.manifest {
        Some(manifest) => {
            writeln!(out, "{} {}  {}", manifest.name, manifest.version, manifest.description)?;
            writeln!(out, "license    {}", manifest.license)?;
            if let Some(homepage) = &manifest.homepage {
                writeln!(out, "homepage   {homepage}")?;
            }
        }
        None => writeln!(out, "{}  (no manifest)", candidate.name())?,
    }
    match &candidate.face.contract {
        Some(version) => writeln!(out, "contract   confab:plugin {version}")?,
        None => writeln!(out, "contract   none: this component is no plugin")?,
    }
    writeln!(out, "size       {}", size(candidate.bytes))?;
    writeln!(out, "blake3     {}", candidate.hash)?;
    tell_needs(candidate, screen)?;
    tell_asked(candidate, screen)?;
    tell_settings(candidate.embedded.schema.as_ref(), screen)
}

fn tell_needs(candidate: &Candidate, screen: &mut Screen<'_>) -> std::io::Result<()> {
    let Some(manifest) = &candidate.embedded.manifest else { return Ok(()) };
    let needs = [
        manifest.needs.memory.map(|memory| format!("memory {memory}")),
        manifest.needs.timeout.map(|timeout| format!("timeout {}", duration::show(timeout))),
        manifest.needs.isolation.map(|isolation| format!("isolation {isolation:?}").to_lowercase()),
    ];
    let needs: Vec<String> = needs.into_iter().flatten().collect();
    if needs.is_empty() { Ok(()) } else { writeln!(screen.out, "needs      {}", needs.join(", ")) }
}

fn tell_asked(candidate: &Candidate, screen: &mut Screen<'_>) -> std::io::Result<()> {
    let reasons =
        candidate.embedded.manifest.as_ref().map(|manifest| manifest.capabilities.clone()).unwrap_or_default();
    if candidate.face.capabilities.is_empty() {
        writeln!(screen.out, "asks for   nothing besides judging")?;
    }
    for (at, capability) in candidate.face.capabilities.iter().enumerate() {
        let why = reasons.get(capability).map_or("it does not say why", String::as_str);
        writeln!(screen.out, "{}{capability}: {why}", if at == 0 { "asks for   " } else { "           " })?;
    }
    for capability in &candidate.face.words {
        writeln!(
            screen.out,
            "           (it knows the types of `{capability}` and calls nothing: no grant is needed)"
        )?;
    }
    for import in &candidate.face.foreign {
        writeln!(screen.err, "warning: it imports `{import}`, which no hub gives to any plugin: it will not load")?;
    }
    for capability in reasons.keys().filter(|key| !candidate.face.capabilities.contains(key)) {
        writeln!(screen.err, "warning: its manifest asks for `{capability}`, but it does not import it")?;
    }
    Ok(())
}

fn tell_settings(schema: Option<&Value>, screen: &mut Screen<'_>) -> std::io::Result<()> {
    let Some(schema) = schema else { return writeln!(screen.out, "settings   it does not say which it takes") };
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty()) else {
        return writeln!(screen.out, "settings   none");
    };
    writeln!(screen.out, "settings")?;
    for (name, property) in properties {
        let kind = match (&property["type"], property["enum"].as_array()) {
            (_, Some(words)) => words.iter().map(Value::to_string).collect::<Vec<_>>().join(" or "),
            (Value::String(kind), _) => kind.clone(),
            _ => "any value".into(),
        };
        let must = match (&property["default"], required.contains(&name.as_str())) {
            (_, true) => ", required".into(),
            (Value::Null, false) => String::new(),
            (default, false) => format!(", default {default}"),
        };
        writeln!(screen.out, "  {name}  {kind}{must}")?;
        if let Some(words) = property["description"].as_str() {
            writeln!(screen.out, "      {}", plain::line(words))?;
        }
    }
    Ok(())
}
