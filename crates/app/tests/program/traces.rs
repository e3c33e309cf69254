//! Traces of requests, as a collector gets them.

use serde_json::Value;

use crate::{
    harness::{Home, PATIENCE, eventually},
    receiver::receiver,
};

#[test]
fn a_collector_gets_requests_with_their_attempts() {
    let (home, (address, heard)) = (Home::new(), receiver());
    home.write(
        "hezar.toml",
        format!("[otlp]\nendpoint = \"http://{address}\"\nsample_percent = 100\nbearer = \"let-me-in\"\n"),
    );
    let instance = home.start(&["--demo"]);
    eventually("a first answer", || instance.get("http://demo.hezar/").filter(|(status, _)| *status == 200));
    // The first requests may have come before the setting counted.
    let whole = eventually("a request with an attempt", || {
        instance.get("http://demo.hezar/")?;
        let (head, body) = heard.recv_timeout(PATIENCE).ok()?;
        assert!(head.starts_with("post /v1/traces ") && head.contains("authorization: bearer let-me-in"), "{head}");
        let json: Value = serde_json::from_str(&body).unwrap();
        let spans = json["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
        let served = |span: &&Value| span["name"] == "http" && span["status"]["code"] == 0;
        let whole = spans.iter().find(served)?;
        spans.iter().any(|span| span["parentSpanId"] == whole["spanId"]).then(|| whole.clone())
    });
    assert_eq!(whole["traceId"].as_str().unwrap().len(), 32);
    assert!(whole["attributes"].to_string().contains("demo.hezar"), "{whole}");
    instance.terminate();
}

#[test]
fn a_collector_that_is_gone_holds_nobody_up() {
    let home = Home::new();
    // Nothing listens at the port "discard".
    home.write("hezar.toml", "[otlp]\nendpoint = \"http://127.0.0.1:9\"\nsample_percent = 100\n");
    let instance = home.start(&["--demo"]);
    eventually("an answer", || instance.get("http://demo.hezar/").filter(|(status, _)| *status == 200));
    eventually("the failure is counted", || {
        instance.get("http://demo.hezar/")?;
        instance.ask_api("/metrics", "").contains("hezar_otlp_traces_total{result=\"failed\"}").then_some(())
    });
    instance.terminate();
}
