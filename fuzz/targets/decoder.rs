//! The one libFuzzer target: the environment variable `HEZAR_FUZZ_DECODER` names the decoder that it feeds.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

static DECODER: OnceLock<fn(&[u8])> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let decoder = DECODER.get_or_init(|| {
        let name = std::env::var("HEZAR_FUZZ_DECODER").unwrap_or_default();
        match hezar_fuzz::DECODERS.iter().find(|(known, _)| *known == name) {
            Some((_, decoder)) => *decoder,
            None => {
                eprintln!("HEZAR_FUZZ_DECODER={name:?} names no decoder");
                std::process::exit(2)
            }
        }
    });
    decoder(data);
});
