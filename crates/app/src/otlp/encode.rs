//! Spans as OTLP writes them in JSON: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.

use hezar_gateway::{AttemptSpan, RequestSpan};
use serde_json::{Value, json};

use crate::version::VERSION;

/// `SPAN_KIND_SERVER` and `SPAN_KIND_CLIENT` of the protocol.
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
/// `STATUS_CODE_UNSET` and `STATUS_CODE_ERROR` of the protocol.
const UNSET: u8 = 0;
const ERROR: u8 = 2;

/// The body of an export request.
pub(super) fn encode(spans: &[RequestSpan], service: &str) -> Value {
    let all: Vec<Value> = spans.iter().flat_map(request_and_attempts).collect();
    json!({
        "resourceSpans": [{
            "resource": { "attributes": [text("service.name", service), text("service.version", VERSION)] },
            "scopeSpans": [{ "scope": { "name": "hezar", "version": VERSION }, "spans": all }],
        }],
    })
}

fn request_and_attempts(request: &RequestSpan) -> impl Iterator<Item = Value> {
    let attempts = request.attempts.iter().map(|attempt| encode_attempt(request, attempt));
    std::iter::once(encode_request(request)).chain(attempts).collect::<Vec<_>>().into_iter()
}

fn encode_request(request: &RequestSpan) -> Value {
    let mut attributes = vec![
        text("hezar.listener", &request.listener),
        text("hezar.inbound", request.inbound),
        number("hezar.attempts", request.attempts.len() as u64),
        number("hezar.bytes.up", request.bytes.0),
        number("hezar.bytes.down", request.bytes.1),
    ];
    attributes.extend(request.node.map(|node| text("hezar.node", &node.to_string())));
    if let Some(target) = &request.target {
        attributes.push(text("server.address", &target.host().to_string()));
        attributes.push(number("server.port", u64::from(target.port())));
    }
    let is_good = request.code == "ok";
    if !is_good {
        attributes.push(text("error.type", request.code));
    }
    let begun = nanoseconds(u128::from(request.begun.0) * 1_000_000);
    let ended = nanoseconds(u128::from(request.begun.0) * 1_000_000 + request.took.as_nanos());
    json!({
        "traceId": hex::encode(request.trace_id),
        "spanId": hex::encode(request.span_id),
        "name": request.inbound,
        "kind": SERVER,
        "startTimeUnixNano": begun,
        "endTimeUnixNano": ended,
        "attributes": attributes,
        "status": { "code": if is_good { UNSET } else { ERROR } },
    })
}

fn encode_attempt(request: &RequestSpan, attempt: &AttemptSpan) -> Value {
    let mut attributes = vec![text("hezar.node", &attempt.node.to_string())];
    attributes.extend(attempt.stage.map(|stage| text("hezar.stage", stage.name())));
    let is_good = matches!(attempt.code, "ok" | "unproven");
    if !is_good {
        attributes.push(text("error.type", attempt.code));
    }
    let begun = u128::from(request.begun.0) * 1_000_000 + attempt.after.as_nanos();
    json!({
        "traceId": hex::encode(request.trace_id),
        "spanId": hex::encode(attempt.span_id),
        "parentSpanId": hex::encode(request.span_id),
        "name": "attempt",
        "kind": CLIENT,
        "startTimeUnixNano": nanoseconds(begun),
        "endTimeUnixNano": nanoseconds(begun + attempt.took.as_nanos()),
        "attributes": attributes,
        "status": { "code": if is_good { UNSET } else { ERROR } },
    })
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// 64-bit numbers are written as texts.
fn number(key: &str, value: u64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

fn nanoseconds(since_epoch: u128) -> String {
    since_epoch.to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hezar_core::{NodeId, Stage, Target, Timestamp};

    use super::*;

    #[test]
    fn a_request_is_the_parent_of_its_attempts() {
        let node = NodeId::from_bytes([0xab; 16]);
        let attempt = |code, stage, after| AttemptSpan {
            span_id: [3; 8],
            node,
            after: Duration::from_millis(after),
            took: Duration::from_millis(10),
            code,
            stage,
        };
        let request = RequestSpan {
            trace_id: [1; 16],
            span_id: [2; 8],
            begun: Timestamp(1000),
            took: Duration::from_micros(30_500),
            listener: "proxy".into(),
            inbound: "connect",
            target: Target::parse("example.com:443").ok(),
            code: "ok",
            node: Some(node),
            bytes: (1, u64::MAX),
            attempts: vec![attempt("refused", Some(Stage::Connect), 0), attempt("ok", None, 10)],
        };
        let body = encode(&[request], "hezar");
        let spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
        let [whole, failed, good] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!(whole["traceId"], "01".repeat(16));
        assert_eq!(
            (&whole["startTimeUnixNano"], &whole["endTimeUnixNano"]),
            (&"1000000000".into(), &"1030500000".into())
        );
        assert!(whole["attributes"].to_string().contains("\"intValue\":\"18446744073709551615\""), "{whole}");
        for attempt in [failed, good] {
            assert_eq!(attempt["parentSpanId"], whole["spanId"]);
            assert_eq!(attempt["traceId"], whole["traceId"]);
        }
        assert_eq!((&failed["status"]["code"], &good["status"]["code"]), (&2.into(), &0.into()));
        assert!(failed["attributes"].to_string().contains("connect"), "{failed}");
        assert_eq!(good["startTimeUnixNano"], "1010000000");
    }
}
