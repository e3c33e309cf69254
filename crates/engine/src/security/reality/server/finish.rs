//! From our answer to the client's Finished. Whatever the site sends meanwhile is imitated, too.

use std::{io, time::Duration};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use rustls::crypto::hmac::Tag;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::{
    flight::{Answer, FINISHED},
    meeting::Meeting,
    relay,
    schedule::TrafficSecrets,
};
use crate::{
    BoxStream, Cause,
    io::codec_stream::CodecStream,
    security::tls::{
        TlsStream,
        records::{
            ALERT, BAD_RECORD_MAC, DATA, DECRYPT_ERROR, Edition, FATAL, HANDSHAKE, HEADER, Half, Records,
            UNEXPECTED_MESSAGE, record_header,
        },
    },
};

/// How long a client may take for its Finished. Websites wait for a minute or less.
const PATIENCE: Duration = Duration::from_secs(60);

/// A record of a client's handshake is short: a Finished has 69 bytes at most.
const LONGEST: usize = 512;

/// The whole record (RFC 8446 §5); a client usually sends one.
pub(super) const CHANGE_CIPHER_SPEC: [u8; 6] = [20, 3, 3, 0, 1, 1];

/// What a client's record was.
enum Heard {
    /// Not whole yet.
    Part,
    /// Of no importance.
    Nothing,
    /// The right Finished.
    Finished,
    /// What ends the connection, with this alert unless the client has sent one.
    Wrong(Option<u8>),
}

/// A handshake whose answer has been made.
pub(super) struct Finishing {
    client: BoxStream,
    site: BoxStream,
    ours: Half,
    theirs: Half,
    finished: Tag,
    secrets: TrafficSecrets,
    /// What the client has said and nobody has read.
    said: Vec<u8>,
    /// What the site has said behind its answer and was not imitated.
    held: Vec<u8>,
    /// How many more records of ChangeCipherSpec may come.
    changes: usize,
    /// How many records of the site were imitated behind its answer.
    imitated: usize,
}

impl Finishing {
    /// Sends the answer and waits for the client's Finished, over so many records of ChangeCipherSpec at most; `None` when something else
    /// comes, which was answered then.
    ///
    /// # Errors
    /// Of both connections, and [`io::ErrorKind::TimedOut`].
    pub(super) async fn run(meeting: Meeting, answer: Answer, changes: usize) -> io::Result<Option<Self>> {
        let Meeting { client, site, held } = meeting;
        let Answer { wire, ours, theirs, finished, secrets } = answer;
        let (said, imitated) = (Vec::new(), 0);
        let mut this = Self { client, site, ours, theirs, finished, secrets, said, held, changes, imitated };
        let result =
            timeout(PATIENCE, this.exchange(wire)).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        relay::pass_on(&result, &this.client, &this.site);
        Ok(result?.then_some(this))
    }

    async fn exchange(&mut self, mut wire: Vec<u8>) -> io::Result<bool> {
        loop {
            self.imitate(&mut wire)?;
            self.send(&mut wire).await?;
            match self.hear() {
                Heard::Nothing => continue,
                Heard::Finished => return Ok(true),
                Heard::Wrong(alert) => return self.refuse(alert).await,
                Heard::Part => {}
            }
            tokio::select! {
                read = self.client.read_buf(&mut self.said) => if read? == 0 { return Ok(false) },
                read = self.site.read_buf(&mut self.held) => if read? == 0 { return self.refuse(None).await },
            }
        }
    }

    /// Appends to `wire` records as long as those that the site has sent behind its answer.
    fn imitate(&mut self, wire: &mut Vec<u8>) -> Result<(), Cause> {
        let mut used = 0;
        while let Some(length) = whole_record(self.held.get(used..).unwrap_or_default()) {
            self.ours.seal_padded(DATA, &[], length, wire)?;
            self.imitated += 1;
            used += length;
        }
        self.held.drain(..used);
        Ok(())
    }

    async fn send(&mut self, wire: &mut Vec<u8>) -> io::Result<()> {
        if !wire.is_empty() {
            self.client.write_all(wire).await?;
            self.client.flush().await?;
            wire.clear();
        }
        Ok(())
    }

    /// Takes the client's next record.
    fn hear(&mut self) -> Heard {
        let Some((kind, length)) = record_header(&self.said) else { return Heard::Part };
        if length > LONGEST {
            return Heard::Wrong(Some(UNEXPECTED_MESSAGE));
        }
        let Some(record) = self.said.get_mut(..length) else { return Heard::Part };
        let heard = match kind {
            _ if *record == CHANGE_CIPHER_SPEC && self.changes > 0 => {
                self.changes -= 1;
                Heard::Nothing
            }
            DATA => match self.theirs.open(record, None) {
                Some(text) => self.judge(text.kind, self.said.get(HEADER..HEADER + text.length).unwrap_or_default()),
                None => Heard::Wrong(Some(BAD_RECORD_MAC)),
            },
            ALERT => Heard::Wrong(None),
            _ => Heard::Wrong(Some(UNEXPECTED_MESSAGE)),
        };
        self.said.drain(..length);
        heard
    }

    fn judge(&self, kind: u8, text: &[u8]) -> Heard {
        match (kind, text) {
            (HANDSHAKE, [FINISHED, 0, 0, length, said @ ..]) if usize::from(*length) == said.len() => {
                match verify_slices_are_equal(said, self.finished.as_ref()) {
                    Ok(()) => Heard::Finished,
                    Err(_) => Heard::Wrong(Some(DECRYPT_ERROR)),
                }
            }
            (ALERT, _) => Heard::Wrong(None),
            _ => Heard::Wrong(Some(UNEXPECTED_MESSAGE)),
        }
    }

    /// Ends our side as a site would.
    async fn refuse(&mut self, alert: Option<u8>) -> io::Result<bool> {
        let mut wire = Vec::new();
        if let Some(alert) = alert {
            self.ours.seal(ALERT, &[FATAL, alert], &mut wire)?;
        }
        self.send(&mut wire).await?;
        self.client.shutdown().await?;
        Ok(false)
    }

    /// The stream to the client. `after` has the lengths of the records that the site sends behind its answer; those that were imitated
    /// already are not sent again. The connection to the site ends.
    ///
    /// # Errors
    /// Of the client's connection.
    pub(super) async fn into_stream(mut self, after: &[usize]) -> io::Result<TlsStream> {
        let mut wire = Vec::new();
        for length in after.iter().skip(self.imitated) {
            self.ours.seal_padded(DATA, &[], *length, &mut wire)?;
        }
        self.send(&mut wire).await?;
        let halves = (self.ours, self.secrets.client_half()?);
        let limit = self.secrets.record_limit();
        let records = Records::with(Edition::Tls13, halves, limit, Box::new(self.secrets), false);
        Ok(CodecStream::underway(self.client, records, self.said))
    }
}

/// The length of the record that `bytes` begin with, if it is whole, its header included.
pub(super) fn whole_record(bytes: &[u8]) -> Option<usize> {
    record_header(bytes).map(|(_, length)| length).filter(|length| *length <= bytes.len())
}
