//! Real clients, where this machine has them: what they send passes, and they show the code of a refusal.

use std::{io::ErrorKind, process::Output};

use tokio::process::Command;

use crate::world::{Does, World, config, world};

/// Runs a client to its end. `None`, and a line that says so, when it is not there.
async fn run(world: &World, program: &str, arguments: &[&str]) -> Option<Output> {
    let proxy = format!("http://{}", world.address);
    let arguments = arguments.iter().map(|argument| argument.replace("PROXY", &proxy));
    let mut command = Command::new(program);
    // What the surroundings say about proxies is not meant here.
    for name in
        ["http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"]
    {
        command.env_remove(name);
    }
    match command.args(arguments).kill_on_drop(true).output().await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("SKIPPED: {program} is not there");
            None
        }
        output => Some(output.unwrap()),
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn curl() {
    let web = world(config(), &[Does::Web]).await;
    // In a tunnel the origin of this test meets the raw characters itself, and does not take them.
    for (tunnel, query) in [("--no-proxytunnel", "\"a\"|{b}<c>"), ("--proxytunnel", "a")] {
        let url = format!("http://origin.test/headers?q={query}");
        let Some(output) = run(&web, "curl", &["-q", "-sS", "-g", "-i", "-m", "30", tunnel, "-x", "PROXY", &url]).await
        else {
            return;
        };
        let text = text(&output);
        assert!(output.status.success() && text.contains("GET /headers?q="), "{text}");
        assert!(text.to_lowercase().contains("proxy-status: hezar; node=\""), "{text}");
    }
    let post =
        ["-q", "-sS", "-m", "30", "-x", "PROXY", "-H", "Expect: 100-continue", "-d", "body", "http://origin.test/echo"];
    let output = run(&web, "curl", &post).await.unwrap();
    assert_eq!(text(&output), "body");
    let empty = world(config(), &[]).await;
    let output =
        run(&empty, "curl", &["-q", "-sS", "-v", "-m", "30", "-x", "PROXY", "https://origin.test/"]).await.unwrap();
    assert!(text(&output).contains("503 Service Unavailable (hezar: pool-empty)"), "{}", text(&output));
}

#[tokio::test]
async fn python() {
    let script = r#"
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": "PROXY", "https": "PROXY"}))
try:
    print(opener.open(sys.argv[1], timeout=30).read().decode())
except Exception as error:
    print(repr(error))
"#;
    let web = world(config(), &[Does::Web]).await;
    let Some(output) = run(&web, "python3", &["-c", script, "http://origin.test/who"]).await else { return };
    assert_eq!(text(&output).trim(), "node-0");
    let empty = world(config(), &[]).await;
    for url in ["http://origin.test/", "https://origin.test/"] {
        let output = run(&empty, "python3", &["-c", script, url]).await.unwrap();
        assert!(text(&output).contains("(hezar: pool-empty)"), "{}", text(&output));
    }
}
