//! The control connection against a client that is played by the test.

use std::collections::VecDeque;

use tokio::net::TcpListener;

use super::*;

const ANY_COOKIE: [u8; COOKIE] = [7; COOKIE];

/// A client that wants this cookie and answers the commands after the login with these texts, one after the other.
async fn client(cookie_file: String, answers: Vec<&'static str>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let (mut answers, mut expected) = (VecDeque::from(answers), String::new());
        let mut line = String::new();
        while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let answer = match words[..] {
                ["PROTOCOLINFO", _] => format!(
                    "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=COOKIE,SAFECOOKIE COOKIEFILE={}\r\n250 OK\r\n",
                    quoted(&cookie_file)
                ),
                ["AUTHCHALLENGE", "SAFECOOKIE", nonce] => {
                    let message = [&ANY_COOKIE[..], &hex::decode(nonce).unwrap(), &[9; 32]].concat();
                    let sign = |key| hex::encode_upper(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &message));
                    expected = sign(CLIENT_KEY);
                    format!(
                        "250 AUTHCHALLENGE SERVERHASH={} SERVERNONCE={}\r\n",
                        sign(SERVER_KEY),
                        hex::encode([9; 32])
                    )
                }
                ["AUTHENTICATE", proof] if proof == expected => "250 OK\r\n".to_owned(),
                ["AUTHENTICATE", ..] => "515 no\r\n".to_owned(),
                _ => match answers.pop_front() {
                    Some(answer) => answer.to_owned(),
                    None => return,
                },
            };
            stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
            line.clear();
        }
    });
    address
}

fn cookie_file(bytes: &[u8]) -> (tempfile::NamedTempFile, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let name = file.path().display().to_string();
    (file, name)
}

#[tokio::test]
async fn it_logs_in_with_the_cookie_and_asks() {
    let (_file, name) = cookie_file(&ANY_COOKIE);
    let answers = vec![
        "650 CIRC 5 BUILT\r\n250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=45 TAG=x SUMMARY=\"y\"\r\n250 OK\r\n",
        "250-net/listeners/socks=\"127.0.0.1:9150\" \"unix:/x\"\r\n250 OK\r\n",
        "250 __OwningControllerProcess=42\r\n",
        "552 Unrecognized key\r\n",
        "551 Internal error\r\n",
    ];
    let mut connection = ControlConnection::open(client(name, answers).await, None).await.unwrap();
    assert_eq!(connection.bootstrap().await.unwrap().percent, 45);
    assert_eq!(connection.socks_address().await.unwrap(), Some("127.0.0.1:9150".parse().unwrap()));
    assert_eq!(connection.owner().await.unwrap(), Some(42));
    assert_eq!(connection.relay("AAAA").await.unwrap(), None);
    assert!(matches!(connection.set_owner(1).await, Err(TorError::Refused { status: 551, .. })));
    // The client closes the connection.
    assert!(matches!(connection.circuits().await, Err(TorError::Connection(_))));
    assert!(connection.circuits().await.is_err());
}

#[tokio::test]
async fn a_file_that_is_no_cookie_is_not_told() {
    for bytes in [&b"short"[..], &[7; 33]] {
        let (_file, name) = cookie_file(bytes);
        let error = ControlConnection::open(client(name, Vec::new()).await, None).await.unwrap_err();
        assert!(matches!(error, TorError::Login(_)), "{error}");
    }
    // A client that does not know the cookie learns nothing about it.
    let (_file, name) = cookie_file(&[8; COOKIE]);
    let error = ControlConnection::open(client(name, Vec::new()).await, None).await.unwrap_err();
    assert!(matches!(error, TorError::Login("it does not know its own cookie")), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let address = client(String::new(), Vec::new()).await;
    let error = ControlConnection::open(address, Some(&"x".into())).await.unwrap_err();
    assert!(matches!(error, TorError::Refused { status: 515, .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = ControlConnection::open(listener.local_addr().unwrap(), None).await.unwrap_err();
    assert!(matches!(error, TorError::Timeout), "{error}");
}
