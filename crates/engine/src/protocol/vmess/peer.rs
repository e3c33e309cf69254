//! A simple and slow VMess server for tests, written from the description of the protocol.

use aws_lc_rs::{
    aead::{AES_128_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey},
    cipher::{AES_128, DecryptingKey, DecryptionContext, UnboundCipherKey},
};
use hezar_core::Target;
use md5::{Digest, Md5};
use sha2::Sha256;
use shake::{ExtendableOutput, Shake128, Shake128Reader, Update, XofReader};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use uuid::Uuid;

use crate::protocol::{address::take_v2ray, contract::Served};

/// The nested key derivation, built from closures.
pub(super) fn kdf(key: &[u8], path: &[&[u8]]) -> Vec<u8> {
    type Hash = Box<dyn Fn(&[u8]) -> Vec<u8>>;
    fn hmac(hash: Hash, key: &[u8]) -> Hash {
        let mut block = key.to_vec();
        block.resize(64, 0);
        Box::new(move |message| {
            let pad = |byte: u8| block.iter().map(|b| b ^ byte).collect::<Vec<_>>();
            hash(&[pad(0x5c), hash(&[&pad(0x36), message].concat())].concat())
        })
    }
    let root: Hash = hmac(Box::new(|message| Sha256::digest(message).to_vec()), b"VMess AEAD KDF");
    path.iter().fold(root, |hash, element| hmac(hash, element))(key)
}

fn open(algorithm: &'static Algorithm, key: &[u8], nonce: &[u8], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let key = LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap());
    let mut bytes = sealed.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(&nonce[..12]).unwrap();
    key.open_in_place(nonce, Aad::from(aad), &mut bytes).ok()?;
    bytes.truncate(sealed.len() - 16);
    Some(bytes)
}

fn seal(algorithm: &'static Algorithm, key: &[u8], nonce: &[u8], plain: &[u8]) -> Vec<u8> {
    let key = LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap());
    let mut bytes = plain.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(&nonce[..12]).unwrap();
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut bytes).unwrap();
    bytes
}

/// One direction of a body, as the options and the cipher number of the request describe it.
struct Chunks {
    options: u8,
    cipher: u8,
    key: Vec<u8>,
    nonce: Vec<u8>,
    shake: Shake128Reader,
    number: u16,
}

impl Chunks {
    fn new(options: u8, cipher: u8, key: &[u8], nonce: &[u8]) -> Self {
        let mut shake = Shake128::default();
        shake.update(nonce);
        let key = if cipher == 4 {
            let first = Md5::digest(key);
            [first, Md5::digest(first)].concat()
        } else {
            key.to_vec()
        };
        Self { options, cipher, key, nonce: nonce.to_vec(), shake: shake.finalize_xof(), number: 0 }
    }

    fn next(&mut self) -> u16 {
        let mut bytes = [0; 2];
        self.shake.read(&mut bytes);
        u16::from_be_bytes(bytes)
    }

    fn algorithm(&self) -> Option<&'static Algorithm> {
        match self.cipher {
            3 => Some(&AES_128_GCM),
            4 => Some(&CHACHA20_POLY1305),
            _ => None,
        }
    }

    fn chunk_nonce(&mut self) -> Vec<u8> {
        let nonce = [&self.number.to_be_bytes()[..], &self.nonce[2..12]].concat();
        self.number = self.number.wrapping_add(1);
        nonce
    }

    fn masks(&mut self) -> (usize, u16) {
        let padding = if self.options & 8 != 0 { usize::from(self.next() % 64) } else { 0 };
        let mask = if self.options & 4 != 0 { self.next() } else { 0 };
        (padding, mask)
    }

    async fn read(&mut self, from: &mut (impl AsyncReadExt + Unpin)) -> Option<Vec<u8>> {
        let masked = from.read_u16().await.ok()?;
        let (padding, mask) = self.masks();
        let mut bytes = vec![0; usize::from(masked ^ mask)];
        assert!(bytes.len() <= 1 << 14, "a chunk of {} bytes", bytes.len());
        from.read_exact(&mut bytes).await.ok()?;
        bytes.truncate(bytes.len() - padding);
        let nonce = self.chunk_nonce();
        let Some(algorithm) = self.algorithm() else { return Some(bytes) };
        Some(open(algorithm, &self.key, &nonce, &[], &bytes).expect("a client's chunk opens"))
    }

    fn write(&mut self, payload: &[u8]) -> Vec<u8> {
        let (padding, mask) = self.masks();
        let nonce = self.chunk_nonce();
        let body = self.algorithm().map_or_else(|| payload.to_vec(), |a| seal(a, &self.key, &nonce, payload));
        let length = u16::try_from(body.len() + padding).unwrap() ^ mask;
        [&length.to_be_bytes()[..], &body, &vec![0xee; padding]].concat()
    }
}

/// Reads a request made for `id`, and serves its payload.
pub(super) async fn serve(id: Uuid, mut peer: DuplexStream) -> Served {
    let Request { command, target, opening, up, down } = accept(id, &mut peer).await;
    assert_eq!(command, 1);
    (target.unwrap(), relay(peer, opening, up, down))
}

/// Reads a request for datagrams made for `id`, and sends each back: chunks, or frames of mux.cool.
pub(super) async fn echo(id: Uuid, mut peer: DuplexStream) {
    let Request { command, target, opening, mut up, mut down } = accept(id, &mut peer).await;
    assert_eq!(command, if target.is_some() { 2 } else { 3 });
    let mut opening = Some(opening);
    while let Some(mut chunk) = up.read(&mut peer).await.filter(|chunk| !chunk.is_empty()) {
        if command == 3 {
            assert!(matches!(chunk[..7], [0, _, 0, 0, 1 | 2, 1, 2]), "{chunk:?}");
            chunk[4] = 2;
        }
        let mut bytes = opening.take().unwrap_or_default();
        bytes.extend(down.write(&chunk));
        if peer.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

struct Request {
    command: u8,
    target: Option<Target>,
    opening: Vec<u8>,
    up: Chunks,
    down: Chunks,
}

async fn accept(id: Uuid, peer: &mut DuplexStream) -> Request {
    let command_key = Md5::digest([id.as_bytes(), &b"c48619fe-8f02-49e0-b9e9-edf763e17e21"[..]].concat());
    let mut auth_id = [0; 16];
    peer.read_exact(&mut auth_id).await.unwrap();
    check_auth_id(&command_key, auth_id);

    let mut sealed_length = [0; 18];
    peer.read_exact(&mut sealed_length).await.unwrap();
    let mut nonce = [0; 8];
    peer.read_exact(&mut nonce).await.unwrap();
    let derived = |label: &[u8]| kdf(&command_key, &[label, &auth_id, &nonce]);
    let key = derived(b"VMess Header AEAD Key_Length");
    let iv = derived(b"VMess Header AEAD Nonce_Length");
    let length = open(&AES_128_GCM, &key[..16], &iv, &auth_id, &sealed_length).unwrap();
    let mut sealed = vec![0; usize::from(u16::from_be_bytes([length[0], length[1]])) + 16];
    peer.read_exact(&mut sealed).await.unwrap();
    let (key, iv) = (derived(b"VMess Header AEAD Key"), derived(b"VMess Header AEAD Nonce"));
    let header = open(&AES_128_GCM, &key[..16], &iv, &auth_id, &sealed).unwrap();
    let (target, options, cipher) = read_header(&header);
    let command = header[37];
    let (body_nonce, body_key, mark) = (&header[1..17], &header[17..33], header[33]);

    let answer_key = Sha256::digest(body_key)[..16].to_vec();
    let answer_nonce = Sha256::digest(body_nonce)[..16].to_vec();
    let labelled = |key: &[u8], label: &[u8]| kdf(key, &[label]);
    let answer_header = [mark, 0, 7, 3, 1, 2, 3];
    let mut opening = seal(
        &AES_128_GCM,
        &labelled(&answer_key, b"AEAD Resp Header Len Key")[..16],
        &labelled(&answer_nonce, b"AEAD Resp Header Len IV"),
        &[0, answer_header.len() as u8],
    );
    opening.extend(seal(
        &AES_128_GCM,
        &labelled(&answer_key, b"AEAD Resp Header Key")[..16],
        &labelled(&answer_nonce, b"AEAD Resp Header IV"),
        &answer_header,
    ));
    let up = Chunks::new(options, cipher, body_key, body_nonce);
    let down = Chunks::new(options, cipher, &answer_key, &answer_nonce);
    Request { command, target, opening, up, down }
}

fn check_auth_id(command_key: &[u8], mut auth_id: [u8; 16]) {
    let key = UnboundCipherKey::new(&AES_128, &kdf(command_key, &[b"AES Auth ID Encryption"])[..16]).unwrap();
    let plain = DecryptingKey::ecb(key).unwrap().decrypt(&mut auth_id, DecryptionContext::None).unwrap();
    assert_eq!(crc32fast::hash(&plain[..12]).to_be_bytes(), plain[12..16]);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!(now.abs_diff(u64::from_be_bytes(plain[..8].try_into().unwrap())) < 120);
}

fn read_header(header: &[u8]) -> (Option<Target>, u8, u8) {
    assert_eq!((header[0], header[36]), (1, 0));
    let (target, length) = match header[37] {
        3 => (None, 0),
        _ => take_v2ray(&header[38..]).unwrap().unwrap(),
    };
    let padding = usize::from(header[35] >> 4);
    let (body, sum) = header.split_at(38 + length + padding);
    assert_eq!(super::wire::fnv1a(body).to_be_bytes(), sum);
    (target, header[34], header[35] & 15)
}

fn relay(peer: DuplexStream, opening: Vec<u8>, mut up: Chunks, mut down: Chunks) -> DuplexStream {
    let (app, inner) = duplex(16 * 1024);
    let (mut peer_reader, mut peer_writer) = split(peer);
    let (mut app_reader, mut app_writer) = split(inner);
    let chunked = up.options & 1 != 0;
    tokio::spawn(async move {
        if !chunked {
            let _ = tokio::io::copy(&mut peer_reader, &mut app_writer).await;
        } else {
            while let Some(chunk) = up.read(&mut peer_reader).await.filter(|chunk| !chunk.is_empty()) {
                if app_writer.write_all(&chunk).await.is_err() {
                    return;
                }
            }
        }
        let _ = app_writer.shutdown().await;
        // Reading on keeps the connection open until the client closes it.
        let _ = peer_reader.read_u8().await;
    });
    tokio::spawn(async move {
        let mut opening = Some(opening);
        let mut buffer = vec![0; 30_000];
        loop {
            let Ok(read) = app_reader.read(&mut buffer).await else { return };
            let mut bytes = opening.take().unwrap_or_default();
            if chunked {
                bytes.extend(down.write(&buffer[..read]));
            } else {
                bytes.extend(&buffer[..read]);
            }
            if peer_writer.write_all(&bytes).await.is_err() {
                return;
            }
            if read == 0 {
                let _ = peer_writer.shutdown().await;
                return;
            }
        }
    });
    app
}
