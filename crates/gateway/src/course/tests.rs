//! Sharing time, and reading causes out of wrapped errors.

use std::{io, time::Duration};

use hezar_core::{Fault, Stage};
use hezar_engine::Cause;

use super::{Fail, share::share};

#[test]
fn no_attempt_eats_everything_but_the_last() {
    let s = Duration::from_secs;
    assert_eq!(share(s(30), 4, s(10)), s(10));
    assert_eq!(share(s(12), 3, s(10)), s(6));
    assert_eq!(share(s(3), 3, s(10)), s(2));
    assert_eq!(share(s(1), 3, s(10)), s(1));
    assert_eq!(share(s(20), 1, s(10)), s(20));
}

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
