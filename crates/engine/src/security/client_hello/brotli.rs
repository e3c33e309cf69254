//! Certificates compressed with brotli (RFC 8879), which browsers offer to take.

use std::io::Read;

use brotli_decompressor::Decompressor;
use rustls::{
    CertificateCompressionAlgorithm,
    compress::{CertDecompressor, DecompressionFailed},
};

/// Decompresses; the length is the one that the server declared, and bounded by rustls.
#[derive(Debug)]
pub(super) struct Brotli;

impl CertDecompressor for Brotli {
    fn decompress(&self, input: &[u8], output: &mut [u8]) -> Result<(), DecompressionFailed> {
        let mut reader = Decompressor::new(input, 4096);
        reader.read_exact(output).map_err(|_| DecompressionFailed)?;
        match reader.read(&mut [0]) {
            Ok(0) => Ok(()),
            _ => Err(DecompressionFailed),
        }
    }

    fn algorithm(&self) -> CertificateCompressionAlgorithm {
        CertificateCompressionAlgorithm::Brotli
    }
}

#[cfg(test)]
mod tests {
    use rustls::compress::CertDecompressor;

    use super::Brotli;

    #[test]
    fn exactly_what_was_declared() {
        let compressed = b"\x0b\x02\x80hello\x03";
        let decompress = |input: &[u8], length| {
            let mut output = vec![0; length];
            Brotli.decompress(input, &mut output).ok().map(|()| output)
        };
        assert_eq!(decompress(compressed, 5).as_deref(), Some(&b"hello"[..]));
        assert_eq!(decompress(compressed, 4), None);
        assert_eq!(decompress(compressed, 6), None);
        assert_eq!(decompress(b"\x0b\x02\x80hel", 5), None);
    }
}
