//! A server on loopback that takes what an instance posts.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::mpsc::{Receiver, channel},
};

use crate::harness::PATIENCE;

/// Takes requests until the test ends; sends on the head in lower case, and the body.
pub(crate) fn receiver() -> (SocketAddr, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (told, heard) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut text = Vec::new();
            while !is_whole(&text) {
                let mut part = [0; 4096];
                let count = stream.read(&mut part).unwrap();
                assert_ne!(count, 0, "the request has no end");
                text.extend_from_slice(&part[..count]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            if told.send(split(&text)).is_err() {
                return;
            }
        }
    });
    (address, heard)
}

fn split(text: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    (head.to_lowercase(), body.to_owned())
}

fn is_whole(text: &[u8]) -> bool {
    let (head, body) = split(text);
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}
