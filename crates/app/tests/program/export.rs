//! `hezar export`: the stored nodes in other forms, and what is left out of them.

use crate::harness::Home;

/// A list that holds what every client takes, what only Clash takes, and what only a core itself can check.
const LIST: &str = "proxies:
- {name: everywhere, type: trojan, server: 192.0.2.1, port: 443, password: p}
- {name: only clash, type: snell, server: 192.0.2.2, port: 1, psk: x, version: 4}
- {name: unchecked, type: sudoku, server: 192.0.2.3, port: 443, key: k}
";

#[test]
fn what_a_client_would_not_take_is_named_with_the_reason() {
    let home = Home::new();
    home.write("list.yaml", LIST);
    home.write("hezar.toml", "[[source]]\nname = \"a\"\nfile = \"list.yaml\"\n");
    home.run(&["fetch"]).good();

    let clash = home.run(&["export", "--format", "clash"]);
    assert_eq!(clash.good().lines().count(), 1 + 2, "{clash:?}");
    for part in ["left out: 1 node", "sudoku", "192.0.2.3:443", "unchecked", "only the client itself can check"] {
        assert!(clash.err.contains(part), "{part} is missing in {clash:?}");
    }
    let sing_box = home.run(&["export", "--format", "sing-box"]);
    assert!(sing_box.good().contains("everywhere") && !sing_box.good().contains("192.0.2.2"), "{sing_box:?}");
    for part in ["left out: 2 nodes", "only clash", "a protocol that the client does not speak", "unchecked"] {
        assert!(sing_box.err.contains(part), "{part} is missing in {sing_box:?}");
    }
    // Links say everything, and are read back as the same nodes.
    let links = home.run(&["export"]);
    assert_eq!((links.good().lines().count(), &*links.err), (3, ""));
    home.write("links.txt", links.good());
    assert!(home.run(&["parse", "links.txt"]).good().contains("3 nodes (3 distinct), 0 lines refused"));
}
