//! Who asks the API, and what a token's scope lets it do.

use std::sync::Arc;

use axum::http::Method;

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    Admin,
    /// Every GET of the API.
    Read,
    /// Telling what a client saw at a site (`POST /api/v1/feedback`).
    Feedback,
    /// Reading one subscription, and nothing of the API.
    Subscription,
    /// Following the nodes that work, with their links (`GET /api/v1/feed`): what another instance needs, and nothing else.
    Feed,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 5] = [Self::Admin, Self::Read, Self::Feedback, Self::Subscription, Self::Feed];

    /// The name in the API, the store and the documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Read => "read",
            Self::Feedback => "feedback",
            Self::Subscription => "subscription",
            Self::Feed => "feed",
        }
    }

    /// The scope that a request needs; the path is the one behind `/api/v1`.
    pub(crate) fn needed(method: &Method, path: &str) -> Self {
        if *method == Method::POST && path == "/feedback" {
            Self::Feedback
        } else if path == "/feed" || path.starts_with("/feed/") {
            Self::Feed
        } else if shows_secret(path) {
            Self::Admin
        } else if *method == Method::GET || *method == Method::HEAD {
            Self::Read
        } else {
            Self::Admin
        }
    }

    /// Whether a token of this scope may do what needs `needed`.
    pub(crate) fn covers(self, needed: Self) -> bool {
        self == Self::Admin || self == needed
    }
}

/// Whether the answer to a path holds a secret: a link the credentials of its node or user, an address the token of its subscription.
fn shows_secret(path: &str) -> bool {
    let secrets = [("/nodes/", "/link"), ("/subscriptions/", "/address"), ("/users/", "/links")];
    secrets.iter().any(|(list, end)| path.strip_prefix(list).is_some_and(|rest| rest.ends_with(end)))
}

/// Who a request comes from. Handlers take it as an `Extension`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The name of the token, for the audit.
    pub name: Arc<str>,
    /// What it may do.
    pub scope: Scope,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_itself_and_admin_covers_all() {
        let needed = |method: Method, path: &str| Scope::needed(&method, path);
        assert_eq!(needed(Method::GET, "/nodes"), Scope::Read);
        assert_eq!(needed(Method::HEAD, "/nodes"), Scope::Read);
        assert_eq!(needed(Method::GET, "/nodes/ab/link"), Scope::Admin);
        assert_eq!(needed(Method::GET, "/subscriptions/phone/address"), Scope::Admin);
        assert_eq!(needed(Method::GET, "/subscriptions/address"), Scope::Read);
        assert_eq!(needed(Method::GET, "/users/ali/links"), Scope::Admin);
        assert_eq!(needed(Method::GET, "/users/ali/usage"), Scope::Read);
        assert_eq!(needed(Method::GET, "/feed"), Scope::Feed);
        assert_eq!(needed(Method::GET, "/feed/changes"), Scope::Feed);
        assert_eq!(needed(Method::POST, "/feedback"), Scope::Feedback);
        assert_eq!(needed(Method::POST, "/feedback/"), Scope::Admin);
        assert_eq!(needed(Method::DELETE, "/feedback"), Scope::Admin);
        assert_eq!(needed(Method::POST, "/probe"), Scope::Admin);
        for scope in Scope::ALL {
            for needed in Scope::ALL {
                assert_eq!(scope.covers(needed), scope == Scope::Admin || scope == needed);
            }
        }
    }
}
