//! Takes the fields of TLS messages apart, from the front to the end.

/// The type of the handshake message that `bytes` begin with, and its whole length, by its first four bytes (RFC 8446 §4). `None` while these
/// are not there.
pub(super) fn message_header(bytes: &[u8]) -> Option<(u8, usize)> {
    let &[kind, a, b, c] = bytes.first_chunk()?;
    Some((kind, 4 + u32::from_be_bytes([0, a, b, c]) as usize))
}

/// An extension's number and body.
pub(super) type Extension<'a> = (u16, &'a [u8]);

/// What is left of a message.
pub(super) struct MessageReader<'a>(pub(super) &'a [u8]);

impl<'a> MessageReader<'a> {
    /// The next `length` bytes; `None` when there are fewer.
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next two bytes as a number.
    pub(super) fn number(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// A body behind its length in `N` bytes.
    pub(super) fn within<const N: usize>(&mut self) -> Option<&'a [u8]> {
        let length = self.take(N)?.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        self.take(length)
    }

    /// The next number with the body behind it, as extensions and key shares have them.
    pub(super) fn numbered(&mut self) -> Option<Extension<'a>> {
        Some((self.number()?, self.within::<2>()?))
    }

    /// The list of extensions that ends the message.
    pub(super) fn extensions(mut self) -> Option<Vec<Extension<'a>>> {
        let mut list = MessageReader(self.within::<2>()?);
        let mut extensions = Vec::new();
        while !list.0.is_empty() {
            extensions.push(list.numbered()?);
        }
        self.0.is_empty().then_some(extensions)
    }
}

/// The body of the extension with this number.
pub(super) fn body<'a>(extensions: &[Extension<'a>], number: u16) -> Option<&'a [u8]> {
    extensions.iter().find(|found| found.0 == number).map(|found| found.1)
}
