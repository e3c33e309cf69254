//! `/view/…`: other parts of the pool.

use super::*;

/// The names in the group POOL behind AUTO and the groups.
async fn shown(server: &Server, view: &str) -> Vec<String> {
    let proxies = server.get(&format!("{view}/proxies")).await["proxies"].clone();
    let all = proxies["POOL"]["all"].as_array().unwrap();
    all.iter().skip(4).map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_view_shows_its_part_of_the_pool() {
    let server = Server::start().await;
    server.fake.dashboard.settings.lock().nodes = 5;
    assert_eq!(shown(&server, "").await.len(), 5);
    assert_eq!(shown(&server, "/view/all").await.len(), 10);
    assert_eq!(shown(&server, "/view/healthy").await.len(), 9);
    assert_eq!(shown(&server, "/view/source/my%2Flist").await.len(), 10);
    assert_eq!(shown(&server, "/view/source/other").await.len(), 0);
    let german = shown(&server, "/view/country/de").await;
    assert_eq!(
        german,
        ["node 0 #000000", "twin #020202", "a/b? 🇩🇪 #4", "node 6", "node 8"],
        "names are the same in every view"
    );
    // The provider says how many are hidden.
    let providers = server.get("/view/country/de/providers/proxies").await["providers"].clone();
    assert_eq!(providers["my_list (+1,005)"]["proxies"].as_array().unwrap().len(), 5);
    // What is selected in one view is shown in the others.
    assert_eq!(server.ask("PUT", "/view/country/de/proxies/POOL", "{\"name\":\"node 6\"}").await.0, 204);
    for view in ["/view/all", "/view/country/de"] {
        assert_eq!(server.get(&format!("{view}/proxies/POOL")).await["now"], "node 6", "{view}");
    }
    assert_eq!(server.get("/view/all/providers/proxies/my_list/node%206").await["name"], "node 6");
    let mut socket = server.socket("/view/country/de/connections").await.unwrap();
    assert_eq!(next_line(&mut socket).await["connections"][0]["chains"][0], "node 6");
}

#[tokio::test]
async fn a_view_needs_the_token_and_there_are_few_at_a_time() {
    let server = Server::start().await;
    assert_eq!(server.ask_with("GET", "/view/all/proxies", "", "").await.0, 401);
    let preflight = "Origin: https://board.example\r\nAccess-Control-Request-Method: PUT\r\n";
    assert_eq!(server.ask_with("OPTIONS", "/view/all/proxies/POOL", preflight, "").await.0, 200);
    for path in [
        "/view",
        "/view/",
        "/view/odd/proxies",
        "/view/country/germany/proxies",
        "/view/all/none",
        "/view/all/view/all/proxies",
    ] {
        assert_eq!(server.ask("GET", path, "").await.0, 404, "{path}");
    }
    let mut open = Vec::new();
    for letter in 'A'..='H' {
        open.push(server.socket(&format!("/view/country/A{letter}/connections")).await.unwrap());
    }
    let refused = server.ask("GET", "/view/all/proxies", "").await;
    assert_eq!((refused.0, refused.json()), (503, json!({ "message": "too many views are in use" })));
    assert_eq!(server.ask("GET", "/view/country/aa/proxies", "").await.0, 200, "this one is in use already");
    assert_eq!(server.ask("GET", "/proxies", "").await.0, 200);
}
