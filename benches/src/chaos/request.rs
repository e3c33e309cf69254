//! One request of each shape, and whether its answer is right to the last byte.

use anyhow::{Context, bail, ensure};
use hezar_lab::{DEMO_HOST, SECURE_HOST};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use super::{Aim, Shape};

/// The most that an answer may have.
const MOST: u64 = 1 << 20;

pub(super) async fn ask(aim: &Aim, shape: Shape, number: u64) -> anyhow::Result<Option<u64>> {
    let mut stream = TcpStream::connect(aim.proxy).await.context("proxy")?;
    stream.set_nodelay(true)?;
    match shape {
        Shape::Http => get(&mut stream, &format!("http://{DEMO_HOST}/"), DEMO_HOST).await,
        Shape::Clear => {
            connect(&mut stream, DEMO_HOST, 80).await.context("connect")?;
            get(&mut stream, "/", DEMO_HOST).await
        }
        Shape::Https => {
            connect(&mut stream, SECURE_HOST, 443).await.context("connect")?;
            let mut stream = aim.tls.connect(SECURE_HOST.try_into()?, stream).await.context("tls")?;
            get(&mut stream, "/", SECURE_HOST).await
        }
        Shape::RawTls => {
            socks(&mut stream, SECURE_HOST, 7).await.context("socks")?;
            let mut stream = aim.tls.connect(SECURE_HOST.try_into()?, stream).await.context("tls")?;
            echo(&mut stream, number).await.context("echo").map(|()| None)
        }
        Shape::Download(mib) => {
            connect(&mut stream, DEMO_HOST, 80).await.context("connect")?;
            download(&mut stream, u64::from(mib) << 20).await.context("download").map(|()| None)
        }
    }
}

/// A GET; the target names the exit.
async fn get(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    path: &str,
    host: &str,
) -> anyhow::Result<Option<u64>> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.context("request")?;
    let mut answer = Vec::new();
    let read = stream.take(MOST).read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        read.context("answer")?;
        bail!("answer: it breaks off after {} bytes", answer.len());
    };
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.starts_with("HTTP/1.1 200"), "answer: {status} {}", body.lines().nth(1).unwrap_or_default());
    // A peer may leave out the end of TLS; the length tells whether the body is whole.
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    ensure!(length.is_none_or(|length: usize| length == body.len()), "answer: the body breaks off");
    let value: serde_json::Value = serde_json::from_str(body).context("answer: not the origin's")?;
    Ok(value.get("index").and_then(serde_json::Value::as_u64))
}

/// A GET of so many bytes, which are counted and forgotten.
async fn download(stream: &mut TcpStream, bytes: u64) -> anyhow::Result<()> {
    let request = format!("GET /bytes/{bytes} HTTP/1.1\r\nHost: {DEMO_HOST}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let head = read_head(stream).await?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{}", head.lines().next().unwrap_or_default());
    let mut buffer = vec![0; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let read = stream.read(&mut buffer).await?;
        ensure!(read > 0, "it breaks off with {left} bytes left");
        left = left.checked_sub(read as u64).context("more bytes came than were asked for")?;
    }
    Ok(())
}

async fn read_head(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < 16 * 1024, "an endless head");
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

pub(super) async fn connect(stream: &mut TcpStream, host: &str, port: u16) -> anyhow::Result<()> {
    let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let head = read_head(stream).await?;
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.split(' ').nth(1) == Some("200"), "{status}");
    Ok(())
}

async fn socks(stream: &mut TcpStream, host: &str, port: u16) -> anyhow::Result<()> {
    stream.write_all(&[5, 1, 0]).await?;
    let mut method = [0; 2];
    stream.read_exact(&mut method).await?;
    let mut request = vec![5, 1, 0, 3, u8::try_from(host.len())?];
    request.extend(host.bytes().chain(port.to_be_bytes()));
    stream.write_all(&request).await?;
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).await?;
    ensure!(reply[1] == 0, "reply {}", reply[1]);
    let rest = match reply[3] {
        1 => 6,
        4 => 18,
        _ => usize::from(stream.read_u8().await?) + 2,
    };
    stream.read_exact(&mut vec![0; rest]).await?;
    Ok(())
}

async fn echo(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), number: u64) -> anyhow::Result<()> {
    let sent = number.to_be_bytes().repeat(8);
    stream.write_all(&sent).await?;
    let mut back = vec![0; sent.len()];
    stream.read_exact(&mut back).await?;
    ensure!(back == sent, "other bytes came back");
    Ok(())
}
