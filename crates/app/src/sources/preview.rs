//! What a source or a text would give: fetched and read as always, and then forgotten.

use std::{collections::HashSet, sync::Arc, time::Duration};

use hezar_api::{ApiError, PreviewNodeDto, PreviewReport, RejectDto};
use hezar_fetch::{Document, Fetched, Validators};
use hezar_formats::Parsed;
use tokio::{task::spawn_blocking, time::timeout};

use super::{Collector, is_upstream, reader::Reader, upstream::links};
use crate::{
    config::{Config, SourceConfig, SourceOrigin},
    convert,
    nodes::Nodes,
};

/// How long fetching may take, all ways together.
const LONGEST: Duration = Duration::from_secs(60);
/// Nodes and refusals that are named.
const MOST_NAMED: usize = 100;

impl Collector {
    /// Fetches a source and says what is in it. Nothing is merged or stored.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`] with the reason why nothing came.
    pub(crate) async fn preview(&self, source: &SourceConfig, config: &Config) -> Result<PreviewReport, ApiError> {
        let reader = self.factory.single(source, config);
        let documents = timeout(LONGEST, fetch(&reader))
            .await
            .map_err(|_| ApiError::BadRequest(format!("the source did not answer within {} s", LONGEST.as_secs())))??;
        read(documents, Arc::clone(&reader.source), Arc::clone(&reader.pool)).await
    }

    /// Says what is in a text.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when reading it failed by a fault of this program.
    pub(crate) async fn preview_text(&self, text: String) -> Result<PreviewReport, ApiError> {
        let document = Document { name: "".into(), bytes: text.into_bytes().into() };
        read(vec![document], Arc::default(), Arc::clone(&self.factory.pool)).await
    }
}

/// What comes over the first route that brings anything.
async fn fetch(reader: &Reader) -> Result<Vec<Document>, ApiError> {
    if matches!(reader.source.origin, SourceOrigin::Tor(_)) {
        let text = "a Tor source lists its circuits, once it is added: there is nothing to see before";
        return Err(ApiError::BadRequest(text.to_owned()));
    }
    let (spec, wall) = (convert::source(&reader.source), reader.clock.wall());
    let mut first_failure = None;
    for dialer in reader.routes.in_order() {
        match reader.fetcher.fetch(&spec, &*dialer, &Validators::default(), wall).await {
            Ok(Fetched::Documents(found)) => return Ok(found.documents),
            Ok(Fetched::NotModified) => return Ok(Vec::new()),
            Err(error) => {
                first_failure.get_or_insert_with(|| format!("the source cannot be read: {error} ({})", error.code()));
            }
        }
    }
    Err(ApiError::BadRequest(first_failure.unwrap_or_else(|| "there is no way to fetch it".to_owned())))
}

/// Reading takes a core for a while: not on a thread that serves requests.
async fn read(
    documents: Vec<Document>,
    source: Arc<SourceConfig>,
    pool: Arc<Nodes>,
) -> Result<PreviewReport, ApiError> {
    let read = spawn_blocking(move || {
        let (mut report, mut seen) = (PreviewReport::default(), HashSet::new());
        for document in documents {
            let bytes = if is_upstream(&source) { links(&document.bytes).into() } else { document.bytes };
            let Parsed { nodes, rejects, .. } =
                hezar_formats::parse_with(&bytes, &convert::hints(&source, &document.name));
            report.refused += rejects.len();
            let room = MOST_NAMED.saturating_sub(report.refusals.len());
            report.refusals.extend(rejects.iter().take(room).map(|reject| RejectDto {
                line: reject.line,
                reject: reject.code.code().to_owned(),
                excerpt: reject.excerpt.to_string(),
                hint: None,
            }));
            for entry in nodes {
                let id = entry.spec.id();
                if !seen.insert(id) {
                    continue;
                }
                report.nodes += 1;
                report.known += usize::from(pool.node(id).is_some());
                *report.schemes.entry(entry.spec.scheme().to_owned()).or_default() += 1;
                if report.sample.len() < MOST_NAMED {
                    report.sample.push(PreviewNodeDto {
                        name: entry.label.as_str().to_owned(),
                        scheme: entry.spec.scheme().to_owned(),
                        server: entry.spec.server.host().to_string(),
                        port: entry.spec.server.port(),
                    });
                }
            }
        }
        report
    });
    read.await.map_err(|_| ApiError::Internal)
}
