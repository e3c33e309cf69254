//! Where a head of HTTP/1 ends.

/// Where the head at the front of `bytes` ends: after the first blank line, whether lines end with CRLF or with a bare LF. The first
/// `searched` bytes were looked through before and hold no end.
#[must_use]
pub fn head_end(bytes: &[u8], searched: usize) -> Option<usize> {
    let from = searched.saturating_sub(3);
    let mut rest = bytes.get(from..)?;
    let mut position = from;
    while let Some(line_end) = rest.iter().position(|byte| *byte == b'\n') {
        let next = line_end + 1;
        match rest.get(next..) {
            Some([b'\n', ..]) => return Some(position + next + 1),
            Some([b'\r', b'\n', ..]) => return Some(position + next + 2),
            Some(after) => rest = after,
            None => return None,
        }
        position += next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::head_end;

    #[test]
    fn the_end_of_a_head() {
        for (bytes, wanted) in [
            (&b"GET / HTTP/1.1\r\nA: b\r\n\r\nrest"[..], Some(24)),
            (b"GET / HTTP/1.1\n\nrest", Some(16)),
            (b"GET / HTTP/1.1\r\n\nrest", Some(17)),
            (b"GET / HTTP/1.1\r\nA: b\r\n", None),
            (b"GET / HTTP/1.1\r\nA: b\r\n\r", None),
            (b"", None),
        ] {
            assert_eq!(head_end(bytes, 0), wanted);
            // Any point of resumption gives the same.
            for searched in 0..wanted.unwrap_or(bytes.len()) {
                assert_eq!(head_end(bytes, searched), wanted, "resumed after {searched}");
            }
        }
    }
}
