//! How many links of mixed dialects one core reads, names and writes in a second.

use std::{fmt::Write as _, hint::black_box};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hezar_formats::{Parsed, parse, to_link, write};

const LINKS: u64 = 10_000;

/// Links in the shares that public lists have: mostly VLESS, then Shadowsocks, VMess, Trojan, Hysteria 2, addresses.
fn list() -> String {
    let mut text = String::from("#profile-title: benchmark\n");
    for index in 0..LINKS {
        let (a, b, port) = (index / 250 % 250, index % 250, 1024 + index);
        let id = format!("b0e80a62-8a51-47f0-91f1-{index:012x}");
        let line = match index % 20 {
            0..8 => format!(
                "vless://{id}@198.{a}.{b}.7:{port}?encryption=none&flow=xtls-rprx-vision&security=reality\
                 &sni=www.example.com&fp=chrome&pbk=bmXOC-F1FxEMF9dyiK2H5_1SUtzH0JuVo51h2wPfgyo&sid=6ba85179e30d4fc2\
                 &type=tcp&headerType=none#%F0%9F%87%A9%F0%9F%87%AA%20node%20{index}"
            ),
            8..12 => format!(
                "vless://{id}@node-{index}.example.org:443?encryption=none&security=tls&type=ws&host=cdn.example.org\
                 &path=%2Fchat%3Fed%3D2048&sni=cdn.example.org&alpn=h2%2Chttp%2F1.1&allowInsecure=1#🇩🇪 node {index}"
            ),
            12..14 => format!("ss://YWVzLTI1Ni1nY206cGFzc3dvcmQ@203.0.{a}.{b}:{port}#node%20{index}"),
            14..16 => vmess(&id, a, b, port),
            16..18 => format!(
                "trojan://pass%2Fword@203.{a}.{b}.9:{port}?security=tls&sni=t.example.org&type=tcp#node {index}"
            ),
            18 => format!(
                "hysteria2://pw@203.{a}.{b}.8:{port}?insecure=1&sni=h.example.org&obfs=salamander&obfs-password=x#n{index}"
            ),
            _ => format!("192.{a}.{b}.1:{port}"),
        };
        let _ = writeln!(text, "{line}");
    }
    text
}

fn vmess(id: &str, a: u64, b: u64, port: u64) -> String {
    let address = format!("vmess://{id}@198.{a}.{b}.7:{port}?type=ws&security=tls&sni=h.example.org&path=%2Fw#node");
    let entries = parse(address.as_bytes()).nodes;
    write::links(entries.iter().map(|node| (&node.spec, &node.label))).trim().to_owned()
}

fn ids(parsed: &Parsed) -> u8 {
    parsed.nodes.iter().fold(0, |all, node| all ^ node.spec.id().as_bytes()[0])
}

fn links(c: &mut Criterion) {
    let text = list();
    let parsed = parse(text.as_bytes());
    assert_eq!(parsed.nodes.len() as u64, LINKS);
    let subscription = write::base64(parsed.nodes.iter().map(|node| (&node.spec, &node.label)));
    let mut group = c.benchmark_group("links");
    group.throughput(Throughput::Elements(LINKS));
    group.bench_function("parse", |bench| bench.iter(|| parse(black_box(text.as_bytes()))));
    group.bench_function("parse a base64 subscription", |bench| {
        bench.iter(|| parse(black_box(subscription.as_bytes())));
    });
    group.bench_function("id", |bench| bench.iter(|| ids(black_box(&parsed))));
    group.bench_function("parse and id", |bench| bench.iter(|| ids(&parse(black_box(text.as_bytes())))));
    group.bench_function("to_link", |bench| {
        bench.iter(|| parsed.nodes.iter().map(|node| to_link(&node.spec, &node.label).len()).sum::<usize>());
    });
    group.finish();
}

criterion_group!(benches, links);
criterion_main!(benches);
