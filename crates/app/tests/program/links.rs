//! Keys and links of users: by commands with and without an instance, over the API, and in subscriptions.

use serde_json::{Value, json};

use crate::{
    api,
    harness::{Home, Instance, PROBE},
};

const TOKEN: &str = "a-token-for-this-test";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// Listeners that need no certificate of this machine, a user of the file, and a subscription for one of the store.
fn config() -> String {
    format!(
        "[api]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n{PROBE}\
         [[proxy.users]]\nname = \"sara\"\nkey = \"{KEY}\"\n\
         [[listener]]\nname = \"ss\"\nkind = \"shadowsocks\"\nlisten = \"127.0.0.1:0\"\nhost = \"vps.example.org\"\n\
         shadowsocks.key = \"AAECAwQFBgcICQoLDA0ODw==\"\n\
         [[listener]]\nname = \"plain\"\nkind = \"trojan\"\nlisten = \"127.0.0.1:0\"\nhost = \"vps.example.org:443\"\ninsecure_plain = true\n"
    )
}

fn ask(instance: &Instance, method: &str, path: &str, body: &str) -> (u16, Value) {
    let (status, body) = api::ask(instance.api, TOKEN, method, path, body.as_bytes());
    (status, serde_json::from_str(&body).unwrap_or_default())
}

fn links(said: &str) -> Vec<String> {
    said.lines().map(str::to_owned).collect()
}

#[test]
fn links_are_the_same_with_and_without_an_instance() {
    let home = Home::new();
    home.write("hezar.toml", config());
    let made = home.run(&["user", "add", "ali", "quota.month=1GiB", "expires=2100-01-01"]);
    made.good();
    // The port of "ss" is chosen by the system, so only a running instance knows it.
    let before = home.run(&["user", "link", "ali"]);
    assert_eq!(links(before.good()).len(), 1, "{before:?}");
    assert!(
        before.good().starts_with("trojan://") && before.err.contains("Hezar · plain · until 2100-01-01"),
        "{before:?}"
    );

    let instance = home.start(&[]);
    let now = home.run(&["user", "link", "ali"]);
    let all = links(now.good());
    assert_eq!(all.len(), 2, "{now:?}");
    let port = instance.listener("ss").port();
    assert!(all[0].starts_with("ss://2022-blake3-aes-128-gcm:") && all[0].contains(&format!(":{port}")), "{all:?}");
    assert!(now.err.contains("1.0 GiB left"), "{now:?}");
    // The name of a running instance says more; the credential is the same.
    let credential = |link: &str| link.split('#').next().unwrap().to_owned();
    assert_eq!(credential(&all[1]), credential(links(before.good())[0].as_str()));
    let drawn = home.run(&["user", "link", "ali", "--listener", "plain", "--qr"]);
    assert!(drawn.good().contains('▀') && links(drawn.good()).len() > 15, "{drawn:?}");
    let clash = home.run(&["user", "link", "ali", "--target", "clash"]);
    assert!(clash.good().starts_with("proxies:") && clash.good().contains("\"type\":\"trojan\""), "{clash:?}");
    let json: Value = serde_json::from_str(home.run(&["user", "link", "ali", "--json"]).good()).unwrap();
    assert_eq!((json["links"].as_array().unwrap().len(), &json["document"]), (2, &Value::Null));
    home.run(&["user", "link", "nobody"]).refused(1, &["there is no user \"nobody\""]);
    home.run(&["user", "link", "ali", "--listener", "none"]).refused(1, &["there is no such link"]);
    home.run(&["user", "link", "ali", "--target", "odd"]).refused(1, &["clash"]);
}

#[test]
fn another_key_makes_other_links_and_none_takes_them_away() {
    let home = Home::new();
    home.write("hezar.toml", config());
    let instance = home.start(&[]);
    home.run(&["user", "add", "ali"]).good();
    let of = |user: &str| links(&home.run(&["user", "link", user]).out);
    let first = of("ali");
    home.run(&["user", "key", "ali"]).refused(1, &["--new"]);
    home.run(&["user", "key", "ali", "--new"]).good();
    let second = of("ali");
    assert!(first.len() == 2 && second.len() == 2 && first.iter().all(|link| !second.contains(link)));
    // A user of the file is told what to write there, and nothing is changed.
    let told = home.run(&["user", "key", "sara", "--new"]);
    assert!(told.good().starts_with("key = \"") && told.err.contains("configuration file"), "{told:?}");
    assert_eq!(of("sara").len(), 2);
    // Keys are never shown, and what was shown hidden may come back.
    let (_, shown) = ask(&instance, "GET", "/api/v1/users/ali", "");
    assert_eq!(shown["value"]["key"], "…");
    let (status, _) = ask(&instance, "PATCH", "/api/v1/users/ali", r#"{"key":"…","note":"n"}"#);
    assert_eq!((status, of("ali")), (200, second));
    let (status, _) = ask(&instance, "PATCH", "/api/v1/users/ali", r#"{"key":null}"#);
    assert_eq!((status, of("ali")), (200, Vec::new()));
    home.run(&["user", "key", "ali"]).good();
    assert_eq!(of("ali").len(), 2);
    let (status, told) = ask(&instance, "PATCH", "/api/v1/users/ali", r#"{"key":"SECRET"}"#);
    assert!(status == 400 && !told.to_string().contains("SECRET"), "{told}");
}

#[test]
fn a_subscription_gives_a_users_links_in_the_place_of_nodes() {
    let home = Home::new();
    home.write("hezar.toml", config());
    let instance = home.start(&[]);
    let links = json!([{ "name": "germany", "options": "country-de" }]);
    let user = json!({ "name": "ali", "password": "p", "links": links }).to_string();
    let (status, told) = ask(&instance, "POST", "/api/v1/users", &user);
    assert_eq!(status, 201, "{told}");
    for (name, rest) in [
        ("phone", json!({ "user": "ali", "title": "هزار" })),
        ("nobody", json!({})),
        ("always", json!({ "user": "ali", "inbounds": true })),
    ] {
        let mut subscription = rest;
        subscription["name"] = name.into();
        subscription["token"] = format!("0123456789-{name}").into();
        let (status, told) = ask(&instance, "POST", "/api/v1/subscriptions", &subscription.to_string());
        assert_eq!(status, 201, "{told}");
    }
    let read = |path: &str| instance.ask_api(path, "");
    let given = read("/sub/0123456789-phone?doors=1&target=links");
    assert_eq!(given.lines().count(), 4, "two listeners, two links: {given}");
    assert_eq!(given.lines().filter(|link| link.contains("germany")).count(), 2, "{given}");
    let scheme = read("/sub/0123456789-phone?doors=1&target=links&scheme=trojan");
    assert_eq!(scheme.lines().count(), 2, "{scheme}");
    assert_eq!(read("/sub/0123456789-always?target=links"), given.replace("%D9%87%D8%B2%D8%A7%D8%B1", "always"));
    assert_eq!(read("/sub/0123456789-always?target=links&doors=0").lines().count(), 0, "there are no nodes");
    assert!(read("/sub/0123456789-nobody?doors=1").contains("has no user"));
    assert!(read("/sub/0123456789-phone?doors=1&country=de").contains("doors=1"));
    let (_, told) = ask(&instance, "POST", "/api/v1/subscriptions", r#"{"name":"x","inbounds":true}"#);
    assert!(told["message"].as_str().unwrap().contains("say user"), "{told}");
    // Who may not use the proxy is given nothing.
    home.run(&["user", "disable", "ali"]).good();
    assert_eq!(read("/sub/0123456789-phone?doors=1&target=links"), "");
}

#[test]
fn a_machine_for_phones_is_set_up_without_a_question() {
    let home = Home::new();
    let set_up = |more: &[&str]| home.run(&[&["init", "--vps", "vps.example.org", "--no-service"], more].concat());
    let first = set_up(&["https://sub.example/list"]);
    let of =
        |said: &str| -> Vec<String> { said.lines().filter(|line| line.contains("://")).map(str::to_owned).collect() };
    assert_eq!(of(first.good()).len(), 21, "{first:?}");
    assert!(first.out.contains('▀'));
    home.run(&["config", "check"]).good();
    assert!(home.read("site/index.html").contains("Welcome") && home.read("firewall.nft").contains("443"));
    assert!(home.read("hezar.toml").contains("https://sub.example/list"));
    set_up(&[]).refused(1, &["--force"]);
    home.write("site/index.html", "mine");
    let again = set_up(&["--force"]);
    assert_eq!(of(again.good()), of(first.good()), "links that were given out stay good");
    assert_eq!(home.read("site/index.html"), "mine");
    assert!(home.read("hezar.toml.old").contains("https://sub.example/list"), "what stood there is kept");
    assert!(home.read("hezar.toml").contains("github"), "without a source, public lists");
    // What was kept before stays, each under a name that is told; what is the same is not kept twice.
    home.write("firewall.nft", "mine");
    let third = set_up(&["--force", "https://other.example/list"]);
    third.good();
    assert!(third.err.contains("hezar.toml.old.2") && third.err.contains("firewall.nft.old"), "{third:?}");
    assert!(home.read("hezar.toml.old").contains("https://sub.example/list"));
    assert!(home.read("hezar.toml.old.2").contains("github") && home.read("firewall.nft.old") == "mine");
    let fourth = set_up(&["--force", "https://other.example/list"]);
    assert!(fourth.out == third.out && !fourth.err.contains("kept what stood"), "{fourth:?}");
    home.run(&["init", "--vps", "localhost"]).refused(2, &["vps.example.org"]);
    home.run(&["init", "https://sub.example/list"]).refused(2, &["--vps"]);
    let printed = home.run(&["user", "link", "phone", "--listener", "reality", "--link", ""]);
    assert_eq!(links(printed.good()), [of(first.good())[0].clone()]);
}

#[test]
fn keys_are_made_for_the_file() {
    let home = Home::new();
    let reality = home.run(&["key", "reality"]);
    assert!(reality.good().starts_with("private_key = \"") && reality.err.contains("pbk"), "{reality:?}");
    let json: Value =
        serde_json::from_str(home.run(&["key", "shadowsocks", "2022-blake3-aes-256-gcm", "--json"]).good()).unwrap();
    assert_eq!(json["key"].as_str().unwrap().len(), 44);
    assert!(home.run(&["key", "user"]).good().starts_with("key = \""));
    home.run(&["key", "shadowsocks", "aes-128-gcm"]).refused(2, &["2022-blake3-aes-128-gcm"]);
}

#[test]
fn commands_of_users_and_keys_print_one_json_document() {
    let home = Home::new();
    home.write("hezar.toml", format!("{}[[proxy.users]]\nname = \"mina\"\npassword = \"p\"\n", config()));
    let document = |words: &[&str]| -> Value {
        let said = home.run(&[words, &["--json"]].concat());
        let lines = links(said.good());
        assert_eq!(lines.len(), 1, "{words:?}: {said:?}");
        serde_json::from_str(&lines[0]).unwrap_or_else(|error| panic!("{words:?}: {error}: {said:?}"))
    };
    let every_command = || {
        let added = document(&["user", "add", "ali"]);
        assert!(added["password"].as_str().is_some_and(|password| password.len() == 24), "{added}");
        document(&["user", "add", "bob", "password=p"]);
        for words in [
            ["user", "edit", "ali", "note=n"].as_slice(),
            &["user", "disable", "ali"],
            &["user", "enable", "ali"],
            &["user", "key", "ali", "--new"],
            &["user", "link", "ali"],
            &["user", "link", "ali", "--qr"],
            &["user", "link", "ali", "--target", "clash"],
            &["user", "remove", "ali"],
            &["user", "remove", "bob"],
            &["key", "reality"],
            &["key", "shadowsocks"],
            &["key", "user"],
        ] {
            assert!(document(words).is_object(), "{words:?}");
        }
        // Nothing is changed for users of the file: the key is what the file is to say.
        for words in [["user", "key", "sara", "--new"].as_slice(), &["user", "key", "mina"]] {
            let told = document(words);
            assert_eq!((&told["name"], &told["origin"]), (&json!(words[2]), &json!("file")), "{told}");
            assert_eq!(told["key"].as_str().map(str::len), Some(KEY.len()), "{told}");
        }
        // A list is a document for each entry.
        for (words, entries) in [(["user", "list", "--json"], 2), (["user", "usage", "--json"], 0)] {
            let said = home.run(&words);
            assert_eq!(said.good().lines().count(), entries, "{said:?}");
            assert!(said.out.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{said:?}");
        }
    };
    every_command();
    let _instance = home.start(&[]);
    every_command();
}
