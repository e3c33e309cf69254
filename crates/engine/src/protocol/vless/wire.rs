//! The bytes of VLESS version 0 (xtls.github.io/en/development/protocols/vless.html).
//!
//! ```text
//! request: | version 0 | user id | length m | addons | command | port | ATYP | address | payload …
//!          |     1     |   16    |    1     |   m    |    1    |  2   |  1   |   var   |        no address for mux
//! answer:  | version 0 | length n | addons | payload …
//!          |     1     |    1     |   n    |
//! ```

use hezar_core::Target;
use uuid::Uuid;

use crate::{
    Cause,
    io::header_stream::AnswerHead,
    protocol::{
        address::{MAX_ADDRESS, put_v2ray, take_v2ray},
        packet_addr,
    },
    served::{CredentialId, HeadRead, Keyring, StrangerReason},
};

const VERSION: u8 = 0;
/// Open a TCP stream.
pub(super) const CONNECT: u8 = 1;
/// Carry datagrams to one target, each behind its length (2 bytes), both ways.
pub(super) const DATAGRAMS: u8 = 2;
/// Carry frames of mux.cool; this request has no address.
const MUX: u8 = 3;
/// Wait for connections from the server, which Xray calls reverse.
const REVERSE: u8 = 4;
/// The length of a user id.
const ID_LENGTH: usize = 16;
/// The first field of the addons: the name of the flow.
const FLOW: u8 = 0x0a;
/// The wire type of bytes behind their length (protobuf.dev/programming-guides/encoding).
const LENGTH_DELIMITED: u8 = 2;
/// Where a name begins in an address: behind port, type and length.
const NAME_AT: usize = 4;

/// The addons of a request with Vision: a protobuf message whose first field is the flow.
pub(super) const VISION: &[u8] = b"\x0a\x10xtls-rprx-vision";

/// The request for a stream to `target` under a command, without addons.
pub(super) fn request(id: &Uuid, command: u8, target: &Target) -> Vec<u8> {
    let mut bytes = head(id, &[], command);
    put_v2ray(target, &mut bytes);
    bytes
}

/// The request for a TCP stream to `target` with Vision.
pub(super) fn vision(id: &Uuid, target: &Target) -> Vec<u8> {
    let mut bytes = head(id, VISION, CONNECT);
    put_v2ray(target, &mut bytes);
    bytes
}

/// The request for a stream of frames.
pub(super) fn mux(id: &Uuid) -> Vec<u8> {
    head(id, &[], MUX)
}

/// The request for a stream of frames with Vision.
pub(super) fn vision_mux(id: &Uuid) -> Vec<u8> {
    head(id, VISION, MUX)
}

/// The request up to the address; `addons` are at most 255 bytes.
fn head(id: &Uuid, addons: &'static [u8], command: u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + 16 + 1 + addons.len() + 1 + MAX_ADDRESS);
    bytes.push(VERSION);
    bytes.extend_from_slice(id.as_bytes());
    bytes.push(addons.len() as u8);
    bytes.extend_from_slice(addons);
    bytes.push(command);
    bytes
}

/// The response header of a server: no addons.
pub(super) const RESPONSE: [u8; 2] = [VERSION, 0];

/// What a known client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct VlessRequest {
    /// Who asks.
    pub(super) credential: CredentialId,
    /// The id, with which the blocks of Vision begin.
    pub(super) id: Uuid,
    /// Whether the payload comes with Vision.
    pub(super) vision: bool,
    /// What is asked for.
    pub(super) command: VlessCommand,
}

/// The command of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum VlessCommand {
    /// A stream to this target.
    Connect(Target),
    /// Datagrams for this target.
    Datagrams(Target),
    /// Frames of mux.cool.
    Mux,
}

/// Judges the bytes of a connection as early as they can be told from a client's.
pub(super) fn take_request(bytes: &[u8], keyring: &Keyring) -> HeadRead<VlessRequest> {
    let Some((&version, rest)) = bytes.split_first() else { return Ok(None) };
    if version != VERSION {
        return Err(StrangerReason::Protocol);
    }
    let Some(credential) = keyring.identify(rest, ID_LENGTH)? else { return Ok(None) };
    let Some((id, rest)) = rest.split_first_chunk::<ID_LENGTH>() else { return Ok(None) };
    let Some((vision, rest)) = take_addons(rest)? else { return Ok(None) };
    let Some((command, rest)) = take_command(rest)? else { return Ok(None) };
    let request = VlessRequest { credential, id: Uuid::from_bytes(*id), vision, command };
    Ok(Some((request, bytes.len() - rest.len())))
}

/// Reads the addons. Returns whether they ask for Vision, and what stands behind them; `None` while they are incomplete.
///
/// # Errors
/// For another flow than Vision, or what is no message.
fn take_addons(bytes: &[u8]) -> Result<Option<(bool, &[u8])>, StrangerReason> {
    let Some((&length, rest)) = bytes.split_first() else { return Ok(None) };
    let Some((addons, rest)) = rest.split_at_checked(usize::from(length)) else { return Ok(None) };
    match flow(addons) {
        Some(b"") => Ok(Some((false, rest))),
        Some(flow) if VISION.ends_with(flow) && flow.len() + 2 == VISION.len() => Ok(Some((true, rest))),
        Some(_) => Err(StrangerReason::Command("a flow of VLESS that is not Vision")),
        None => Err(StrangerReason::Protocol),
    }
}

/// The flow in the addons, a protobuf message whose other fields are strings of bytes, too; `None` when it is no such message.
fn flow(mut addons: &[u8]) -> Option<&[u8]> {
    let mut flow = &[][..];
    while let [tag, length @ 0..=127, rest @ ..] = addons {
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        if tag & 7 != LENGTH_DELIMITED {
            return None;
        }
        if *tag == FLOW {
            flow = value;
        }
        addons = rest;
    }
    addons.is_empty().then_some(flow)
}

/// Reads the command and its target. Returns them, and what stands behind them; `None` while they are incomplete.
///
/// # Errors
/// For a command that is not served, and a target that is none.
fn take_command(bytes: &[u8]) -> Result<Option<(VlessCommand, &[u8])>, StrangerReason> {
    let Some((&command, rest)) = bytes.split_first() else { return Ok(None) };
    match command {
        MUX => return Ok(Some((VlessCommand::Mux, rest))),
        REVERSE => return Err(StrangerReason::Command("reverse connections of VLESS")),
        CONNECT | DATAGRAMS => {}
        _ => return Err(StrangerReason::Protocol),
    }
    let Some((target, length)) = take_v2ray(rest).map_err(|_| StrangerReason::Protocol)? else { return Ok(None) };
    let (address, rest) = rest.split_at(length);
    let command = match (command, target) {
        (CONNECT, Some(target)) => VlessCommand::Connect(target),
        (DATAGRAMS, Some(target)) => VlessCommand::Datagrams(target),
        // The port of packetaddr's name may be 0, which no other target has.
        (DATAGRAMS, None) => {
            let requested = address.get(NAME_AT..).and_then(packet_addr::requested);
            VlessCommand::Datagrams(requested.ok_or(StrangerReason::Protocol)?)
        }
        _ => return Err(StrangerReason::Protocol),
    };
    Ok(Some((command, rest)))
}

/// The header in front of the answer. Without a flow its addons have no meaning.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseHead;

impl AnswerHead for ResponseHead {
    const PRESENT: bool = true;

    fn length(&self, bytes: &[u8]) -> Result<Option<usize>, Cause> {
        let Some(&version) = bytes.first() else { return Ok(None) };
        if version != VERSION {
            return Err(Cause::Protocol("the answer is not VLESS version 0"));
        }
        let length = bytes.get(1).map(|&addons| 2 + usize::from(addons));
        Ok(length.filter(|&length| bytes.len() >= length))
    }
}
