//! A connection of HTTP as a session: the requests of its clients, and those that the fallback answers.

use std::{future::ready, io, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::timeout;

use super::{HttpExchange, HttpServer};
use crate::{
    BoxStream,
    served::{BoxSession, InboundSession, Opening, SessionItem, StrangerReason},
};

/// How long the head of the protocol inside may take to come.
const HEAD: Duration = Duration::from_secs(30);

/// Reads what a client asks for on a stream inside the transport.
pub(crate) type Opener = Arc<dyn Fn(BoxStream) -> BoxFuture<'static, io::Result<Opening>> + Send + Sync>;

/// What a stream inside the transport turned out to be.
pub(crate) enum Opened {
    /// A client's request.
    Request(SessionItem),
    /// A client's session, with requests of its own.
    Session(BoxSession),
    /// Nobody's who is known.
    Stranger(StrangerReason),
    /// It ended or was silent.
    Nothing,
}

/// Reads what a client asks for on `stream`.
pub(crate) async fn open(opener: &Opener, stream: BoxStream) -> Opened {
    match timeout(HEAD, opener(stream)).await {
        Ok(Ok(Opening::Request(request))) => Opened::Request(SessionItem::Request(request)),
        Ok(Ok(Opening::Session(session))) => Opened::Session(session),
        Ok(Ok(Opening::Stranger(stranger))) => Opened::Stranger(stranger.why),
        _ => Opened::Nothing,
    }
}

/// What came of an exchange.
pub(crate) enum Handled {
    /// It is over.
    Done,
    /// Somebody else has to do something.
    Item(SessionItem),
    /// It carries a session, which has given this.
    Session(BoxSession, Option<SessionItem>),
    /// It is no client's, and the fallback answers it if there is a request for that.
    Stranger(StrangerReason, Option<SessionItem>),
}

/// Handles one exchange as far as the transport can.
pub(crate) type Handling = BoxFuture<'static, Handled>;

impl From<Opened> for Handled {
    fn from(opened: Opened) -> Self {
        match opened {
            Opened::Request(item) => Self::Item(item),
            Opened::Session(session) => Self::Session(session, None),
            Opened::Stranger(why) => Self::Stranger(why, None),
            Opened::Nothing => Self::Done,
        }
    }
}

impl From<Option<SessionItem>> for Handled {
    fn from(item: Option<SessionItem>) -> Self {
        item.map_or(Self::Done, Self::Item)
    }
}

/// What a session inside the transport gives next.
async fn next_of(mut session: BoxSession) -> Handled {
    match session.next().await {
        Some(item) => Handled::Session(session, Some(item)),
        None => Handled::Done,
    }
}

/// What a transport does with its exchanges.
pub(crate) trait ExchangeHandler: Send + Sync + 'static {
    /// Begins to handle one.
    fn handle(&self, exchange: HttpExchange, opener: &Opener) -> Handling;

    /// Whether there are streams now whose parts come over any of the listener's connections.
    fn has_spread_streams(&self) -> bool {
        false
    }

    /// Whether an exchange may still be handled here when others have taken the listener over.
    fn is_ours(&self, _exchange: &HttpExchange) -> bool {
        true
    }
}

/// A connection whose exchanges a transport handles, all at the same time.
pub(crate) struct HttpSession<H> {
    server: HttpServer,
    handler: Arc<H>,
    opener: Opener,
    under_way: FuturesUnordered<Handling>,
    /// Whether no more exchanges come. Those that are under way may have taken the connection over.
    is_over: bool,
    /// Whether the client is to take other connections.
    is_leaving: bool,
}

impl<H> HttpSession<H> {
    /// A connection of which no request was read.
    pub(crate) fn new(server: HttpServer, handler: &Arc<H>, opener: Opener) -> Self {
        Self {
            server,
            handler: Arc::clone(handler),
            opener,
            under_way: FuturesUnordered::new(),
            is_over: false,
            is_leaving: false,
        }
    }
}

#[async_trait]
impl<H: ExchangeHandler> InboundSession for HttpSession<H> {
    async fn next(&mut self) -> Option<SessionItem> {
        loop {
            tokio::select! {
                exchange = self.server.next(), if !self.is_over => match exchange {
                    // Its client tries again over another connection.
                    Some(exchange) if self.is_leaving && !self.handler.is_ours(&exchange) => self.is_over = true,
                    Some(exchange) => self.under_way.push(self.handler.handle(exchange, &self.opener)),
                    None => self.is_over = true,
                },
                Some(handled) = self.under_way.next(), if !self.under_way.is_empty() => {
                    let item = match handled {
                        Handled::Done => None,
                        Handled::Item(item) => Some(item),
                        Handled::Session(session, item) => {
                            self.under_way.push(Box::pin(next_of(session)));
                            item
                        }
                        Handled::Stranger(why, answered) => {
                            self.under_way.push(Box::pin(ready(answered.into())));
                            Some(SessionItem::Stranger(why))
                        }
                    };
                    let Some(item) = item else { continue };
                    if let SessionItem::Request(_) = item {
                        self.server.trust();
                    }
                    return Some(item);
                }
                else => return None,
            }
        }
    }

    fn go_away(&mut self) {
        self.is_leaving = true;
        // The parts of a stream that took other connections would come to somebody who does not know it.
        if !self.is_needed() {
            self.server.go_away();
        }
    }

    fn is_needed(&self) -> bool {
        self.handler.has_spread_streams()
    }
}
