//! Hysteria 2 against its definition.
