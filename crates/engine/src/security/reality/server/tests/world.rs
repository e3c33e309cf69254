//! A REALITY server in front of sites that do what a test says.

use std::{io, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_lc_rs::agreement::{PrivateKey, X25519};
use hezar_core::{Host, Reality, ShortId};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::super::{
    RealityAccepted, RealityServer, RealitySettings, SiteConnector,
    client_hello::{ClientHello, HelloReader, Progress},
};
use crate::{
    Attempt, BoxStream, TlsClients,
    io::read_through::ReadThrough,
    security::{reality::RealityClient, tap::Tap},
    testing::reality,
};

pub(in crate::security::reality) const SHORT_ID: [u8; 8] = [0xab, 0xcd, 0, 0, 0, 0, 0, 0];
pub(in crate::security::reality) const NAME: &str = "site.example";

/// A site whose connections are served by a function.
pub(in crate::security::reality) struct TestSite<F>(pub(in crate::security::reality) F);

#[async_trait]
impl<F, R> SiteConnector for TestSite<F>
where
    F: Fn(DuplexStream) -> R + Send + Sync,
    R: Future<Output = ()> + Send + 'static,
{
    async fn connect(&self) -> io::Result<BoxStream> {
        let (ours, theirs) = duplex(1 << 18);
        tokio::spawn((self.0)(theirs));
        Ok(Box::new(ours))
    }
}

/// A server and its public key.
pub(in crate::security::reality) struct World {
    pub(in crate::security::reality) server: Arc<RealityServer>,
    pub(in crate::security::reality) public_key: [u8; 32],
}

pub(in crate::security::reality) fn attempt() -> Attempt {
    Attempt::within(Duration::from_secs(3600))
}

impl World {
    pub(in crate::security::reality) fn new(site: impl SiteConnector + 'static) -> Self {
        let private_key: [u8; 32] = rand::random();
        let key = PrivateKey::from_private_key(&X25519, &private_key).unwrap();
        let public_key = key.compute_public_key().unwrap().as_ref().try_into().unwrap();
        let settings = RealitySettings {
            private_key,
            short_ids: vec![ShortId::new(&SHORT_ID[..2]).unwrap()],
            server_names: vec![NAME.into(), "Other.Example".into()],
            max_clock_difference: Duration::from_secs(60),
        };
        Self { server: RealityServer::new(settings, Arc::new(site)).unwrap(), public_key }
    }

    /// What a client of it has in its link.
    pub(in crate::security::reality) fn settings(&self) -> Reality {
        Reality {
            server_name: Some(NAME.into()),
            public_key: self.public_key,
            short_id: ShortId::new(&SHORT_ID[..2]).unwrap(),
            spider_x: Some("/start".into()),
            ..reality()
        }
    }

    /// A connection: our end, and what the server makes of the other one.
    pub(super) fn connect(&self) -> (DuplexStream, impl Future<Output = io::Result<RealityAccepted>> + use<>) {
        let (ours, theirs) = duplex(1 << 16);
        let server = Arc::clone(&self.server);
        (ours, async move { server.accept(Box::new(theirs)).await })
    }

    /// A client's whole connection, over which one word is echoed. Returns what it heard on the wire.
    pub(super) async fn talk(&self, client: &RealityClient) -> Vec<u8> {
        let (ours, accepted) = self.connect();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let attempt = attempt();
        let talk = async {
            let tapped = ReadThrough { reader: Tap(Arc::clone(&heard)), inner: ours };
            let mut stream = client.wrap(Box::new(tapped), &attempt).await.unwrap();
            stream.write_all(b"ping").await.unwrap();
            stream.flush().await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, b"ping");
        };
        tokio::join!(talk, async { echo(accepted.await.unwrap()).await });
        std::mem::take(&mut *heard.lock())
    }
}

pub(super) fn client(settings: &Reality) -> RealityClient {
    RealityClient::new(settings, &Host::new("192.0.2.1").unwrap(), &TlsClients::new(&[])).unwrap()
}

/// Echoes one word to a client and ends; a stranger talks to the site.
pub(in crate::security::reality) async fn echo(accepted: RealityAccepted) {
    match accepted {
        RealityAccepted::Client(mut stream) => {
            let mut word = [0; 4];
            stream.read_exact(&mut word).await.unwrap();
            stream.write_all(&word).await.unwrap();
            stream.shutdown().await.unwrap();
        }
        RealityAccepted::Stranger(relay) => relay.run.await,
        RealityAccepted::Over => {}
    }
}

/// How a site that is written down answers a hello.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) suite: u16,
    pub(super) group: u16,
    /// The lengths of the encrypted records, headers included; those after the first or the fourth are more than an answer.
    pub(super) lengths: Vec<usize>,
}

/// What a site of this kind sends: nobody but its own client can open the records.
pub(super) fn answer(hello: &ClientHello, script: &Script) -> Vec<u8> {
    let share = match script.group {
        0x11ec => [&[5; 1088][..], &[9; 32]].concat(),
        _ => vec![9; 32],
    };
    let mut shared = script.group.to_be_bytes().to_vec();
    shared.extend_from_slice(&(share.len() as u16).to_be_bytes());
    shared.extend_from_slice(&share);
    // The order of OpenSSL.
    let extensions = [&[0, 43, 0, 2, 3, 4, 0, 51][..], &(shared.len() as u16).to_be_bytes(), &shared].concat();
    let body = [
        &[3, 3][..],
        &[0x5a; 32],
        &[32],
        hello.session_id().unwrap(),
        &script.suite.to_be_bytes(),
        &[0],
        &(extensions.len() as u16).to_be_bytes(),
        &extensions,
    ]
    .concat();
    let message = [&[2, 0][..], &(body.len() as u16).to_be_bytes(), &body].concat();
    let mut bytes = record(22, &message);
    bytes.extend_from_slice(&record(20, &[1]));
    for length in &script.lengths {
        bytes.extend_from_slice(&record(23, &vec![0x77; length - 5]));
    }
    bytes
}

pub(super) fn record(kind: u8, text: &[u8]) -> Vec<u8> {
    let [high, low] = (text.len() as u16).to_be_bytes();
    [&[kind, 3, 3, high, low], text].concat()
}

/// Reads a whole hello.
pub(super) async fn hear_hello(io: &mut DuplexStream) -> Option<ClientHello> {
    let mut reader = HelloReader::default();
    let mut bytes = vec![0; 4096];
    loop {
        let length = io.read(&mut bytes).await.ok().filter(|length| *length > 0)?;
        match reader.take(&bytes[..length]) {
            Progress::More => {}
            Progress::Whole(hello) => return Some(hello),
            Progress::NotOne => return None,
        }
    }
}

/// The bytes of a client's hello.
pub(super) async fn hello_of(settings: &Reality) -> Vec<u8> {
    let (ours, mut theirs) = duplex(1 << 16);
    let (client, attempt) = (client(settings), attempt());
    let hear = async {
        let mut bytes = Vec::new();
        while !matches!(HelloReader::default().take(&bytes), Progress::Whole(_)) {
            theirs.read_buf(&mut bytes).await.unwrap();
        }
        bytes
    };
    tokio::select! {
        _ = client.wrap(Box::new(ours), &attempt) => panic!("nobody has answered"),
        bytes = hear => bytes,
    }
}

/// The hello that `bytes` are.
pub(super) fn whole(bytes: &[u8]) -> ClientHello {
    let Progress::Whole(hello) = HelloReader::default().take(bytes) else { panic!("no hello") };
    hello
}

/// A site that answers every hello by a script and then says nothing more.
pub(super) fn scripted(script: Script) -> impl SiteConnector {
    TestSite(move |mut io: DuplexStream| {
        let script = script.clone();
        async move {
            let Some(hello) = hear_hello(&mut io).await else { return };
            if io.write_all(&answer(&hello, &script)).await.is_ok() {
                let _ = io.read_to_end(&mut Vec::new()).await;
            }
        }
    })
}

/// The records that `bytes` consist of.
pub(super) fn records(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let length = 5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
        let (record, rest) = bytes.split_at(length);
        records.push(record);
        bytes = rest;
    }
    records
}
