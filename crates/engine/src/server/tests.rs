//! The server halves through their one face.

use hezar_core::Target;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::{
    CredentialId, CurrentKeyring, InboundKey, InboundRequest, InboundServer, InboundSettings, Keyring, KeyringKind,
    Opening, ServerProtocol, ServerSecurity, ServerTransport,
};

#[tokio::test]
async fn a_request_of_trojan_is_read() {
    let settings = InboundSettings {
        protocol: ServerProtocol::Trojan,
        transport: ServerTransport::Tcp,
        security: ServerSecurity::None,
    };
    let server = InboundServer::new(settings);
    let keyring = Keyring::new(KeyringKind::Trojan, [(CredentialId(3), InboundKey::new(*b"password"))]);
    let keyring = CurrentKeyring::from(keyring);
    let (ours, mut theirs) = duplex(1024);
    let request =
        b"d63dc919e201d7bc4c825630d2cf25fdc93d4b2f0d46706d29038d01\r\n\x01\x03\x0bexample.com\x01\xbb\r\nhello";
    theirs.write_all(request).await.unwrap();
    theirs.shutdown().await.unwrap();
    let Opening::Request(InboundRequest::Stream(mut request)) = server.accept(Box::new(ours), &keyring).await.unwrap()
    else {
        panic!("no request");
    };
    assert_eq!((request.credential, request.target), (CredentialId(3), Target::parse("example.com:443").unwrap()));
    let mut rest = String::new();
    request.stream.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "hello");
}
