//! Groups, nodes and providers: what is shown, selected and tested.

use super::*;
use crate::clash::view::PoolView;

#[tokio::test]
async fn groups_name_nodes_and_providers_describe_them() {
    let server = Server::start().await;
    assert_eq!(server.get("/version").await["meta"], true);
    let proxies = server.get("/proxies").await["proxies"].clone();
    let pool: Vec<&str> =
        proxies["POOL"]["all"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(pool[..4], ["AUTO", "DE", "US", "my_list"], "{pool:?}");
    assert_eq!((&proxies["POOL"]["type"], &proxies["POOL"]["now"]), (&json!("Selector"), &json!("AUTO")));
    assert_eq!((&proxies["AUTO"]["type"], proxies["AUTO"].get("now")), (&json!("LoadBalance"), None));
    assert_eq!(proxies["GLOBAL"]["all"], json!(["POOL", "AUTO", "DE", "US", "my_list"]));
    assert_eq!(proxies["DE"]["all"].as_array().unwrap().len(), 6);
    assert!(proxies.get("DIRECT").is_none());
    let unique: std::collections::BTreeSet<_> = pool.iter().collect();
    assert_eq!(unique.len(), pool.len());
    for name in ["twin #010101", "twin #020202", "AUTO #030303", "a/b? 🇩🇪 #4", "node 6"] {
        assert!(pool.contains(&name), "{name} in {pool:?}");
    }
    let providers = server.get("/providers/proxies").await["providers"].clone();
    let mine = &providers["my_list (+1,000)"];
    assert_eq!((&mine["vehicleType"], mine["proxies"].as_array().unwrap().len()), (&json!("HTTP"), 10));
    assert_eq!(mine["subscriptionInfo"], json!({ "Upload": 0, "Download": 5, "Total": 10, "Expire": 4 }));
    let node = &mine["proxies"][6];
    assert_eq!((&node["name"], &node["type"], &node["alive"]), (&json!("node 6"), &json!("Vless"), &json!(true)));
    let history = [(20, 60), (21, 61), (22, 62)];
    let history =
        history.map(|(second, delay)| json!({ "time": format!("2023-11-14T22:13:{second}Z"), "delay": delay }));
    assert_eq!((&node["history"], &node["provider-name"]), (&json!(history), &json!("my_list (+1,000)")));
    let dead = &mine["proxies"][9];
    assert_eq!((&dead["alive"], &dead["history"][0]["delay"]), (&json!(false), &json!(0)));
    // The median of the nodes that work: 0, 10, … 80 ms, each a little more in its last test.
    assert_eq!(proxies["AUTO"]["history"], json!([{ "time": "2023-11-14T22:13:22Z", "delay": 42 }]));
    // A name that tells an old number is understood.
    for name in ["my_list", "my_list%20(%2B1%2C000)", "my_list%20(%2B7)"] {
        assert_eq!(server.get(&format!("/providers/proxies/{name}")).await["name"], "my_list (+1,000)", "{name}");
    }
    assert_eq!(server.get("/group").await["proxies"].as_array().unwrap().len(), 6);
    assert_eq!(server.get("/group/POOL").await["name"], "POOL");
    // A name with a slash and other signs comes encoded.
    let path = "/proxies/a%2Fb%3F%20%F0%9F%87%A9%F0%9F%87%AA%20%234";
    assert_eq!(server.get(path).await["type"], "Vless");
    assert_eq!(server.get("/providers/proxies/my_list/node%206").await["name"], "node 6");
    for missing in
        ["/proxies/absent", "/group/node%206", "/providers/proxies/absent", "/providers/proxies/absent/node%206"]
    {
        let answer = server.ask("GET", missing, "").await;
        assert_eq!((answer.0, answer.json()), (404, json!({ "message": "Resource not found" })), "{missing}");
    }
    assert!(
        server.fake.dashboard.looks.load(std::sync::atomic::Ordering::Relaxed) <= 3,
        "many answers, few looks at the pool"
    );
}

#[tokio::test]
async fn a_member_is_selected_and_given_up() {
    let server = Server::start().await;
    let put = async |group: &str, name: &str| {
        server.ask("PUT", &format!("/proxies/{group}"), &json!({ "name": name }).to_string()).await
    };
    assert_eq!(put("POOL", "node 6").await.0, 204);
    assert_eq!(server.fake.dashboard.selections.lock().get(&Group::Pool), Some(&GroupMember::Node(id(6))));
    let pool = server.get("/proxies/POOL").await;
    assert_eq!((&pool["now"], &pool["all"][1]), (&json!("node 6"), &json!("node 6")), "the selected one is in front");
    assert_eq!(put("POOL", "DE").await.0, 204);
    assert_eq!(put("DE", "node 8").await.0, 204);
    assert_eq!(put("POOL", "my_list").await.0, 204);
    let selections = server.fake.dashboard.selections.lock().clone();
    let expected =
        [(Group::Pool, GroupMember::Source("my/list".into())), (Group::Country(*b"DE"), GroupMember::Node(id(8)))];
    assert_eq!(selections, BTreeMap::from(expected));
    // A selected node that is dead is not shown as the one in use.
    assert_eq!(put("POOL", "node 9").await.0, 204);
    assert_eq!(server.get("/proxies/POOL").await["now"], "AUTO");
    assert_eq!(put("POOL", "AUTO").await.0, 204);
    assert_eq!(server.ask("DELETE", "/proxies/DE", "").await.0, 204);
    assert!(server.fake.dashboard.selections.lock().is_empty());
    for (group, name, status, message) in [
        ("POOL", "absent", 400, "Selector update error: proxy not exist"),
        ("DE", "US", 400, "Selector update error: proxy not exist"),
        ("AUTO", "node 6", 400, "Must be a Selector"),
        ("node%206", "node 6", 400, "Must be a Selector"),
        ("absent", "node 6", 404, "Resource not found"),
    ] {
        let answer = put(group, name).await;
        assert_eq!((answer.0, answer.json()), (status, json!({ "message": message })), "{group} {name}");
    }
    assert_eq!(put("GLOBAL", "POOL").await.0, 204);
    assert_eq!(put("GLOBAL", "DE").await.0, 400);
    let broken = server.ask("PUT", "/proxies/POOL", "{").await;
    assert_eq!((broken.0, broken.json()), (400, json!({ "message": "Body invalid" })));
}

#[tokio::test]
async fn long_answers_are_compressed_and_sent_once() {
    let server = Server::start().await;
    let headers = "Authorization: Bearer secret\r\nAccept-Encoding: gzip\r\n";
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!("GET /proxies HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let head = String::from_utf8_lossy(&answer).to_lowercase();
    assert!(head.contains("content-encoding: gzip"), "{head:.300}");
    let Answer(_, head, _) = server.ask("GET", "/providers/proxies", "").await;
    let tag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}")] {
        let headers = format!("Authorization: Bearer secret\r\nIf-None-Match: {known}\r\n");
        let answer = server.ask_with("GET", "/providers/proxies", &headers, "").await;
        assert_eq!((answer.0, answer.2.len()), (304, 0), "{known}");
    }
}

#[tokio::test]
async fn tests_of_nodes_need_their_parameters() {
    let server = Server::start().await;
    for query in [
        "",
        "?timeout=100",
        "?url=http://a.test/",
        "?url=http://a.test/&timeout=32768",
        "?url=http://a.test/&timeout=-1",
        "?url=file:///etc/passwd&timeout=100",
    ] {
        let answer = server.ask("GET", &format!("/proxies/node%206/delay{query}"), "").await;
        assert_eq!((answer.0, answer.json()), (400, json!({ "message": "Body invalid" })), "{query}");
    }
    // The fake prober never says anything.
    let answer = server.ask("GET", "/proxies/node%206/delay?url=http://a.test/&timeout=100", "").await;
    assert_eq!((answer.0, answer.json()), (504, json!({ "message": "Timeout" })));
    let answer = server.ask("GET", "/group/DE/delay?url=http://a.test/&timeout=40000", "").await;
    assert_eq!((answer.0, answer.json()), (504, json!({ "message": "get delay: all proxies timeout" })));
    assert_eq!(server.ask("GET", "/providers/proxies/my_list/healthcheck", "").await.0, 204);
    assert_eq!(server.ask("PUT", "/providers/proxies/my_list", "").await.0, 204);
}

#[test]
fn of_many_sources_those_with_the_most_nodes_that_work_become_groups() {
    let fake = Fake::default();
    let named = |number: usize| SourceDto { name: format!("s{number:03}"), healthy: number, ..source() };
    let pool = DashboardPool {
        sources: (0..500).map(named).collect(),
        selections: vec![(Group::Pool, GroupMember::Source("s007".into()))],
        ..fake.dashboard_pool(&DashboardView::Best, 10)
    };
    let view = PoolView::new(pool, fake.dashboard_instance());
    let names: Vec<&str> = view.groups.iter().map(|group| &*group.name).skip(5).collect();
    assert_eq!((names.len(), names[0], names[1], names[60]), (61, "s007", "s440", "s499"), "and the selected one");
    assert_eq!(view.group("POOL").unwrap().now.as_deref(), Some("s007"));
    assert_eq!(view.providers.len(), 501, "all of them are providers, and so are the nodes that none of them lists");
}
