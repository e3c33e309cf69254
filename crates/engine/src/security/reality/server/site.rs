//! What the site answers to a hello: read as a watcher sees it, to be imitated record by record.
//!
//! ```text
//! | ServerHello | ChangeCipherSpec | EncryptedExtensions | Certificate | CertificateVerify | Finished |
//! | ServerHello | ChangeCipherSpec | all four in one                                                 |
//! ```
//! Only the two hellos are readable. Behind the Finished a site may send more, such as a ticket.

use std::ops::Range;

use rustls::{
    CipherSuite, NamedGroup, Tls13CipherSuite,
    crypto::{SupportedKxGroup, aws_lc_rs},
};

use crate::security::{
    client_hello::{HELLO_HEAD, KEY_SHARES, VERSIONS, is_retry},
    message_reader::{MessageReader, body, message_header},
    tls::records::{CHANGE_CIPHER_SPEC, DATA, HANDSHAKE, HEADER, record_header},
};

const SERVER_HELLO: u8 = 2;
/// An extension of a ServerHello (RFC 8446 §4.2).
const PRE_SHARED_KEY: u16 = 41;

/// A record of handshake messages that is longer than this, header included, has more in it than the EncryptedExtensions.
const LONGEST_ALONE: usize = 512;
/// The longest record of the kinds that are imitated (RFC 8446 §5.4), header included.
const LONGEST: usize = HEADER + (1 << 14) + 1 + 16;
/// How many records a site sends that puts one message in each.
const APART: usize = 4;

/// How far an answer has come.
#[derive(Debug)]
pub(super) enum SiteAnswer {
    /// More bytes are needed.
    More,
    /// Everything up to the Finished is there.
    Whole(SiteFlight),
    /// It cannot be imitated, for this reason.
    Other(&'static str),
}

/// A site's answer that can be imitated.
pub(super) struct SiteFlight {
    /// The records of ServerHello and ChangeCipherSpec.
    pub(super) preface: Vec<u8>,
    /// Where the ServerHello stands in them.
    pub(super) server_hello: Range<usize>,
    /// Where its key share stands in them.
    pub(super) share: Range<usize>,
    pub(super) suite: &'static Tls13CipherSuite,
    pub(super) group: &'static dyn SupportedKxGroup,
    /// The lengths of the records behind them, their headers included.
    pub(super) lengths: Vec<usize>,
}

impl std::fmt::Debug for SiteFlight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SiteFlight").field("lengths", &self.lengths).finish_non_exhaustive()
    }
}

impl SiteFlight {
    /// How many bytes of the site it is.
    pub(super) fn length(&self) -> usize {
        self.preface.len() + self.lengths.iter().sum::<usize>()
    }
}

/// Reads what a site has sent so far.
pub(super) fn read(received: &[u8]) -> SiteAnswer {
    match read_records(received) {
        Ok(Some(flight)) => SiteAnswer::Whole(flight),
        Ok(None) => SiteAnswer::More,
        Err(why) => SiteAnswer::Other(why),
    }
}

fn read_records(received: &[u8]) -> Result<Option<SiteFlight>, &'static str> {
    let Some(hello) = record_length(received, HANDSHAKE, "the site's answer is no ServerHello")? else {
        return Ok(None);
    };
    let Some(hello_record) = received.get(..hello) else { return Ok(None) };
    let read = read_server_hello(hello_record)?;
    let rest = received.get(hello..).unwrap_or_default();
    let Some(change) = record_length(rest, CHANGE_CIPHER_SPEC, "the site sends no ChangeCipherSpec")? else {
        return Ok(None);
    };
    let preface = received.get(..hello + change).map(<[u8]>::to_vec);
    let Some(preface) = preface else { return Ok(None) };
    let Some(lengths) = read_sealed(received.get(preface.len()..).unwrap_or_default())? else { return Ok(None) };
    let (server_hello, (share, suite, group)) = (HEADER..hello, read);
    Ok(Some(SiteFlight { preface, server_hello, share, suite, group, lengths }))
}

/// The lengths of the encrypted records up to the Finished.
fn read_sealed(received: &[u8]) -> Result<Option<Vec<usize>>, &'static str> {
    let (mut rest, mut lengths) = (received, Vec::with_capacity(APART));
    loop {
        let Some(length) = record_length(rest, DATA, "the site breaks off its answer")? else { return Ok(None) };
        lengths.push(length);
        let Some(after) = rest.get(length..) else { return Ok(None) };
        rest = after;
        let is_joined = lengths.first().is_some_and(|first| *first > LONGEST_ALONE);
        if is_joined || lengths.len() == APART {
            return Ok(Some(lengths));
        }
    }
}

/// The length of the record that `received` begins with, header included; `otherwise` when it has another type.
fn record_length(received: &[u8], kind: u8, otherwise: &'static str) -> Result<Option<usize>, &'static str> {
    if received.first().is_some_and(|found| *found != kind) {
        return Err(otherwise);
    }
    let Some((_, length)) = record_header(received) else { return Ok(None) };
    if length > LONGEST { Err("the site sends a record that is too long") } else { Ok(Some(length)) }
}

type Agreed = (Range<usize>, &'static Tls13CipherSuite, &'static dyn SupportedKxGroup);

/// Reads a record with a ServerHello: where its key share stands in the record, and what it agrees on.
fn read_server_hello(record: &[u8]) -> Result<Agreed, &'static str> {
    let malformed = "the site's ServerHello is malformed";
    let text = record.get(HEADER..).unwrap_or_default();
    let Some((SERVER_HELLO, length)) = message_header(text) else {
        return Err("the site's answer is no ServerHello");
    };
    let message = text.get(..length).ok_or(malformed)?;
    if is_retry(message) {
        return Err("the site asks for another key share (HelloRetryRequest)");
    }
    let mut rest = MessageReader(message.get(HELLO_HEAD..).ok_or(malformed)?);
    rest.within::<1>().ok_or(malformed)?;
    let suite = rest.number().ok_or(malformed)?;
    rest.take(1).ok_or(malformed)?;
    // Without extensions it is one of TLS 1.2, too.
    let extensions = if rest.0.is_empty() { Vec::new() } else { rest.extensions().ok_or(malformed)? };
    if body(&extensions, VERSIONS) != Some(&[3, 4]) {
        return Err("the site does not speak TLS 1.3");
    }
    if body(&extensions, PRE_SHARED_KEY).is_some() {
        return Err("the site resumes a session");
    }
    if message.len() < text.len() {
        return Err("the site's ServerHello does not stand in one record alone");
    }
    let share = MessageReader(body(&extensions, KEY_SHARES).ok_or(malformed)?).numbered().ok_or(malformed)?;
    let place = HEADER + place_of_share(message).ok_or(malformed)?;
    let suite = suite_of(suite).ok_or("the site chose a cipher suite that is not known here")?;
    let group = group_of(share.0).ok_or("the site chose a key exchange that is not known here")?;
    Ok((place..place + share.1.len(), suite, group))
}

/// Where the key in the key share extension begins.
fn place_of_share(message: &[u8]) -> Option<usize> {
    let mut rest = MessageReader(message.get(HELLO_HEAD..)?);
    rest.within::<1>()?;
    // The cipher suite, the compression method, and the length of the extensions, which end the message.
    rest.take(2 + 1 + 2)?;
    loop {
        let (number, body) = rest.numbered()?;
        if number == KEY_SHARES {
            let end = message.len() - rest.0.len();
            // The group and the length stand before the key.
            return Some(end - body.len() + 4);
        }
    }
}

fn suite_of(number: u16) -> Option<&'static Tls13CipherSuite> {
    let suites = aws_lc_rs::ALL_CIPHER_SUITES.iter().filter_map(rustls::SupportedCipherSuite::tls13);
    suites.into_iter().find(|suite| suite.common.suite == CipherSuite::from(number))
}

fn group_of(number: u16) -> Option<&'static dyn SupportedKxGroup> {
    aws_lc_rs::ALL_KX_GROUPS.iter().copied().find(|group| group.name() == NamedGroup::from(number))
}
