//! The one libFuzzer target: the environment variable `HEZAR_FUZZ_DOOR` names the decoder that it feeds.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

static DOOR: OnceLock<fn(&[u8])> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let door = DOOR.get_or_init(|| {
        let name = std::env::var("HEZAR_FUZZ_DOOR").unwrap_or_default();
        match hezar_fuzz::DOORS.iter().find(|(known, _)| *known == name) {
            Some((_, door)) => *door,
            None => {
                eprintln!("HEZAR_FUZZ_DOOR={name:?} names no decoder");
                std::process::exit(2)
            }
        }
    });
    door(data);
});
