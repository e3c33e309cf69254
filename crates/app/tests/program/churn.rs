//! A source lists other nodes, and the old ones are removed: the tunnels through them go on.

use hezar_lab::{World, WorldConfig};
use serde_json::Value;

use crate::harness::{Home, echoes, eventually, tunnel};

/// A node of every kind that the lab has.
const NODES: usize = 10;

#[test]
fn tunnels_outlive_the_nodes_that_carry_them() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let [old, new] = [1, 2].map(|seed| {
        let world = WorldConfig { seed, ..WorldConfig::healthy(NODES) };
        runtime.block_on(World::start(world)).unwrap()
    });
    let home = Home::new();
    home.write("list.txt", old.links());
    home.write(
        "hezar.toml",
        "[probe]\nurl = \"http://demo.hezar/generate_204\"\ntrace_url = \"\"\ncanary_url = \"\"\ncontrol = []\n\
         [proxy]\nstrategy = \"round-robin\"\n[api]\ntoken = \"a-token-for-this-test\"\n\
         [[source]]\nname = \"list\"\nfile = \"list.txt\"\ninterval = \"1s\"\nallow_private = true\n",
    );
    let instance = home.start(&[]);
    home.write("api.toml", format!("[api]\nlisten = \"{}\"\ntoken = \"a-token-for-this-test\"\n", instance.api));
    let before = eventually("the first list", || listed(&home));
    let mut tunnels: Vec<_> = (0..2 * NODES).map(|_| tunnel(instance.proxy).unwrap()).collect();
    tunnels.iter_mut().for_each(echoes);
    let carries = |index| old.counts(index).unwrap().served > 1;
    assert!((0..NODES).all(carries), "every node carries a tunnel beside its probe");

    home.write("list.txt", new.links());
    let after = eventually("the second list", || listed(&home).filter(|ids| !ids.contains(&before[0])));
    tunnels.iter_mut().for_each(echoes);
    let ids = before.iter().map(String::as_str);
    let removed = home.run(&["--config", "api.toml", "remove"].into_iter().chain(ids).collect::<Vec<_>>());
    assert_eq!(removed.good().trim(), format!("{NODES} removed, 0 not found"));
    for _ in 0..3 {
        tunnels.iter_mut().for_each(echoes);
    }
    let left = home.run(&["--config", "api.toml", "nodes", "--json"]);
    assert_eq!(left.good().lines().count(), after.len());
    assert!(matches!(instance.get("http://demo.hezar/"), Some((200, _))), "only new nodes are left, and they serve");
    drop(tunnels);
    instance.terminate();
}

/// The ids of the nodes that the source lists, once all of them are healthy.
fn listed(home: &Home) -> Option<Vec<String>> {
    let said = home.run(&["--config", "api.toml", "nodes", "--source", "list", "--state", "healthy", "--json"]);
    let id = |line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    let ids: Vec<String> = said.good().lines().map(id).collect();
    (ids.len() == NODES).then_some(ids)
}
