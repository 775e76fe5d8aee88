"""Handlers for Sallyport: trusted code, outside of the sandbox, on every request that its rule names.

    from sallyport import handler, serve

    @handler("authenticated-github")
    async def github(request, context):
        return request.forward(set_headers={"authorization": f"Bearer {await token_for(context.container_id)}"})

    serve("127.0.0.1:7070")

`sallyport.control` changes policy at run time.
"""

from .answers import Forward, PassResponse, Response
from .body import BodyTooLarge, Transform, Unread
from .change import Change, Enforcement
from .container import Container
from .context import Context
from .control import ControlPlane, ControlPlaneError
from .handlers import Answer, Handler, Handlers, handler
from .headers import Headers, MutableHeaders
from .identity import IdentityError, verify_identity
from .inbox import HungUp
from .lease import Lease
from .live import LiveEndpoint
from .origin_response import OriginResponse
from .request import Request
from .service import Server, serve

__all__ = [
    "Answer", "BodyTooLarge", "Change", "Container", "Context", "ControlPlane", "ControlPlaneError", "Enforcement", "Forward",
    "Handler", "Handlers", "Headers", "HungUp", "IdentityError", "Lease", "LiveEndpoint", "MutableHeaders", "OriginResponse",
    "PassResponse", "Request", "Response", "Server", "Transform", "Unread", "handler", "serve", "verify_identity",
]
