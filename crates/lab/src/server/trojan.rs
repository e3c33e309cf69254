//! Trojan without TLS: `hex(SHA-224(password)) CRLF 01 address CRLF`.

use std::io;

use sha2::{Digest, Sha224};
use tokio::io::AsyncReadExt;

use super::{Accepted, ServerPolicy, Wire, open, read_address, swallow};

pub(super) async fn accept(mut wire: Wire, policy: &ServerPolicy<'_>) -> Accepted {
    let mut given = [0; 56];
    wire.read_exact(&mut given).await?;
    let hash = Sha224::digest(policy.credential.password.as_bytes());
    let right: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    if policy.refuse || given != right.as_bytes() {
        swallow(&mut wire).await?;
        return Ok(None);
    }
    let mut head = [0; 3];
    wire.read_exact(&mut head).await?;
    let target = read_address(&mut wire).await?;
    let mut end = [0; 2];
    wire.read_exact(&mut end).await?;
    if head != *b"\r\n\x01" || end != *b"\r\n" {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(open(wire, policy.reply(&target)))
}
