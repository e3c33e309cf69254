//! Bans of exits for sites, as a client sees them.

use async_trait::async_trait;

use super::{
    fake::{Fake, node},
    *,
};

fn ban() -> SiteBanDto {
    SiteBanDto {
        id: "example.com@203.0.113.7".into(),
        site: "example.com".into(),
        exit: "203.0.113.7".into(),
        since: 1,
        until: 2,
        reason: String::new(),
    }
}

#[async_trait]
impl SiteBansPort for Fake {
    fn site_bans(&self, query: &SiteBansQuery) -> Result<SiteBansPage, ApiError> {
        let items: Vec<_> =
            Some(ban()).filter(|ban| query.site.as_ref().is_none_or(|site| *site == ban.site)).into_iter().collect();
        Ok(SiteBansPage { total: items.len(), items, next: None })
    }

    async fn ban_exit(&self, request: &SiteBanRequest) -> Result<Saved<SiteBanDto>, ApiError> {
        if request.node.as_ref().is_some_and(|id| *id != node().id) {
            return Err(ApiError::NotFound);
        }
        Ok(Saved { done: ban(), stored: request.reason.is_none() })
    }

    async fn lift_site_ban(&self, id: &str) -> Result<Saved<SiteBansLifted>, ApiError> {
        Ok(Saved { done: SiteBansLifted { lifted: usize::from(id == ban().id) }, stored: true })
    }

    async fn lift_site_bans(&self, filter: &SiteBansFilter) -> Result<Saved<SiteBansLifted>, ApiError> {
        if *filter == SiteBansFilter::default() {
            return Err(ApiError::BadRequest("the filter says nothing".into()));
        }
        Ok(Saved { done: SiteBansLifted { lifted: 1 }, stored: true })
    }
}

#[tokio::test]
async fn bans_of_exits_are_listed_made_and_lifted() {
    let (status, body) = ask(&request("GET", "/api/v1/bans/sites?site=example.com&sort=-until&limit=5", "")).await;
    assert_eq!((status, serde_json::from_str::<SiteBansPage>(&body).unwrap().items), (200, vec![ban()]));
    let (_, body) = ask(&request("GET", "/api/v1/bans/sites?site=example.org", "")).await;
    assert_eq!(serde_json::from_str::<SiteBansPage>(&body).unwrap().total, 0);
    assert_eq!(ask(&request("GET", "/api/v1/bans/sites?colour=red", "")).await.0, 400);

    let add = async |body: &str| ask(&request("POST", "/api/v1/bans/sites", body)).await.0;
    assert_eq!(add(r#"{"site":"example.com","exit":"203.0.113.7","seconds":60}"#).await, 200);
    assert_eq!(add(r#"{"site":"example.com","exit":"203.0.113.7","reason":"captcha"}"#).await, 202, "not stored yet");
    assert_eq!(add(r#"{"site":"example.com","node":"ff"}"#).await, 404);
    for wrong in ["", r#"{"exit":"203.0.113.7"}"#, r#"{"site":"example.com","colour":"red"}"#] {
        assert_eq!(add(wrong).await, 400, "{wrong}");
    }

    let lift =
        async |path: &str, body: &str| ask(&request("DELETE", &format!("/api/v1/bans/sites{path}"), body)).await.0;
    assert_eq!(lift("", r#"{"site":"example.com"}"#).await, 200);
    assert_eq!(lift("", "").await, 400, "not all of them by mistake");
    assert_eq!(lift("/example.com@203.0.113.7", "").await, 200);
    assert_eq!(lift("/example.com%40203.0.113.7", "").await, 200);
    assert_eq!(lift("/example.org@203.0.113.7", "").await, 404);
}
