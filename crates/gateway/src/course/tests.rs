//! Silence that rings, and reading causes out of wrapped errors.

use std::{io, time::Duration};

use hezar_core::{Fault, NodeId, Stage};
use hezar_engine::Cause;
use tokio::time::Instant;

use super::{
    Fail,
    vigil::{Ring, Vigil},
};
use crate::pace::Patience;

#[test]
fn a_cause_is_found_inside_an_io_error() {
    let error = io::Error::other(Cause::Authentication);
    let fail = Fail::of_stream(Stage::Exchange, &error);
    assert_eq!((fail.code, fail.fault, fail.sure), ("authentication", Fault::Node, true));
    let fail = Fail::of_stream(Stage::Exchange, &io::Error::from(io::ErrorKind::ConnectionReset));
    assert_eq!((fail.code, fail.sure), ("reset", false));
    let fail = Fail::of_stream(Stage::Exchange, &io::Error::other("what"));
    assert_eq!((fail.code, fail.sure), ("io", false));
}

#[test]
fn a_vigil_rings_twice_for_each_and_in_order() {
    let node = |byte: u8| NodeId::from_bytes([byte; 16]);
    let ms = Duration::from_millis;
    let patience = |late, lost| Patience { late: ms(late), lost: ms(lost) };
    let (start, mut vigil) = (Instant::now(), Vigil::default());
    assert_eq!((vigil.alarm(), vigil.hopeful()), (None, false));
    vigil.begin(node(1), patience(10, 100), start);
    vigil.begin(node(2), patience(20, 50), start);
    assert_eq!(vigil.alarm(), Some(start + ms(10)));
    assert_eq!(vigil.ring(start + ms(9)), None);
    assert_eq!(vigil.ring(start + ms(10)), Some(Ring::Late));
    assert_eq!(vigil.ring(start + ms(10)), None);
    assert!(vigil.hopeful(), "the other one is still within its time");
    assert_eq!(vigil.ring(start + ms(60)), Some(Ring::Late));
    assert!(!vigil.hopeful());
    assert_eq!(vigil.ring(start + ms(60)), Some(Ring::Lost(node(2))));
    assert_eq!(vigil.ring(start + ms(60)), None);
    assert_eq!(vigil.alarm(), Some(start + ms(100)));
    vigil.end(node(1));
    assert_eq!((vigil.alarm(), vigil.ring(start + ms(1000))), (None, None));
}
