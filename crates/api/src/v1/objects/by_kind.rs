//! `/sources`, `/listeners`, `/users` and `/subscriptions`: one set of routes, served and described once for each kind of objects.

use axum::{Extension, Json, extract::State, http::StatusCode};
use serde_json::Value;
use utoipa::openapi::path::Paths;
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter, UtoipaMethodRouterExt},
    routes,
};

use super::{change, one};
use crate::{
    ApiError, ChangeReport, ChangedBy, ListDto, ObjectChange, ObjectDto, ObjectType, ObjectsQuery,
    body::WholeBody,
    input::{NoParameters, Parameters, Segment, json_body, parameters},
    openapi::operations,
    state::ApiState,
};

/// A kind of objects, and what the OpenAPI document says of its routes.
struct Kind {
    object_type: ObjectType,
    /// The noun for one of them.
    singular: &'static str,
    /// The noun for several, which is also the path.
    plural: &'static str,
    /// What follows when one is made.
    made: &'static str,
    /// What follows when one is removed.
    removed: &'static str,
}

const KINDS: [Kind; 4] = [
    Kind {
        object_type: ObjectType::Source,
        singular: "source",
        plural: "sources",
        made: "It is read at once.",
        removed: "What it alone lists is not used any more.",
    },
    Kind {
        object_type: ObjectType::Listener,
        singular: "listener",
        plural: "listeners",
        made: "It opens at once.",
        removed: "It accepts nobody any more, and what runs may finish.",
    },
    Kind {
        object_type: ObjectType::User,
        singular: "user",
        plural: "users",
        made: "The password is stored as a hash.",
        removed: "It is refused from then on.",
    },
    Kind {
        object_type: ObjectType::Subscription,
        singular: "subscription",
        plural: "subscriptions",
        made: "Its address exists at once. Without a token it gets one, which this answer alone has.",
        removed: "Its address is unknown from then on.",
    },
];

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    KINDS.iter().fold(OpenApiRouter::new(), |router, kind| {
        let all = for_kind(routes!(list, create), kind);
        router.routes(all).routes(for_kind(routes!(get, patch, put, delete), kind))
    })
}

/// The routes at the path of a kind. Their handlers get its [`ObjectType`] as an extension.
fn for_kind((schemas, paths, handlers): UtoipaMethodRouter<ApiState>, kind: &Kind) -> UtoipaMethodRouter<ApiState> {
    (schemas, describe(paths, kind), handlers).layer(Extension(kind.object_type))
}

/// The paths of the handlers below with the words of a kind in the place of `object`, `objects`, `MADE` and `REMOVED`.
fn describe(paths: Paths, kind: &Kind) -> Paths {
    let in_words_of_kind = |text: &str| {
        text.replace("an object", &format!("a {}", kind.singular))
            .replace("objects", kind.plural)
            .replace("object", kind.singular)
            .replace("MADE", kind.made)
            .replace("REMOVED", kind.removed)
    };
    let mut described = Paths::new();
    for (path, mut item) in paths.paths {
        for (_, operation) in operations(&mut item) {
            operation.operation_id = operation.operation_id.take().map(|id| in_words_of_kind(&id));
            operation.summary = operation.summary.take().map(|text| in_words_of_kind(&text));
        }
        described.paths.insert(in_words_of_kind(&path), item);
    }
    described
}

/// The objects of the file and of the store, in the order of their names.
#[utoipa::path(
    get, path = "/objects", operation_id = "list_objects", tag = "settings", params(ObjectsQuery),
    responses((status = 200, body = ListDto<ObjectDto>))
)]
async fn list(
    State(state): State<ApiState>,
    Extension(kind): Extension<ObjectType>,
    query: Parameters<ObjectsQuery>,
) -> Result<Json<ListDto<ObjectDto>>, ApiError> {
    let query = parameters(query)?;
    state.off_thread(move |control| control.objects(kind, &query)).await?.map(Json)
}

/// Makes an object. MADE
#[utoipa::path(
    post, path = "/objects", operation_id = "create_object", tag = "settings",
    request_body = std::collections::BTreeMap<String, serde_json::Value>,
    responses((status = 201, body = ObjectDto))
)]
async fn create(
    State(state): State<ApiState>,
    Extension(kind): Extension<ObjectType>,
    _: NoParameters,
    by: ChangedBy,
    body: WholeBody,
) -> Result<(StatusCode, Json<ObjectDto>), ApiError> {
    let mut value: Value = json_body(&body)?;
    let name = value.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if name.is_empty() {
        return Err(ApiError::BadRequest("the body needs a name".to_owned()));
    }
    let token = kind.make_missing_token(&mut value);
    let Json(made) = change(&state, &by, kind, &name, ObjectChange::Create(value)).await?;
    Ok((StatusCode::CREATED, Json(ObjectDto { token, ..made })))
}

/// One object with what is in force, secrets hidden.
#[utoipa::path(
    get, path = "/objects/{name}", operation_id = "get_object", tag = "settings",
    params(("name" = String, Path, description = "Its name")), responses((status = 200, body = ObjectDto))
)]
async fn get(
    State(state): State<ApiState>,
    Extension(kind): Extension<ObjectType>,
    Segment(name): Segment,
    _: NoParameters,
) -> Result<Json<ObjectDto>, ApiError> {
    one(&state, kind, &name)
}

/// Changes some keys of an object; null takes a key away (RFC 7396). What is sent back as it was shown stays as it is.
#[utoipa::path(
    patch, path = "/objects/{name}", operation_id = "change_object", tag = "settings",
    params(("name" = String, Path, description = "Its name")),
    request_body = std::collections::BTreeMap<String, serde_json::Value>,
    responses((status = 200, body = ObjectDto))
)]
async fn patch(
    State(state): State<ApiState>,
    Extension(kind): Extension<ObjectType>,
    Segment(name): Segment,
    _: NoParameters,
    by: ChangedBy,
    body: WholeBody,
) -> Result<Json<ObjectDto>, ApiError> {
    change(&state, &by, kind, &name, ObjectChange::Merge(json_body(&body)?)).await
}

/// Puts another object in the place of one. What is sent back as it was shown stays as it is.
#[utoipa::path(
    put, path = "/objects/{name}", operation_id = "replace_object", tag = "settings",
    params(("name" = String, Path, description = "Its name")),
    request_body = std::collections::BTreeMap<String, serde_json::Value>,
    responses((status = 200, body = ObjectDto))
)]
async fn put(
    State(state): State<ApiState>,
    Extension(kind): Extension<ObjectType>,
    Segment(name): Segment,
    _: NoParameters,
    by: ChangedBy,
    body: WholeBody,
) -> Result<Json<ObjectDto>, ApiError> {
    change(&state, &by, kind, &name, ObjectChange::Replace(json_body(&body)?)).await
}

/// Removes an object of the store. REMOVED
#[utoipa::path(
    delete, path = "/objects/{name}", operation_id = "remove_object", tag = "settings",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 200, body = ChangeReport))
)]
async fn delete(
    State(state): State<ApiState>,
    Extension(kind): Extension<ObjectType>,
    Segment(name): Segment,
    _: NoParameters,
    by: ChangedBy,
) -> Result<Json<ChangeReport>, ApiError> {
    state.control.change_object(&by, kind, &name, ObjectChange::Remove).await.map(Json)
}
