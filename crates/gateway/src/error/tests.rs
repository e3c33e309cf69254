//! Causes are read out of wrapped errors.

use std::io;

use hezar_core::{Fault, Stage};
use hezar_engine::Cause;

use super::AttemptError;

#[test]
fn a_cause_is_found_inside_an_io_error() {
    let error = io::Error::other(Cause::Authentication);
    let fail = AttemptError::from_stream(Stage::Exchange, &error);
    assert_eq!((fail.code.as_str(), fail.fault, fail.sure), ("authentication", Fault::Node, true));
    let fail = AttemptError::from_stream(Stage::Exchange, &io::Error::from(io::ErrorKind::ConnectionReset));
    assert_eq!((fail.code.as_str(), fail.sure), ("reset", false));
    let fail = AttemptError::from_stream(Stage::Exchange, &io::Error::other("what"));
    assert_eq!((fail.code.as_str(), fail.sure), ("io", false));
}

#[test]
fn a_cause_without_a_route_keeps_its_meaning_in_every_protocol() {
    let error = AttemptError::new(Stage::Connect, &Cause::NoRoute, true);
    assert_eq!((error.proxy_error(), error.socks5_reply()), ("destination_ip_unroutable", 3));
}
