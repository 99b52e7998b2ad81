//! Settings as a plugin is handed them: tables of hub.toml, and of golden cases, as JSON.

use serde_json::Value;

pub use crate::golden::to_json;

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
