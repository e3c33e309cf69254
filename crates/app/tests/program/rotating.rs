//! A hostile list that names other nodes at every fetch fills neither the pool nor the disk.

use std::fmt::Write;

use serde_json::Value;

use crate::harness::Home;

const LINES: u32 = 6000;
const MOST: usize = 3000;

/// A list with nothing that any list before had.
fn list(round: u32) -> String {
    let mut text = String::new();
    for n in round * LINES..(round + 1) * LINES {
        let [_, b, c, d] = n.to_be_bytes();
        let _ = writeln!(text, "socks5://11.{b}.{c}.{d}:1080");
    }
    text
}

#[test]
fn a_rotating_list_is_bounded_in_the_pool_and_on_the_disk() {
    let home = Home::new();
    home.write(
        "hezar.toml",
        format!(
            "[store]\nurl = \"sqlite:hezar.db\"\n\
             [pool]\nmax_nodes = {MOST}\nmax_nodes_per_source = 2000\n\
             [[source]]\nname = \"hostile\"\nfile = \"list.txt\"\n"
        ),
    );
    let mut sizes = Vec::new();
    for round in 0..6 {
        home.write("list.txt", list(round));
        let said = home.run(&["fetch", "--json"]);
        let row: Value = serde_json::from_str(said.good().lines().next().unwrap()).unwrap();
        assert_eq!((row["nodes"].as_u64(), row["left_out"].as_u64()), (Some(2000), Some(4000)), "{said:?}");
        let kept = home.run(&["export"]).good().lines().count();
        assert!((2000..=MOST).contains(&kept), "{kept} after fetch {round}");
        sizes.push(walk(home.path()));
    }
    assert!(sizes[5] < sizes[1] + sizes[1] / 2, "the files grow with every fetch: {sizes:?}");
    // What is listed now is what is there.
    let newest = list(5);
    let kept = home.run(&["export"]);
    let listed = newest.lines().filter(|link| kept.good().contains(&link["socks5://".len()..])).count();
    assert!(listed >= 2000, "{listed}");
}

/// The bytes of all files in a folder.
fn walk(folder: &std::path::Path) -> u64 {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let kind = entry.metadata().unwrap();
            if kind.is_dir() { walk(&entry.path()) } else { kind.len() }
        })
        .sum()
}
