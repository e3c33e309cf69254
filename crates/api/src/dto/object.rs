//! Objects within objects: serde would read an array as the fields of an object in their order.

use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error};
use serde_json::{Map, Value};

/// Reads what is an object, and no array.
pub(super) fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(reader: D) -> Result<T, D::Error> {
    let members = Map::deserialize(reader)?;
    serde_json::from_value(Value::Object(members)).map_err(D::Error::custom)
}

/// Reads what is an object or null, and no array.
pub(super) fn optional_object<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    reader: D,
) -> Result<Option<T>, D::Error> {
    let members = Option::<Map<String, Value>>::deserialize(reader)?;
    members.map(|members| serde_json::from_value(Value::Object(members))).transpose().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use crate::{MarkRequest, RemoveRequest};

    #[test]
    fn an_array_is_no_object() {
        let read = serde_json::from_str::<MarkRequest>;
        assert!(read(r#"{"filter":{"tag":"paid"},"set":{}}"#).is_ok());
        assert!(read(r#"{"filter":null,"set":{}}"#).is_ok());
        assert!(read(r#"{"filter":[null,null],"set":{}}"#).is_err());
        assert!(read(r#"{"set":[]}"#).is_err());
        assert!(serde_json::from_str::<RemoveRequest>(r#"{"filter":[]}"#).is_err());
    }
}
