//! Parses JSON leniently, as it is published: with comments, superfluous commas, and cut off at the end.

use super::{MAX_DEPTH, Tree};

/// The text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads a text of one or more JSON values, one after the other.
pub(crate) fn read(text: &str) -> Result<Vec<Tree>, Malformed> {
    Reader { text, at: 0, lenient: false, cut_off: false }.values()
}

/// Reads what can be read of broken JSON. A broken member of a list becomes [`Tree::Broken`], a broken member of a map is
/// dropped, and the end of a text ends every open value.
pub(crate) fn salvage(text: &str) -> Vec<Tree> {
    Reader { text, at: 0, lenient: true, cut_off: false }.values().unwrap_or_default()
}

/// The end of the balanced value that starts at `from`; a text in quotes ends with its line at the latest.
pub(crate) fn end_of_value(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, from);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The place of the closing quote, or of the line's end.
fn end_of_string(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' | b'\n' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    at
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    lenient: bool,
    /// Lenient only: the text ended inside a value.
    cut_off: bool,
}

impl<'a> Reader<'a> {
    fn values(mut self) -> Result<Vec<Tree>, Malformed> {
        let mut values = Vec::new();
        loop {
            self.blank();
            // Some lists separate whole objects by commas.
            if !values.is_empty() && self.peek() == Some(b',') {
                self.at += 1;
                self.blank();
            }
            if self.peek().is_none() || self.cut_off {
                return Ok(values);
            }
            match self.value(0) {
                Ok(value) => values.push(value),
                Err(Malformed) if self.lenient => return Ok(values),
                Err(Malformed) => return Err(Malformed),
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Skips white space and comments: `//` and `#` to the end of the line, `/* … */`.
    fn blank(&mut self) {
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let trimmed = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
            self.at += rest.len() - trimmed.len();
            let end = if trimmed.starts_with("//") || trimmed.starts_with('#') {
                trimmed.find('\n')
            } else if trimmed.starts_with("/*") {
                trimmed.find("*/").map(|end| end + 2)
            } else {
                return;
            };
            self.at += end.unwrap_or(trimmed.len());
        }
    }

    fn value(&mut self, depth: usize) -> Result<Tree, Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed);
        }
        match self.peek() {
            Some(b'{') => self.map(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Tree::Quoted),
            Some(_) => self.word(),
            None => Err(Malformed),
        }
    }

    fn map(&mut self, depth: usize) -> Result<Tree, Malformed> {
        self.at += 1;
        let mut pairs = Vec::new();
        loop {
            self.blank();
            match self.peek() {
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Tree::Map(pairs));
                }
                Some(b',') => self.at += 1,
                Some(b'"') => {
                    let key = self.string()?;
                    self.blank();
                    if self.peek() != Some(b':') {
                        return Err(Malformed);
                    }
                    self.at += 1;
                    self.blank();
                    let start = self.at;
                    match self.value(depth + 1) {
                        Ok(value) => pairs.push((key, value)),
                        // Only the outermost map may lose a member; deeper, the whole entry is broken.
                        Err(Malformed) if self.lenient && depth == 0 => self.resume(start),
                        Err(Malformed) => return Err(Malformed),
                    }
                    self.separator(b'}')?;
                }
                _ => return Err(Malformed),
            }
            if self.cut_off {
                return Ok(Tree::Map(pairs));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Tree, Malformed> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.blank();
            match self.peek() {
                Some(b']') => {
                    self.at += 1;
                    return Ok(Tree::List(items));
                }
                Some(b',') => {
                    self.at += 1;
                    continue;
                }
                _ => {}
            }
            let start = self.at;
            let is_entry = self.peek() == Some(b'{');
            match self.value(depth + 1) {
                Ok(value) => items.push(value),
                Err(Malformed) if self.lenient && is_entry => {
                    self.resume(start);
                    items.push(Tree::Broken(self.text.get(start..self.at).unwrap_or_default().into()));
                }
                // Only texts are left out of a list that was cut off.
                Err(Malformed) if self.lenient && self.peek().is_none() => self.cut_off = true,
                Err(Malformed) => return Err(Malformed),
            }
            if self.cut_off {
                return Ok(Tree::List(items));
            }
            self.separator(b']')?;
        }
    }

    /// After a member: a comma or the end. Commas themselves are eaten by the loops.
    fn separator(&mut self, end: u8) -> Result<(), Malformed> {
        self.blank();
        match self.peek() {
            Some(b',') => Ok(()),
            Some(byte) if byte == end => Ok(()),
            None if self.lenient => {
                self.cut_off = true;
                Ok(())
            }
            _ => Err(Malformed),
        }
    }

    /// Continues after a value that could not be read.
    fn resume(&mut self, start: usize) {
        match end_of_value(self.text, start) {
            Some(end) => self.at = end,
            None => {
                self.at = self.text.len();
                self.cut_off = true;
            }
        }
    }

    fn string(&mut self) -> Result<Box<str>, Malformed> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut at = start + 1;
        let mut escaped = false;
        loop {
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at += 2;
                }
                Some(_) => at += 1,
                None => return Err(Malformed),
            }
        }
        let raw = self.text.get(start..=at).ok_or(Malformed)?;
        self.at = at + 1;
        if escaped {
            return serde_json::from_str::<String>(raw).map(Into::into).map_err(|_| Malformed);
        }
        raw.get(1..raw.len() - 1).map(Into::into).ok_or(Malformed)
    }

    /// `true`, `null` or a number, whose text is kept.
    fn word(&mut self) -> Result<Tree, Malformed> {
        let rest: &'a str = self.text.get(self.at..).ok_or(Malformed)?;
        let end =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '+' | '-' | '.')).unwrap_or(rest.len());
        let word = rest.get(..end).ok_or(Malformed)?;
        let is_number = serde_json::from_str::<f64>(word).is_ok();
        let tree = match word {
            "null" => Tree::Null,
            "true" | "false" => Tree::Plain(word.into()),
            _ if is_number => Tree::Plain(word.into()),
            _ => return Err(Malformed),
        };
        self.at += end;
        Ok(tree)
    }
}
