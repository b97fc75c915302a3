"""What the errors of Google's libraries say about a chunk: their part of `shared.classify`'s table."""

from __future__ import annotations

from shared.classify import Kind, Table


def google_errors() -> Table:
    """The classes of google.api_core, google.auth and grpc.

    A service that refuses who asks counts as out of reach: every chunk meets the same, and the
    grant may be on its way. A request that is wrong in itself stays wrong.
    """
    import google.auth.exceptions as auth
    import grpc
    from google.api_core import exceptions

    outage = (
        exceptions.Cancelled,
        exceptions.DeadlineExceeded,
        exceptions.Forbidden,
        exceptions.GatewayTimeout,
        exceptions.ResourceExhausted,
        exceptions.RetryError,
        exceptions.ServerError,
        exceptions.TooManyRequests,
        exceptions.Unauthorized,
        auth.GoogleAuthError,
        grpc.RpcError,
    )
    transient = (
        # Somebody else got in between, or something is not there (yet).
        exceptions.Conflict,
        exceptions.FailedPrecondition,
        exceptions.NotFound,
        exceptions.DataLoss,
        exceptions.MethodNotImplemented,
        exceptions.GoogleAPICallError,
    )
    permanent = (exceptions.InvalidArgument, exceptions.OutOfRange)
    kinds = {Kind.OUTAGE: outage, Kind.TRANSIENT: transient, Kind.PERMANENT: permanent}
    return {known: kind for kind, classes in kinds.items() for known in classes}
