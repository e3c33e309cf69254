//! TUIC against its definition and against a server written down from it.
