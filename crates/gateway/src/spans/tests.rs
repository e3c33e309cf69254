//! What is sampled, what is bounded, and what is handed over.

use super::*;

fn end() -> RequestEnd {
    RequestEnd { listener: "proxy".into(), inbound: "http", target: None, code: "ok", node: None, bytes: (1, 2) }
}

#[tokio::test(start_paused = true)]
async fn a_sampled_request_is_handed_over_with_its_attempts() {
    let (tracer, mut spans) = RequestTracer::new(4);
    tracer.begin(Timestamp(1)).finish(end);
    assert!(spans.try_recv().is_err(), "nothing is sampled at first");
    tracer.set_percent(100);
    let mut trace = tracer.begin(Timestamp(7));
    tokio::time::advance(Duration::from_millis(5)).await;
    let started = Instant::now();
    tokio::time::advance(Duration::from_millis(20)).await;
    let node = NodeId::from_bytes([1; 16]);
    trace.clone().attempt(node, started, "refused", Some(Stage::Connect));
    tokio::time::advance(Duration::from_millis(75)).await;
    trace.finish(end);
    let span = spans.try_recv().unwrap();
    assert_eq!((span.begun, span.took, span.code), (Timestamp(7), Duration::from_millis(100), "ok"));
    let attempt = &span.attempts[0];
    assert_eq!((attempt.after, attempt.took), (Duration::from_millis(5), Duration::from_millis(20)));
    assert_eq!((attempt.node, attempt.code, attempt.stage), (node, "refused", Some(Stage::Connect)));
    assert_ne!(span.trace_id, [0; 16]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_and_what_one_request_keeps_is_bounded() {
    let (tracer, mut spans) = RequestTracer::new(2);
    tracer.set_percent(1000);
    for _ in 0..5 {
        let mut trace = tracer.begin(Timestamp(1));
        for _ in 0..MAX_ATTEMPTS + 10 {
            trace.attempt(NodeId::from_bytes([1; 16]), Instant::now(), "ok", None);
        }
        trace.finish(end);
        // A second end says nothing.
        trace.finish(end);
    }
    assert_eq!((spans.len(), tracer.dropped()), (2, 3));
    assert_eq!(spans.try_recv().unwrap().attempts.len(), MAX_ATTEMPTS);
}
