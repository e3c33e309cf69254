//! `KEY=VALUE` of the command line as JSON, in the types that a schema says.

use serde_json::{Map, Value, json};

use crate::output::Misuse;

/// Reads assignments; a key without a value is null, which takes it away. `table.key` stands in a table.
///
/// # Errors
/// [`Misuse`] when the schema has no such key, with those that it has.
pub(super) fn assignments<'a>(
    given: impl Iterator<Item = &'a String>,
    schema: &Value,
) -> anyhow::Result<Map<String, Value>> {
    let mut table = Map::new();
    for assignment in given {
        let (key, text) = assignment.split_once('=').unwrap_or((assignment, ""));
        let (outer, inner) = key.split_once('.').map_or((key, None), |(outer, inner)| (outer, Some(inner)));
        let described = schema.pointer(&format!("/properties/{outer}"));
        let described = inner.map_or(described, |inner| described?.pointer(&format!("/properties/{inner}")));
        let Some(described) = described else {
            let known = schema["properties"].as_object().map(|keys| keys.keys().cloned().collect::<Vec<_>>());
            return Err(
                Misuse(format!("there is no key {key:?}; known: {}", known.unwrap_or_default().join(", "))).into()
            );
        };
        let value = typed(text, &types_of(described));
        match inner {
            None => {
                table.insert(outer.to_owned(), value);
            }
            Some(inner) => table.entry(outer).or_insert_with(|| json!({}))[inner] = value,
        }
    }
    Ok(table)
}

fn types_of(described: &Value) -> Vec<&str> {
    match &described["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// A text as a value of one of these JSON types; the empty text is null. What fits none of them stays a text, for the instance to refuse
/// it with its reason.
pub(super) fn typed(text: &str, types: &[&str]) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    let has = |name: &str| types.contains(&name);
    if has("boolean")
        && let Ok(on) = text.parse::<bool>()
    {
        return on.into();
    }
    if has("integer")
        && let Ok(number) = text.parse::<i64>()
    {
        return number.into();
    }
    if has("array") || has("object") {
        let is_json = text.starts_with(['[', '{']);
        if let Some(value) = is_json.then(|| serde_json::from_str(text).ok()).flatten() {
            return value;
        }
    }
    if has("array") {
        return text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_what_the_schema_says() {
        let schema = json!({ "properties": {
            "enabled": { "type": ["boolean"] }, "top": { "type": ["integer"] }, "tags": { "type": ["array"] },
            "note": { "type": ["string"] }, "max_bytes": { "type": ["integer", "string"] },
            "headers": { "type": ["object"] },
            "quota": { "type": "object", "properties": { "day": { "type": ["integer", "string"] } } },
        }});
        let given = [
            "enabled=false",
            "top=3",
            "tags=a, b",
            "note=5",
            "max_bytes=1MiB",
            "quota.day=1024",
            "headers={\"X\":\"1\"}",
        ]
        .map(str::to_owned);
        let read = assignments(given.iter(), &schema).unwrap();
        let expected = json!({
            "enabled": false, "top": 3, "tags": ["a", "b"], "note": "5", "max_bytes": "1MiB",
            "quota": { "day": 1024 }, "headers": { "X": "1" },
        });
        assert_eq!(Value::Object(read), expected);
        let gone = ["note=".to_owned()];
        assert_eq!(assignments(gone.iter(), &schema).unwrap()["note"], Value::Null);
        let odd = ["colour=red".to_owned()];
        assert!(assignments(odd.iter(), &schema).unwrap_err().to_string().contains("known: enabled"));
    }
}
