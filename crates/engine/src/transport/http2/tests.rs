//! Tests of the HTTP/2 transport: the request, both directions, refusals.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;
use hezar_core::{Host, Http2, Target};
use http::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Http2Client;
use crate::{Attempt, Cause, budget::ConnectionBudget, security::Secure, security::SecureConnector, testing::Many};

fn client(path: &str, hosts: &[&str], sni: Option<&str>) -> Http2Client {
    let settings = Http2 { path: path.into(), hosts: hosts.iter().map(|host| Box::from(*host)).collect() };
    Http2Client::new(&settings, sni, &Host::new("2001:db8::1").unwrap(), true, ConnectionBudget::default()).unwrap()
}

#[test]
fn the_authority_has_an_order_of_choice() {
    let uris = |client: Http2Client| client.requests.iter().map(|r| r.uri().to_string()).collect::<HashSet<_>>();
    let one = |uri: &str| HashSet::from([uri.to_owned()]);
    assert_eq!(uris(client("", &[], None)), one("https://[2001:db8::1]/"));
    assert_eq!(uris(client("a b", &[], Some("sni.example"))), one("https://sni.example/a%20b"));
    assert_eq!(uris(client("/x", &["bad host"], Some("sni.example"))), one("https://sni.example/x"));
    assert_eq!(uris(client("/x", &["a.example", "b.example"], None)).len(), 2);
}

#[tokio::test]
async fn both_directions_and_a_refusal() {
    for status in [200, 404] {
        let (dialer, mut peers) = Many::new(3, 50);
        let connector =
            SecureConnector::new(Target::parse("node.example:443").unwrap(), Arc::new(dialer), Secure::Nothing);
        let client = client("/x", &["a.example"], None);
        let mut stream = client.open(&connector, &Attempt::within(Duration::from_secs(60))).await.unwrap();
        let peer = peers.try_recv().unwrap();
        let server = tokio::spawn(async move {
            let mut wire = h2::server::handshake(peer).await.unwrap();
            let (request, mut respond) = wire.accept().await.unwrap().unwrap();
            assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("PUT", "https://a.example/x"));
            let response = Response::builder().status(status).body(()).unwrap();
            let mut sending = respond.send_response(response, false).unwrap();
            sending.send_data(Bytes::from_static(b"hello"), true).unwrap();
            drop((request, respond, sending));
            while wire.accept().await.is_some() {}
        });
        let mut got = Vec::new();
        let result = stream.read_to_end(&mut got).await;
        if status == 200 {
            result.unwrap();
            assert_eq!(got, b"hello");
            // The server has heard enough: writing fails, sooner or later, and never hangs.
            for _ in 0..100 {
                if stream.write_all(b"more").await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        } else {
            assert_eq!(Cause::from(result.unwrap_err()).code(), "transport-status");
        }
        drop((stream, client, connector));
        server.await.unwrap();
    }
}
