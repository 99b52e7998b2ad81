//! The schema of a plugin's settings, in the few words of JSON Schema that `confab config check` knows: everything in its place,
//! and a choice as a list of its words.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

/// The schema of some settings.
pub fn of<S: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let schema: Schema = settings.into_generator().into_root_schema_for::<S>();
    let mut schema = schema.to_value();
    simplify(&mut schema);
    schema
}

fn simplify(schema: &mut Value) {
    let Value::Object(table) = schema else { return };
    if let Some(Value::Array(choices)) = table.remove("oneOf") {
        choose(table, &choices);
    }
    for (keyword, below) in table {
        match (keyword.as_str(), below) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(simplify),
            ("items" | "additionalProperties", below) => simplify(below),
            _ => {}
        }
    }
}

/// Writes a choice of words, each with a description, as one list with one description.
fn choose(table: &mut Map<String, Value>, choices: &[Value]) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let described =
        choices.iter().map(|choice| format!("`{}`: {}", text(&choice["const"]), text(&choice["description"])));
    let described: Vec<String> = described.collect();
    let description = table.get("description").map(text).unwrap_or_default();
    table.insert("description".into(), format!("{description} {}", described.join(" ")).trim().into());
    table.insert("enum".into(), choices.iter().map(|choice| choice["const"].clone()).collect());
    table.insert("type".into(), "string".into());
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde_json::json;

    /// What happens.
    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    enum Action {
        /// It is refused.
        Reject,
        /// It waits.
        Hold,
    }

    /// Settings.
    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "only its schema is looked at")]
    struct Settings {
        actions: Vec<Action>,
    }

    #[test]
    fn a_choice_is_a_list_of_its_words_in_its_place() {
        let action = json!({
            "type": "string",
            "enum": ["Reject", "Hold"],
            "description": "What happens. `Reject`: It is refused. `Hold`: It waits.",
        });
        assert_eq!(super::of::<Settings>()["properties"]["actions"]["items"], action);
    }
}
