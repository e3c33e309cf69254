//! Turns an error of a TLS handshake into a [`Cause`].

use std::io;

use rustls::Error as Refused;

use super::Shape;
use crate::Cause;

/// What rustls refused, if it was rustls; otherwise what happened to the stream. What rustls would not have refused in
/// the answer to its own hello is [`Cause::Hello`].
pub(crate) fn cause_of(error: io::Error, shape: Shape) -> Cause {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Refused>()) {
        Some(refused @ (Refused::InvalidCertificate(_) | Refused::NoCertificatesPresented)) => {
            Cause::Certificate(refused.to_string().into())
        }
        Some(refused @ (Refused::PeerMisbehaved(_) | Refused::PeerIncompatible(_)))
            if matches!(shape, Shape::Browser(_)) =>
        {
            Cause::Hello(refused.to_string().into())
        }
        Some(other) => Cause::Tls(other.to_string().into()),
        None => Cause::from(error),
    }
}
