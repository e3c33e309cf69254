//! Replays every kept input through its decoder.

use std::{fs, path::Path};

#[test]
fn the_kept_corpus_passes() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, decoder) in hezar_fuzz::DECODERS {
        let mut inputs = 0;
        for file in fs::read_dir(corpus.join(name)).into_iter().flatten().flatten() {
            decoder(&fs::read(file.path()).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "fuzz/corpus/{name} is empty: every decoder needs seeds");
        println!("{name}: {inputs} inputs");
    }
}
