//! One server of a session: the heads of the requests to it, and the connections that they go over.

use std::sync::Arc;

use hezar_core::{Security, Stage, Target, Xhttp, XhttpMode};

use super::{
    Version,
    extra::Extra,
    http1, http2, http3,
    plan::{Plan, Purpose},
    stream::{Download, Upload},
    upload::Packets,
};
use crate::{
    Attempt, BoxStream, BuildError, Cause, DialError,
    quic::Server,
    transport::{
        connector::Road,
        http2_pool::{Connections, Limits, MuxStream, Raw, Seat},
        http3::Connections as QuicConnections,
        server_name,
    },
};

/// How the way to a server is built, if its version of HTTP is this one.
pub(in crate::transport) type Lay<'a> = dyn Fn(&Target, &Security, Version) -> Result<Way, BuildError> + 'a;

/// The way to a server.
#[derive(Debug)]
pub(in crate::transport) enum Way {
    Http1(Arc<Road>),
    Http2(Arc<Road>),
    Http3(Box<Server>),
}

/// One server of a node.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) plan: Arc<Plan>,
    pub(super) lines: Lines,
}

/// What requests go over.
#[derive(Debug)]
pub(super) enum Lines {
    /// A new connection for each download, and one for all uploads.
    Http1(Arc<Road>),
    /// Shared ones.
    Http2(Arc<Road>, Arc<Connections>),
    /// Shared ones, over QUIC.
    Http3(Arc<QuicConnections>),
}

impl Door {
    /// Prepares the requests. A session needs `streams` of them at the same time.
    ///
    /// # Errors
    /// [`BuildError`] for settings that HTTP cannot carry.
    pub(super) fn new(
        settings: &Xhttp,
        extra: Extra,
        security: &Security,
        server: &Target,
        way: Way,
        streams: usize,
    ) -> Result<Self, BuildError> {
        let limits = Limits { streams_per_seat: u32::try_from(streams).unwrap_or(1), ..extra.limits };
        let secure = *security != Security::None;
        let plan = Arc::new(Plan::new(settings, extra, server_name(security), server.host(), secure)?);
        let lines = match way {
            Way::Http1(road) => Lines::Http1(road),
            Way::Http2(road) => Lines::Http2(road, Arc::new(Connections::new(limits))),
            Way::Http3(server) => Lines::Http3(Arc::new(QuicConnections::new(*server, limits))),
        };
        Ok(Self { plan, lines })
    }

    /// Opens a session that is a single request.
    ///
    /// # Errors
    /// [`DialError`] when there is no connection and none can be opened.
    pub(super) async fn both(&self, attempt: &Attempt) -> Result<BoxStream, DialError> {
        match &self.lines {
            // It was built for a mode that streams.
            Lines::Http1(_) => Err(DialError::new(Stage::Transport, Cause::Unsupported("XHTTP's stream-one mode"))),
            Lines::Http2(road, connections) => {
                let head = self.plan.head(Purpose::Both, true);
                let (seat, exchange) = connections.request(road, &head, false, attempt).await?;
                Ok(Box::new(MuxStream::new(seat, exchange, Raw)))
            }
            Lines::Http3(connections) => {
                let head = self.plan.head(Purpose::Both, true);
                Ok(Box::new(connections.request(&head, false, attempt).await?))
            }
        }
    }

    /// Asks for the download of a session. Where it shares a connection, the upload may share its seat.
    ///
    /// # Errors
    /// As [`Door::both`].
    pub(super) async fn download(
        &self,
        session: &str,
        attempt: &Attempt,
    ) -> Result<(Download, Option<Arc<Seat>>), DialError> {
        let purpose = Purpose::Download { session };
        match &self.lines {
            Lines::Http1(road) => {
                let stream = road.connect(attempt).await?;
                let begin = http1::Download::begin(stream, self.plan.head(purpose, false));
                Ok((Download::Http1(attempt.stage(Stage::Transport, begin).await?), None))
            }
            Lines::Http2(road, connections) => {
                let head = self.plan.head(purpose, true);
                let (seat, exchange) = connections.request(road, &head, true, attempt).await?;
                let stream = MuxStream::new(Arc::clone(&seat), exchange, Raw);
                Ok((Download::Shared(Box::new(stream)), Some(seat)))
            }
            Lines::Http3(connections) => {
                let stream = connections.request(&self.plan.head(purpose, true), true, attempt).await?;
                Ok((Download::Shared(Box::new(stream)), None))
            }
        }
    }

    /// Begins the upload of a session, on its download's seat if that is at this server too.
    ///
    /// # Errors
    /// As [`Door::both`].
    pub(super) async fn upload(
        &self,
        mode: XhttpMode,
        session: Arc<str>,
        seat: Option<Arc<Seat>>,
        attempt: &Attempt,
    ) -> Result<Upload, DialError> {
        let plan = Arc::clone(&self.plan);
        match (&self.lines, mode) {
            (Lines::Http1(road), _) => {
                let posts = http1::Posts::new(plan, session, Arc::clone(road));
                Ok(Upload::Packets(Packets::start(&self.plan, posts)))
            }
            (Lines::Http2(road, connections), XhttpMode::StreamUp) => {
                let head = plan.head(Purpose::Upload { session: &session }, true);
                let (seat, exchange) = match seat {
                    Some(seat) => {
                        let failed = |cause| DialError::new(Stage::Transport, cause);
                        let exchange = seat.request(head, false).map_err(failed)?;
                        (seat, exchange)
                    }
                    None => connections.request(road, &head, false, attempt).await?,
                };
                Ok(Upload::Stream(Box::new(MuxStream::new(seat, exchange, Raw))))
            }
            (Lines::Http3(connections), XhttpMode::StreamUp) => {
                let head = plan.head(Purpose::Upload { session: &session }, true);
                Ok(Upload::Stream(Box::new(connections.request(&head, false, attempt).await?)))
            }
            (Lines::Http3(connections), _) => {
                let posts = http3::Posts { plan, session, connections: Arc::clone(connections) };
                Ok(Upload::Packets(Packets::start(&self.plan, posts)))
            }
            (Lines::Http2(road, connections), _) => {
                let seat = match seat {
                    Some(seat) => seat,
                    None => Arc::new(connections.seat(road, attempt).await?),
                };
                let (connections, road) = (Arc::clone(connections), Arc::clone(road));
                let posts = http2::Posts { plan, session, connections, road, seat };
                Ok(Upload::Packets(Packets::start(&self.plan, posts)))
            }
        }
    }
}
