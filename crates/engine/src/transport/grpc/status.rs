//! gRPC's own status at the end of a call, as a cause (grpc.io: "Status codes and their use in gRPC").

use http::HeaderMap;

use crate::Cause;

/// Looks for a status in an answer's head or trailers.
///
/// # Errors
/// The cause that comes nearest to a status other than `OK`.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Cause> {
    let Some(status) = headers.get("grpc-status") else { return Ok(()) };
    Err(match status.as_bytes() {
        b"0" => return Ok(()),
        b"1" => Cause::ServerFailure("it cancelled the gRPC call"),
        b"4" => Cause::ServerFailure("its own time for the gRPC call was over"),
        b"7" => Cause::Forbidden,
        b"8" => Cause::ServerFailure("it is out of resources, by gRPC"),
        b"12" => Cause::ServerFailure("it has no such gRPC service"),
        b"14" => Cause::ServerFailure("the gRPC service is unavailable"),
        b"16" => Cause::Authentication,
        _ => Cause::ServerFailure("the gRPC call failed"),
    })
}
