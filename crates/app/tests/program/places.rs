//! Commands find the running instance from wherever they are called.

use std::process::Command;

use crate::harness::{Home, Said, eventually};

/// Runs a command in another folder of the same user.
fn elsewhere(home: &Home, arguments: &[&str]) -> Said {
    let folder = home.path().join("elsewhere");
    std::fs::create_dir_all(&folder).unwrap();
    let mut command: Command = home.hezar(arguments);
    Said::from(command.current_dir(folder).output().unwrap())
}

#[test]
fn an_instance_is_found_from_any_folder_and_on_any_port() {
    let home = Home::new();
    home.write("hezar.toml", "[probe]\ncontrol = []\n[[source]]\nname = \"a\"\nlinks = [\"socks5://192.0.2.1:1\"]\n");
    let instance = home.start(&[]);
    let file = home.path().join("hezar.toml").display().to_string();
    let data = home.path().join("hezar-data").display().to_string();
    for arguments in
        [&["status", "--json"][..], &["status", "--json", "--config", &file], &["status", "--json", "--data", &data]]
    {
        let status = eventually("the status", || {
            let said = elsewhere(&home, arguments);
            said.good().contains(&instance.proxy.to_string()).then_some(said)
        });
        assert!(status.err.is_empty(), "{status:?}");
    }
    assert!(home.run(&["status", "--json"]).good().contains(&instance.proxy.to_string()));
    assert!(home.path().join("hezar-data/hezar.db").exists(), "the data lies beside the configuration");
    // Commands that open the store themselves take that of the running instance, and make none where they are called.
    eventually("the stored node", || (elsewhere(&home, &["export"]).good().lines().count() == 1).then_some(()));
    elsewhere(&home, &["backup", "copy.db"]).good();
    assert!(home.path().join("elsewhere/copy.db").exists());
    let backups = || std::fs::read_dir(home.path().join("elsewhere/backups")).unwrap().count();
    for kept in [1, 2, 2] {
        elsewhere(&home, &["backup", "--keep", "2", "backups"]).good();
        assert_eq!(backups(), kept);
    }
    assert!(elsewhere(&home, &["fetch", "--json"]).good().contains("\"source\":\"a\""));

    // Another configuration is another instance: where the running one is, is said, and it is not asked.
    std::fs::write(home.path().join("elsewhere/hezar.toml"), "").unwrap();
    elsewhere(&home, &["status"]).refused(1, &["hezar run", "another instance runs", &data]);
    instance.terminate();
    let said = home.run(&["status"]);
    said.refused(1, &["no instance answers"]);
    assert!(!said.err.contains("another instance"), "{said:?}");
}

#[test]
fn data_lies_beside_the_configuration_that_is_named_from_elsewhere() {
    let home = Home::new();
    home.write("hezar.toml", "[[source]]\nname = \"a\"\nlinks = [\"socks5://192.0.2.1:1\"]\n");
    let file = home.path().join("hezar.toml").display().to_string();
    elsewhere(&home, &["fetch", "--config", &file]).good();
    assert!(home.path().join("hezar-data/hezar.db").exists());
    assert!(!home.path().join("elsewhere/hezar-data").exists());
    assert_eq!(home.run(&["export"]).good().lines().count(), 1);
}
