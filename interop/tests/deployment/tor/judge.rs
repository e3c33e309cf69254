//! A web server that tells every client the address that it comes from.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

/// Answers at an address for as long as the program runs: `/generate_204` with nothing, all else with a line `ip=…`.
pub(crate) fn start(address: Ipv4Addr) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let ip = stream.peer_addr().ok()?.ip();
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let first = lines.next()?.ok()?;
    // Until the head ends.
    lines.map_while(Result::ok).find(String::is_empty)?;
    let answer = if first.contains("/generate_204") {
        "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_owned()
    } else {
        let body = format!("ip={ip}\n");
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    };
    stream.write_all(answer.as_bytes()).ok()
}
