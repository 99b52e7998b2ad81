//! Settings as a plugin is handed them: tables of hub.toml, and of golden cases, as JSON.

use serde_json::Value;

/// A TOML value as JSON. A date, which JSON does not have, becomes a string.
pub fn to_json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(is) => (*is).into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(list) => list.iter().map(to_json).collect(),
        toml::Value::Table(table) => table_to_json(table),
    }
}

/// A TOML table as JSON.
pub fn table_to_json(table: &toml::Table) -> Value {
    table.iter().map(|(key, value)| (key.clone(), to_json(value))).collect::<serde_json::Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_json_and_dates_become_strings() {
        let table: toml::Table = toml::from_str("a = [1, 2.5, true]\nb = { c = \"q\\\"\" }\nd = 2026-01-02").unwrap();
        assert_eq!(table_to_json(&table).to_string(), r#"{"a":[1,2.5,true],"b":{"c":"q\""},"d":"2026-01-02"}"#);
    }
}
