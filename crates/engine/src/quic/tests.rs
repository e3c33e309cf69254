//! QUIC's shared parts.
