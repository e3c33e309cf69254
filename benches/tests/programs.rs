//! The measurements start the program with a configuration of their own, which it must still take.

use std::process::Command;

/// A few seconds of the measurement: nothing is judged but that it runs to its end and has figures.
#[test]
fn truth_runs_beside_the_program() {
    let truth = std::path::Path::new(env!("CARGO_BIN_EXE_truth"));
    if !truth.with_file_name("hezar").exists() {
        eprintln!("skipped: the program is not built (cargo build --package hezar)");
        return;
    }
    let output = Command::new(truth).args(["--nodes", "4", "--seconds", "2"]).output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{errors}");
    assert_eq!(said.matches("probes per node and minute").count(), 2, "{said}");
}
