//! Feeds the inbounds whose connections carry many requests, gRPC and XHTTP, with a client's bytes.

use hezar_engine::server::{InboundRequest, Opening, ServerTransport, ServerXhttp, SessionItem};

use crate::{
    inbound::{read, receive, server},
    outbound::{Scripted, block_on, put_frame},
};

/// What a client of HTTP/2 begins with, and its settings.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The head of a call (RFC 7541 B without an index): POST http://a/p/Tun, content-type application/grpc.
const CALL: &[u8] = b"\x83\x86\x01\x01a\x04\x06/p/Tun\x0f\x10\x10application/grpc";

/// gRPC messages with VLESS in them. The first byte is the size of the pieces, the second that of HTTP/2's frames.
pub(crate) fn grpc(data: &[u8]) {
    let [piece, size, bytes @ ..] = data else { return };
    let mut said = HTTP2.to_vec();
    put_frame(&mut said, 1, 4, CALL);
    for piece in bytes.chunks(usize::from(*size) + 1) {
        put_frame(&mut said, 0, 0, piece);
    }
    put_frame(&mut said, 0, 1, &[]);
    serve(ServerTransport::Grpc("p".into()), said, *piece);
}

/// Frames of HTTP/2. The first byte is the size of the pieces.
pub(crate) fn http2(data: &[u8]) {
    let [piece, bytes @ ..] = data else { return };
    serve(xhttp_at_p(), [HTTP2, bytes].concat(), *piece);
}

/// Requests of XHTTP over HTTP/1.1. The first byte is the size of the pieces.
pub(crate) fn xhttp(data: &[u8]) {
    let [piece, bytes @ ..] = data else { return };
    let padding = "X".repeat(100);
    let head = |method, path| format!("{method} {path} HTTP/1.1\r\nReferer: /?x_padding={padding}\r\n");
    // The bytes as the end of a piece's head and what follows it, as a whole upload, and as a connection.
    for front in [head("POST", "/p/S/0"), head("POST", "/p/") + "Transfer-Encoding: chunked\r\n\r\n", String::new()] {
        serve(xhttp_at_p(), [front.as_bytes(), bytes].concat(), *piece);
    }
}

fn xhttp_at_p() -> ServerTransport {
    ServerTransport::Xhttp(ServerXhttp { path: "/p".into(), host: None })
}

/// Serves a connection that says these bytes, and reads all of its requests.
fn serve(transport: ServerTransport, bytes: Vec<u8>, piece: u8) {
    let (server, keyring) = server(transport);
    let client = Scripted { bytes: bytes.into(), piece: usize::from(piece) + 1 };
    block_on(async move {
        let Ok(Opening::Session(mut session)) = server.accept(client.stream(), &keyring).await else { return };
        while let Some(item) = session.next().await {
            match item {
                SessionItem::Request(InboundRequest::Stream(mut request)) => {
                    tokio::spawn(async move { read(&mut request.stream).await });
                }
                SessionItem::Request(InboundRequest::Datagrams(request)) => {
                    tokio::spawn(async move { receive(&request.datagram).await });
                }
                // Its connection goes on without an answer.
                SessionItem::Web(_) | SessionItem::Stranger(_) => {}
            }
        }
    });
}
