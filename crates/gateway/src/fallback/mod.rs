//! What answers whoever is no user of an encrypted inbound: the files of a folder, a web server behind it, or the errors of a site
//! without pages.

mod lent_stream;
mod placed_body;
mod relay;
mod site;
#[cfg(test)]
mod tests;
mod visitors;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use hezar_core::Target;
use hezar_engine::{
    BoxStream, Dialer,
    server::{WebAnswer, WebBody},
};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use self::{
    placed_body::PlacedBody,
    site::Site,
    visitors::{Visitor, Visitors},
};
use crate::InboundFallback;

/// What answers the strangers of one inbound. Who they are, and why they are no users, makes no difference to it.
pub(crate) struct Fallback {
    site: Arc<Site>,
    address: Option<Target>,
    /// This machine's own sockets: the address is the operator's, and no byte of a client chooses it.
    direct: Arc<dyn Dialer>,
    visitors: Visitors,
}

impl Fallback {
    /// The fallback of these settings, whose web server is reached through `direct`.
    pub(crate) fn new(settings: &InboundFallback, direct: Arc<dyn Dialer>) -> Self {
        if let Some(folder) = settings.folder.as_deref().filter(|folder| !folder.is_dir()) {
            tracing::warn!(folder = %folder.display(), "strangers see a site without pages: there is no such folder");
        }
        Self {
            site: Arc::new(Site::new(settings.folder.clone())),
            address: settings.address.clone(),
            direct,
            visitors: Visitors::new(),
        }
    }

    /// Serves a stranger to its end. Our own site gives one up that has asked for nothing until `patience` ends; between a stranger and
    /// a web server nothing may move for `idle`. When too many are served already, the one that has been silent for the longest gives
    /// way, as at a web server; when all of them are busy, the connection is closed.
    pub(crate) async fn serve(&self, stream: BoxStream, patience: Instant, idle: Duration) {
        let Some(place) = self.visitors.connection().await else { return };
        let visitor = &place.visitor;
        visitor.leave.run_until_cancelled(self.serve_visitor(stream, visitor, patience, idle)).await;
    }

    async fn serve_visitor(&self, stream: BoxStream, visitor: &Arc<Visitor>, patience: Instant, idle: Duration) {
        let Some(address) = &self.address else {
            return site::serve(Arc::clone(&self.site), stream, visitor, patience).await;
        };
        if let Err(unserved) = relay::join(&*self.direct, address, stream, idle, || visitor.note_move()).await {
            site::serve(Arc::new(Site::failing(StatusCode::BAD_GATEWAY)), unserved, visitor, patience).await;
        }
    }
}

#[async_trait]
impl WebAnswer for Fallback {
    /// One connection may ask for much at a time, and each answer may need a file or a socket: too many are told to come later.
    async fn answer(&self, request: Request<Bytes>) -> Response<WebBody> {
        let method = request.method().clone();
        let Some(place) = self.visitors.place().await else {
            return site::plain(StatusCode::SERVICE_UNAVAILABLE, &method);
        };
        let answer = match &self.address {
            None => self.site.answer(request.map(drop)).await,
            Some(address) => {
                let answer = relay::exchange(&*self.direct, address, request).await;
                answer.unwrap_or_else(|| site::plain(StatusCode::BAD_GATEWAY, &method))
            }
        };
        answer.map(|body| PlacedBody::new(body, place).boxed_unsync())
    }
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fallback").field("site", &self.site).field("address", &self.address).finish_non_exhaustive()
    }
}
