//! Cursors: the opaque text by which a client asks for the next part of a list.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use crate::ApiError;

/// The longest cursor that is read, in bytes.
const MAX_CURSOR: usize = 4096;

/// One part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListDto<T> {
    /// The entries of this part.
    pub items: Vec<T>,
    /// The cursor of the next part; `null` at the end of the list.
    pub next: Option<String>,
}

/// Writes the place where the next part begins as an opaque text. The place names the last entry that was shown by its key, not
/// by its number: entries that come and go meanwhile neither repeat nor skip others.
///
/// # Errors
/// [`ApiError::Internal`] when the place cannot be written as JSON.
pub fn write_cursor(place: &impl Serialize) -> Result<String, ApiError> {
    serde_json::to_vec(place).map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(|_| ApiError::Internal)
}

/// Reads what [`write_cursor`] wrote.
///
/// # Errors
/// [`ApiError::BadRequest`] when it is no cursor of this list.
pub fn read_cursor<T: DeserializeOwned>(cursor: &str) -> Result<T, ApiError> {
    let read = || {
        let json = URL_SAFE_NO_PAD.decode(Some(cursor).filter(|text| text.len() <= MAX_CURSOR)?).ok()?;
        serde_json::from_slice(&json).ok()
    };
    read().ok_or_else(|| {
        ApiError::BadRequest("the cursor is not one that this list has given: begin again without one".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is() {
        let cursor = write_cursor(&("latency", 12_u64, "ü\"")).unwrap();
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'), "{cursor}");
        assert_eq!(read_cursor::<(String, u64, String)>(&cursor), Ok(("latency".into(), 12, "ü\"".into())));
        for bad in ["", "x", "%", &cursor[1..], &"a".repeat(1 << 20)] {
            assert!(matches!(read_cursor::<(String, u64, String)>(bad), Err(ApiError::BadRequest(_))), "{bad:.20}");
        }
        assert!(read_cursor::<(String, u64)>(&cursor).is_err());
    }
}
