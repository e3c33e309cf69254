//! The beginning of a connection: it is a relay to the site until a client has shown itself.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::{
    SiteConnector,
    client_hello::{ClientHello, HelloReader, Progress},
    relay::{pass_on, relay},
    site::{self, SiteAnswer, SiteFlight},
};
use crate::{BoxStream, served::StrangerReason};

/// How long a silent client waits before the site is dialled for it, so that its connection ends as it would end there.
const SILENCE: Duration = Duration::from_secs(5);
/// How long the site's answer to a client is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

const CHUNK: usize = 4096;

/// A client's connection and one to the site.
pub(super) struct Meeting {
    pub(super) client: BoxStream,
    pub(super) site: BoxStream,
    /// What the site has said and the client has not been told.
    pub(super) held: Vec<u8>,
}

impl Meeting {
    /// Waits for the client's first bytes and passes on what it says until its hello is whole; `None` when it ends without a byte.
    ///
    /// # Errors
    /// Of the client's connection, and of the site's.
    pub(super) async fn begin(
        mut client: BoxStream,
        site: &dyn SiteConnector,
    ) -> io::Result<Option<(Self, Result<ClientHello, StrangerReason>)>> {
        let mut first = Vec::with_capacity(CHUNK);
        if let Ok(read) = timeout(SILENCE, client.read_buf(&mut first)).await
            && read? == 0
        {
            return Ok(None);
        }
        let mut meeting = Self { client, site: site.connect().await?, held: Vec::new() };
        let hello = meeting.hear_hello(first).await;
        pass_on(&hello, &meeting.client, &meeting.site);
        Ok(Some((meeting, hello?)))
    }

    async fn hear_hello(&mut self, mut said: Vec<u8>) -> io::Result<Result<ClientHello, StrangerReason>> {
        let mut reader = HelloReader::default();
        loop {
            if !said.is_empty() {
                self.site.write_all(&said).await?;
                self.site.flush().await?;
            }
            match reader.take(&said) {
                Progress::More => {}
                Progress::Whole(hello) => return Ok(Ok(hello)),
                Progress::NotOne => return Ok(Err(StrangerReason::Protocol)),
            }
            said.clear();
            said.reserve(CHUNK);
            tokio::select! {
                read = self.client.read_buf(&mut said) => if read? == 0 {
                    return Ok(Err(StrangerReason::TooShort));
                },
                // It answers what is no hello, or gives the client up.
                read = self.site.read_buf(&mut self.held) => {
                    read?;
                    return Ok(Err(StrangerReason::Protocol));
                }
            }
        }
    }

    /// The site's answer to the hello, or why it cannot be imitated.
    ///
    /// # Errors
    /// Of the site's connection.
    pub(super) async fn hear_site(&mut self) -> io::Result<Result<SiteFlight, &'static str>> {
        let answer = async {
            loop {
                match site::read(&self.held) {
                    SiteAnswer::Whole(flight) => return Ok(Ok(flight)),
                    SiteAnswer::Other(why) => return Ok(Err(why)),
                    SiteAnswer::More => {}
                }
                self.held.reserve(CHUNK);
                if self.site.read_buf(&mut self.held).await? == 0 {
                    return Ok(Err("the site ends the connection"));
                }
            }
        };
        let answer = timeout(PATIENCE, answer).await.unwrap_or(Ok(Err("the site does not answer")));
        pass_on(&answer, &self.client, &self.site);
        answer
    }

    /// Goes on as a relay until the connection ends.
    pub(super) async fn relay(mut self) {
        let told = async {
            self.client.write_all(&self.held).await?;
            self.client.flush().await
        };
        if told.await.is_ok() {
            self.held = Vec::new();
            relay(self.client, self.site).await;
        }
    }
}
