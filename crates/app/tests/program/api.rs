//! The client of the API that all tests share; it checks every answer against the OpenAPI document.

#[path = "../../../api/src/tests/contract.rs"]
mod contract;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::LazyLock,
};

use contract::{Contract, Seen};

use crate::harness::PATIENCE;

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::new(&hezar_api::openapi_json()));

/// One request to the API: the status and the body.
pub(crate) fn ask(address: SocketAddr, token: &str, method: &str, path: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n"
    )
    .unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let content_type = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
    let seen = Seen { method, path, status, content_type, body: body.as_bytes() };
    if let Err(wrong) = CONTRACT.check(&seen) {
        panic!("{method} {path} answers {status} {content_type} against the OpenAPI document: {wrong}: {body:.500}");
    }
    (status, body.to_owned())
}
