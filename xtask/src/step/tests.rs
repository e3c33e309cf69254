//! Tests are counted by what cargo prints.

use super::Tally;

#[test]
fn counts_closing_lines_only() {
    let mut tally = Tally::default();
    tally.add("test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.21s");
    tally.add("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s");
    tally.add("test 7 passed ... ok");
    assert_eq!(tally, Tally { passed: 10, failed: 2 });
}
