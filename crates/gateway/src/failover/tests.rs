//! Silence that rings, and reading causes out of wrapped errors.

use std::{io, time::Duration};

use hezar_core::{Fault, NodeId, Stage};
use hezar_engine::Cause;
use tokio::time::Instant;

use super::latency::HedgeDelays;
use super::{
    AttemptError,
    stall_timer::{Stall, StallTimer},
};

#[test]
fn a_cause_is_found_inside_an_io_error() {
    let error = io::Error::other(Cause::Authentication);
    let fail = AttemptError::of_stream(Stage::Exchange, &error);
    assert_eq!((fail.code, fail.fault, fail.sure), ("authentication", Fault::Node, true));
    let fail = AttemptError::of_stream(Stage::Exchange, &io::Error::from(io::ErrorKind::ConnectionReset));
    assert_eq!((fail.code, fail.sure), ("reset", false));
    let fail = AttemptError::of_stream(Stage::Exchange, &io::Error::other("what"));
    assert_eq!((fail.code, fail.sure), ("io", false));
}

#[test]
fn each_attempt_is_slow_first_and_then_stalled() {
    let node = |byte: u8| NodeId::from_bytes([byte; 16]);
    let ms = Duration::from_millis;
    let delays = |slow, stalled| HedgeDelays { slow: ms(slow), stalled: ms(stalled) };
    let (start, mut stall_timer) = (Instant::now(), StallTimer::default());
    assert_eq!((stall_timer.alarm(), stall_timer.has_fresh_attempt()), (None, false));
    stall_timer.begin(node(1), delays(10, 100), start);
    stall_timer.begin(node(2), delays(20, 50), start);
    assert_eq!(stall_timer.alarm(), Some(start + ms(10)));
    assert_eq!(stall_timer.pop_due(start + ms(9)), None);
    assert_eq!(stall_timer.pop_due(start + ms(10)), Some(Stall::Slow));
    assert_eq!(stall_timer.pop_due(start + ms(10)), None);
    assert!(stall_timer.has_fresh_attempt(), "the other one is still within its time");
    assert_eq!(stall_timer.pop_due(start + ms(60)), Some(Stall::Slow));
    assert!(!stall_timer.has_fresh_attempt());
    assert_eq!(stall_timer.pop_due(start + ms(60)), Some(Stall::Stalled(node(2))));
    assert_eq!(stall_timer.pop_due(start + ms(60)), None);
    assert_eq!(stall_timer.alarm(), Some(start + ms(100)));
    stall_timer.end(node(1));
    assert_eq!((stall_timer.alarm(), stall_timer.pop_due(start + ms(1000))), (None, None));
}
