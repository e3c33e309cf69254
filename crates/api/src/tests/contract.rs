//! Checks answers against the OpenAPI document: a path, a status or a field that it does not describe fails the test.

use serde_json::{Value, json};

/// The OpenAPI document as a judge of answers.
pub(crate) struct Contract(Value);

/// An answer as a client saw it.
pub(crate) struct Seen<'a> {
    pub(crate) method: &'a str,
    /// The path with its query.
    pub(crate) path: &'a str,
    pub(crate) status: u16,
    pub(crate) content_type: &'a str,
    pub(crate) body: &'a [u8],
}

impl Contract {
    pub(crate) fn new(document: &str) -> Self {
        Self(serde_json::from_str(document).unwrap())
    }

    /// Says what of an answer the document does not describe.
    pub(crate) fn check(&self, seen: &Seen<'_>) -> Result<(), String> {
        let path = seen.path.split('?').next().unwrap_or_default();
        let operations = self.0["paths"].as_object().and_then(|paths| {
            // A path without variables goes before one that has some.
            let fitting = paths.iter().filter(|(template, _)| fits(template, path));
            fitting.min_by_key(|(template, _)| template.matches('{').count())
        });
        let method = if seen.method == "HEAD" { "get".to_owned() } else { seen.method.to_lowercase() };
        let operation = operations.and_then(|(_, item)| item.get(&method));
        let schema = match operation {
            // What is not described may only be refused; so may a head that is not understood.
            _ if matches!(seen.status, 414 | 421 | 431) => &json!({ "$ref": "#/components/schemas/ProblemDto" }),
            None if matches!(seen.status, 400 | 401 | 404 | 405) => {
                &json!({ "$ref": "#/components/schemas/ProblemDto" })
            }
            None => {
                return Err(format!("the document has no {} {path}, and the status is {}", seen.method, seen.status));
            }
            Some(operation) => self.schema(operation, seen)?,
        };
        if seen.method == "HEAD" || !seen.content_type.contains("json") {
            return Ok(());
        }
        let of_lines = seen.content_type.contains("ndjson");
        let mut lines = seen.body.split(|byte| of_lines && *byte == b'\n').filter(|line| !of_lines || !line.is_empty());
        lines.try_for_each(|line| self.check_body(schema, line))
    }

    /// Says what of a body its schema does not describe.
    fn check_body(&self, schema: &Value, body: &[u8]) -> Result<(), String> {
        let body: Value = serde_json::from_slice(body).map_err(|error| format!("the body is no JSON: {error}"))?;
        let root = json!({ "allOf": [schema], "components": self.0["components"] });
        let validator = jsonschema::draft202012::new(&root).map_err(|error| format!("the schema: {error}"))?;
        let wrong: Vec<String> =
            validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }

    /// The schema of the body that goes with an answer's status and media type.
    fn schema<'a>(&'a self, operation: &'a Value, seen: &Seen<'_>) -> Result<&'a Value, String> {
        let response = &operation["responses"][seen.status.to_string()];
        let response = match response["$ref"].as_str() {
            Some(reference) => self.0.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null),
            None => response,
        };
        if !response.is_object() {
            return Err(format!("the status {} is not described", seen.status));
        }
        let kind = seen.content_type.split(';').next().unwrap_or_default().trim();
        match response["content"].as_object() {
            None if seen.body.is_empty() => Ok(&Value::Bool(true)),
            None => Err("a body is not described".to_owned()),
            Some(content) => {
                let found = content.get(kind).ok_or_else(|| format!("the media type {kind:?} is not described"))?;
                Ok(found.get("schema").unwrap_or(&Value::Bool(true)))
            }
        }
    }
}

/// Whether a path is one of a template such as `/api/v1/nodes/{id}`.
fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(&path).all(|(part, given)| part == given || (part.starts_with('{') && !given.is_empty()))
}
