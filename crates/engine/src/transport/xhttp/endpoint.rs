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
    budget::ConnectionBudget,
    quic::QuicServer,
    security::SecureConnector,
    transport::{
        http2_body::Raw,
        http2_pool::{Http2Pool, Limits, MuxStream, StreamPermit},
        http3::Http3Pool,
        server_name,
    },
};

/// Builds what connects to a server that is spoken to by this version of HTTP.
pub(in crate::transport) type ConnectorFactory<'a> =
    dyn Fn(&Target, &Security, Version) -> Result<Endpoint, BuildError> + 'a;

/// What connects to a server.
#[derive(Debug)]
pub(in crate::transport) enum Endpoint {
    Http1(Arc<SecureConnector>),
    Http2(Arc<SecureConnector>, ConnectionBudget),
    Http3(Box<QuicServer>),
}

/// One server of a node.
#[derive(Debug)]
pub(super) struct XhttpEndpoint {
    pub(super) plan: Arc<Plan>,
    pub(super) connections: Connections,
}

/// What requests go over.
#[derive(Debug)]
pub(super) enum Connections {
    /// A new connection for each download, and one for all uploads.
    Http1(Arc<SecureConnector>),
    /// Shared ones.
    Http2(Arc<SecureConnector>, Arc<Http2Pool>),
    /// Shared ones, over QUIC.
    Http3(Arc<Http3Pool>),
}

impl XhttpEndpoint {
    /// Prepares the requests. A session needs `streams` of them at the same time.
    ///
    /// # Errors
    /// [`BuildError`] for settings that HTTP cannot carry.
    pub(super) fn new(
        settings: &Xhttp,
        extra: Extra,
        security: &Security,
        server: &Target,
        endpoint: Endpoint,
        streams: usize,
    ) -> Result<Self, BuildError> {
        let limits = Limits { streams_per_permit: u32::try_from(streams).unwrap_or(1), ..extra.limits };
        let secure = *security != Security::None;
        let plan = Arc::new(Plan::new(settings, extra, server_name(security), server.host(), secure)?);
        let connections = match endpoint {
            Endpoint::Http1(connector) => Connections::Http1(connector),
            Endpoint::Http2(connector, budget) => {
                Connections::Http2(connector, Arc::new(Http2Pool::new(limits, budget)))
            }
            Endpoint::Http3(server) => Connections::Http3(Arc::new(Http3Pool::new(*server, limits))),
        };
        Ok(Self { plan, connections })
    }

    /// Opens a session that is a single request, whose answer is the download.
    ///
    /// # Errors
    /// [`DialError`] when there is no connection and none can be opened.
    pub(super) async fn open_in_one_request(&self, attempt: &Attempt) -> Result<BoxStream, DialError> {
        match &self.connections {
            // It was built for a mode that streams.
            Connections::Http1(_) => {
                Err(DialError::new(Stage::Transport, Cause::Unsupported("XHTTP's stream-one mode")))
            }
            Connections::Http2(connector, connections) => {
                let head = self.plan.head(Purpose::Both, true);
                let (permit, exchange) = connections.request(connector, &head, false, attempt).await?;
                Ok(Box::new(MuxStream::new(permit, exchange, Raw)))
            }
            Connections::Http3(connections) => {
                let head = self.plan.head(Purpose::Both, true);
                Ok(Box::new(connections.request(&head, false, attempt).await?))
            }
        }
    }

    /// Asks for the download of a session. Where it shares a connection, the upload may share its permit.
    ///
    /// # Errors
    /// As [`XhttpEndpoint::open_in_one_request`].
    pub(super) async fn download(
        &self,
        session: &str,
        attempt: &Attempt,
    ) -> Result<(Download, Option<Arc<StreamPermit>>), DialError> {
        let purpose = Purpose::Download { session };
        match &self.connections {
            Connections::Http1(connector) => {
                let stream = connector.connect(attempt).await?;
                let begin = http1::Download::begin(stream, self.plan.head(purpose, false));
                Ok((Download::Http1(attempt.stage(Stage::Transport, begin).await?), None))
            }
            Connections::Http2(connector, connections) => {
                let head = self.plan.head(purpose, true);
                let (permit, exchange) = connections.request(connector, &head, true, attempt).await?;
                let stream = MuxStream::new(Arc::clone(&permit), exchange, Raw);
                Ok((Download::Shared(Box::new(stream)), Some(permit)))
            }
            Connections::Http3(connections) => {
                let stream = connections.request(&self.plan.head(purpose, true), true, attempt).await?;
                Ok((Download::Shared(Box::new(stream)), None))
            }
        }
    }

    /// Begins the upload of a session, on its download's permit if that is at this server too.
    ///
    /// # Errors
    /// As [`XhttpEndpoint::open_in_one_request`].
    pub(super) async fn upload(
        &self,
        mode: XhttpMode,
        session: Arc<str>,
        permit: Option<Arc<StreamPermit>>,
        attempt: &Attempt,
    ) -> Result<Upload, DialError> {
        let plan = Arc::clone(&self.plan);
        match (&self.connections, mode) {
            (Connections::Http1(connector), _) => {
                let posts = http1::Posts::new(plan, session, Arc::clone(connector));
                Ok(Upload::Packets(Packets::start(&self.plan, posts)))
            }
            (Connections::Http2(connector, connections), XhttpMode::StreamUp) => {
                let head = plan.head(Purpose::Upload { session: &session }, true);
                let (permit, exchange) = match permit {
                    Some(permit) => {
                        let failed = |cause| DialError::new(Stage::Transport, cause);
                        let exchange = permit.request(head, false).map_err(failed)?;
                        (permit, exchange)
                    }
                    None => connections.request(connector, &head, false, attempt).await?,
                };
                Ok(Upload::Stream(Box::new(MuxStream::new(permit, exchange, Raw))))
            }
            (Connections::Http3(connections), XhttpMode::StreamUp) => {
                let head = plan.head(Purpose::Upload { session: &session }, true);
                Ok(Upload::Stream(Box::new(connections.request(&head, false, attempt).await?)))
            }
            (Connections::Http3(connections), _) => {
                let posts = http3::Posts { plan, session, connections: Arc::clone(connections) };
                Ok(Upload::Packets(Packets::start(&self.plan, posts)))
            }
            (Connections::Http2(connector, connections), _) => {
                let permit = match permit {
                    Some(permit) => permit,
                    None => Arc::new(connections.permit(connector, attempt).await?),
                };
                let (connections, connector) = (Arc::clone(connections), Arc::clone(connector));
                let posts = http2::Posts { plan, session, connections, connector, permit };
                Ok(Upload::Packets(Packets::start(&self.plan, posts)))
            }
        }
    }
}
