//! A connection to the control port of a Tor client: logs in, and asks one thing after the other.

mod status;
mod wire;

use std::{
    fs,
    io::Read,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use aws_lc_rs::hmac;
use hezar_core::Secret;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

pub use status::{Bootstrap, Circuit, ExitRelay};
use wire::{LONGEST_REPLY, Reply, ReplyDecoder, quoted, value_of, words};

use crate::TorError;

/// How long one command may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest line that is read.
const LONGEST_LINE: u64 = LONGEST_REPLY as u64;
/// A cookie is exactly so long, in bytes (control-spec).
const COOKIE: usize = 32;
/// The keys of the two hashes of SAFECOOKIE (control-spec, AUTHCHALLENGE).
const SERVER_KEY: &[u8] = b"Tor safe cookie authentication server-to-controller hash";
const CLIENT_KEY: &[u8] = b"Tor safe cookie authentication controller-to-server hash";

/// A connection on which we are logged in.
#[derive(Debug)]
pub struct ControlConnection {
    stream: BufReader<TcpStream>,
    /// A command was given up in the middle: what comes next is not the answer to the next one.
    broken: bool,
}

impl ControlConnection {
    /// Connects and logs in: with the password when there is one, else with the cookie that the client names, without telling it
    /// (SAFECOOKIE), else without anything.
    ///
    /// # Errors
    /// [`TorError`].
    pub async fn open(address: SocketAddr, password: Option<&Secret>) -> Result<Self, TorError> {
        let connecting = timeout(PATIENCE, TcpStream::connect(address)).await;
        let stream = connecting.map_err(|_| TorError::Timeout)??;
        let mut connection = Self { stream: BufReader::new(stream), broken: false };
        connection.log_in(password).await?;
        Ok(connection)
    }

    async fn log_in(&mut self, password: Option<&Secret>) -> Result<(), TorError> {
        if let Some(password) = password {
            let text = password.expose();
            if text.contains(char::is_control) {
                return Err(TorError::Login("the password has a control character"));
            }
            self.command(&format!("AUTHENTICATE {}", quoted(text))).await?;
            return Ok(());
        }
        let reply = self.command("PROTOCOLINFO 1").await?;
        let line = reply.lines.iter().find_map(|line| line.strip_prefix("AUTH "));
        let words = words(line.ok_or(TorError::Malformed("no line AUTH"))?);
        let methods: Vec<&str> = value_of(&words, "METHODS").unwrap_or_default().split(',').collect();
        if methods.contains(&"NULL") {
            self.command("AUTHENTICATE").await?;
            return Ok(());
        }
        if !methods.contains(&"SAFECOOKIE") {
            return Err(TorError::Login("it asks for a password: set tor_password"));
        }
        let file = value_of(&words, "COOKIEFILE").ok_or(TorError::Login("it names no cookie file"))?;
        self.log_in_with(&cookie(file)?).await
    }

    async fn log_in_with(&mut self, cookie: &[u8; COOKIE]) -> Result<(), TorError> {
        let nonce: [u8; COOKIE] = rand::random();
        let reply = self.command(&format!("AUTHCHALLENGE SAFECOOKIE {}", hex::encode_upper(nonce))).await?;
        let words = words(reply.lines.first().map(String::as_str).unwrap_or_default());
        let bytes = |key| value_of(&words, key).and_then(|text| hex::decode(text).ok());
        let (Some(hash), Some(theirs)) = (bytes("SERVERHASH"), bytes("SERVERNONCE")) else {
            return Err(TorError::Malformed("no challenge"));
        };
        let message = [&cookie[..], &nonce[..], &theirs[..]].concat();
        let server = hmac::Key::new(hmac::HMAC_SHA256, SERVER_KEY);
        hmac::verify(&server, &message, &hash).map_err(|_| TorError::Login("it does not know its own cookie"))?;
        let proof = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, CLIENT_KEY), &message);
        self.command(&format!("AUTHENTICATE {}", hex::encode_upper(proof))).await?;
        Ok(())
    }

    /// How far the start of the client is.
    ///
    /// # Errors
    /// [`TorError`].
    pub async fn bootstrap(&mut self) -> Result<Bootstrap, TorError> {
        let text = self.info("status/bootstrap-phase").await?;
        Bootstrap::read(&text).ok_or(TorError::Malformed("the start is not described"))
    }

    /// The built circuits that carry the streams of users of SOCKS.
    ///
    /// # Errors
    /// [`TorError`].
    pub async fn circuits(&mut self) -> Result<Vec<Circuit>, TorError> {
        Ok(Circuit::read_all(&self.info("circuit-status").await?))
    }

    /// Where the client listens for SOCKS over TCP; `None` when it does not.
    ///
    /// # Errors
    /// [`TorError`].
    pub async fn socks_address(&mut self) -> Result<Option<SocketAddr>, TorError> {
        let text = self.info("net/listeners/socks").await?;
        Ok(words(&text).iter().find_map(|word| word.parse().ok()))
    }

    /// The address of a relay and, where the client has a database of countries, its country.
    ///
    /// # Errors
    /// [`TorError`]; a relay that is not known any more has no address, which is none.
    pub async fn relay(&mut self, fingerprint: &str) -> Result<Option<(IpAddr, Option<[u8; 2]>)>, TorError> {
        let Some(entry) = known(self.info(&format!("ns/id/{fingerprint}")).await)? else { return Ok(None) };
        let Some(address) = status::address(&entry) else { return Ok(None) };
        let country = known(self.info(&format!("ip-to-country/{address}")).await)?;
        Ok(Some((address, country.as_deref().and_then(status::country))))
    }

    /// The process with which the client ends.
    ///
    /// # Errors
    /// [`TorError`].
    pub async fn owner(&mut self) -> Result<Option<u32>, TorError> {
        let reply = self.command("GETCONF __OwningControllerProcess").await?;
        Ok(reply.value("__OwningControllerProcess").and_then(|pid| pid.parse().ok()))
    }

    /// Lets the client end with this process.
    ///
    /// # Errors
    /// [`TorError`].
    pub async fn set_owner(&mut self, process: u32) -> Result<(), TorError> {
        self.command(&format!("SETCONF __OwningControllerProcess={process}")).await.map(drop)
    }

    /// Asks the client to end at once.
    ///
    /// # Errors
    /// [`TorError`]; a client that ends without an answer has done what it should.
    pub async fn halt(&mut self) -> Result<(), TorError> {
        match self.command("SIGNAL HALT").await {
            Ok(_) | Err(TorError::Connection(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn info(&mut self, key: &str) -> Result<String, TorError> {
        let reply = self.command(&format!("GETINFO {key}")).await?;
        reply.value(key).map(str::to_owned).ok_or(TorError::Malformed("an answer to another question"))
    }

    async fn command(&mut self, line: &str) -> Result<Reply, TorError> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(TorError::Timeout);
        }
        let reply = timeout(PATIENCE, self.exchange(line)).await.map_err(|_| TorError::Timeout)??;
        self.broken = false;
        if reply.status == 250 {
            return Ok(reply);
        }
        Err(TorError::Refused { status: reply.status, text: reply.lines.join(" ") })
    }

    async fn exchange(&mut self, line: &str) -> Result<Reply, TorError> {
        self.stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await?;
        let mut decoder = ReplyDecoder::default();
        loop {
            let mut bytes = Vec::new();
            (&mut self.stream).take(LONGEST_LINE).read_until(b'\n', &mut bytes).await?;
            if bytes.last() != Some(&b'\n') {
                let cut = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
                return Err(if bytes.len() as u64 == LONGEST_LINE {
                    TorError::Malformed("a line is too long")
                } else {
                    cut.into()
                });
            }
            let text = String::from_utf8_lossy(&bytes);
            if let Some(reply) = decoder.line(text.trim_end_matches(['\r', '\n']))? {
                return Ok(reply);
            }
        }
    }
}

/// An answer, or none when the client does not know what was asked about.
fn known(answer: Result<String, TorError>) -> Result<Option<String>, TorError> {
    match answer {
        Ok(text) => Ok(Some(text)),
        Err(TorError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The bytes of a cookie file; a file of another length is no cookie, and is not told to anybody.
fn cookie(file: &str) -> Result<[u8; COOKIE], TorError> {
    let mut bytes = Vec::new();
    let read = fs::File::open(file).and_then(|opened| opened.take(COOKIE as u64 + 1).read_to_end(&mut bytes));
    read.map_err(|_| TorError::Login("its cookie file cannot be read by this user"))?;
    bytes.try_into().map_err(|_| TorError::Login("its cookie file is no cookie"))
}

#[cfg(test)]
mod tests;
