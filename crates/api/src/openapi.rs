//! What the OpenAPI document says besides the routes: its head, how to sign in, and the errors that every route has.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode};
use serde_json::Value;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Components, Content, ContentBuilder, Info, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Response,
        ResponseBuilder, Schema,
        path::{Operation, PathItem},
        request_body::RequestBody,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
        tag::TagBuilder,
    },
};

use crate::{
    Scope,
    problem::{PROBLEM_JSON, ProblemDto},
};

/// The path in front of every route that needs a token.
pub(crate) const PREFIX: &str = "/api/v1";

/// The path in front of the metrics, of which some always need a token, and all of them where the configuration says so.
const METRICS: &str = "/metrics";

/// The name of the security scheme of tokens.
const TOKEN: &str = "token";

/// The groups of routes, in the order of the document.
const TAGS: &[(&str, &str)] = &[
    ("status", "Whether it works, and what goes on."),
    ("nodes", "Upstream proxies: list, add, remove, probe."),
    ("bans", "Nodes that must not come back, and exits that are not used for a site."),
    ("sessions", "Names that keep the same exit, and what clients saw at sites."),
    ("connections", "Requests, tunnels and associations that are alive."),
    ("jobs", "Work that goes on after its request was answered."),
    ("usage", "What users have moved."),
    (
        "settings",
        "Sources, listeners, users and settings: what the file says, and what is made while the program runs.",
    ),
    ("tokens", "Who may do what, and the record of changes."),
    ("page", "How browsers sign in to the web page."),
];

/// Statuses of refusals that every route has.
const ALWAYS: &[u16] = &[400, 421, 500, 503];
/// Statuses of refusals of routes that need a token.
const GUARDED: &[u16] = &[401, 403];
/// Statuses of refusals of routes that read a body.
const WITH_BODY: &[u16] = &[408, 413, 415];
/// The status of routes that make or change what may be there already, or in another place.
const WITH_NAMES: &[u16] = &[409];
/// What these routes begin with, behind [`PREFIX`].
const NAMED: &[&str] = &["/sources", "/listeners", "/users", "/subscriptions", "/settings", "/tokens"];
/// The status of routes that name one thing in their path.
const WITH_SEGMENT: &[u16] = &[404];

/// The document without its routes.
pub(crate) fn base() -> OpenApi {
    let tags = TAGS.iter().map(|(name, text)| TagBuilder::new().name(*name).description(Some(*text)).build());
    let mut info = Info::new("Hezar", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "The control API. Errors are problem details (RFC 9457) with a stable `code`. Fields of answers may be added at any \
         time; those that exist keep their meaning."
            .to_owned(),
    );
    OpenApiBuilder::new()
        .info(info)
        .tags(Some(tags))
        .components(Some(components()))
        .security(Some([SecurityRequirement::new(TOKEN, [] as [&str; 0])]))
        .build()
}

fn components() -> Components {
    let mut components = Components::new();
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The token in the file `token` of the data folder, or one that `POST /api/v1/tokens` gave."))
        .build();
    components.add_security_scheme(TOKEN, SecurityScheme::Http(token));
    let name = ProblemDto::name().into_owned();
    components.schemas.insert(name.clone(), ProblemDto::schema());
    for status in [ALWAYS, GUARDED, WITH_BODY, WITH_SEGMENT, WITH_NAMES].concat() {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(&name))).build();
        let response = ResponseBuilder::new().description(reason(status)).content(PROBLEM_JSON, content).build();
        components.responses.insert(format!("Problem{status}"), RefOr::T(response));
    }
    components
}

fn reason(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}

/// Adds what every route of a kind has: its refusals, and whether its body may be empty.
pub(crate) fn complete(mut document: OpenApi) -> OpenApi {
    let demanding = document.components.as_ref().map(demanding_schemas).unwrap_or_default();
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            refusals(path, &method, operation);
            if let Some(RefOr::T(body)) = &mut operation.request_body
                && may_be_empty(body, &demanding)
            {
                body.required = Some(Required::False);
            }
        }
    }
    document
}

/// The names of the schemas that have a member which must be given.
fn demanding_schemas(components: &Components) -> BTreeSet<String> {
    let demands = |schema: &RefOr<Schema>| match schema {
        RefOr::T(Schema::Object(object)) => !object.required.is_empty(),
        _ => true,
    };
    components.schemas.iter().filter(|(_, schema)| demands(schema)).map(|(name, _)| name.clone()).collect()
}

/// Whether a body may be absent: an empty one is read as `{}`, or as a text without lines.
fn may_be_empty(body: &RequestBody, demanding: &BTreeSet<String>) -> bool {
    body.content.iter().all(|(kind, content)| match content {
        RefOr::T(Content { schema: Some(RefOr::Ref(schema)), .. }) => {
            let name = schema.ref_location.rsplit('/').next().unwrap_or_default();
            !demanding.contains(name)
        }
        RefOr::T(Content { schema: Some(RefOr::T(Schema::Object(object))), .. }) if kind.ends_with("json") => {
            object.required.is_empty()
        }
        _ => kind.starts_with("text/"),
    })
}

/// Says of numbers without a sign how large they may be: the formats `int32` and `int64` would end at half of that.
pub(crate) fn widen_unsigned(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(widen_unsigned),
        Value::Object(members) => {
            let largest = match members.get("format").and_then(Value::as_str) {
                Some("int32") => Some(u64::from(u32::MAX)),
                Some("int64") => Some(u64::MAX),
                _ => None,
            };
            let is_unsigned = members.get("minimum").and_then(Value::as_u64).is_some();
            if let Some(largest) = largest.filter(|_| is_unsigned && !members.contains_key("maximum")) {
                members.remove("format");
                members.insert("maximum".to_owned(), largest.into());
            }
            members.values_mut().for_each(widen_unsigned);
        }
        _ => {}
    }
}

/// The operations of a path with their methods.
pub(crate) fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let all = [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::DELETE, &mut item.delete),
        (Method::PATCH, &mut item.patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn refusals(path: &str, method: &Method, operation: &mut Operation) {
    let guarded = [PREFIX, METRICS].into_iter().any(|prefix| path.starts_with(prefix));
    let behind = path.strip_prefix(PREFIX).unwrap_or_default();
    let changes_names = *method != Method::GET && NAMED.iter().any(|named| behind.starts_with(named));
    let kinds = [
        (true, ALWAYS),
        (changes_names, WITH_NAMES),
        (guarded, GUARDED),
        (operation.request_body.is_some(), WITH_BODY),
        (path.contains('{'), WITH_SEGMENT),
    ];
    for status in kinds.into_iter().filter(|(has, _)| *has).flat_map(|(_, statuses)| statuses) {
        let problem = || RefOr::<Response>::Ref(Ref::from_response_name(format!("Problem{status}")));
        operation.responses.responses.entry(status.to_string()).or_insert_with(problem);
    }
    let open = operation.security.as_ref().is_some_and(|needed| *needed == [SecurityRequirement::default()]);
    if guarded && !open {
        let scope = Scope::needed(method, path.strip_prefix(PREFIX).unwrap_or(path)).name();
        let said = format!("Needs a token of the scope `{scope}`.");
        let text = operation.description.take().filter(|text| !text.is_empty());
        operation.description = Some(text.map_or_else(|| said.clone(), |text| format!("{text}\n\n{said}")));
    }
}
