"""Handlers for Sallyport: trusted code, outside of the sandbox, on every request that its rule names.

    from sallyport import handler, serve

    @handler("authenticated-github")
    async def github(request, context):
        return request.forward(set_headers={"authorization": f"Bearer {await token_for(context.container_id)}"})

    serve("127.0.0.1:7070")

`sallyport.control` changes policy at run time.
"""

from .control import Container, ControlPlane, ControlPlaneError, Enforcement
from .http import Forward, Headers, Response
from .request import BodyTooLarge, Context, Request, Unread
from .service import Handlers, Server, handler, serve

__all__ = [
    "BodyTooLarge", "Container", "Context", "ControlPlane", "ControlPlaneError", "Enforcement", "Forward", "Handlers",
    "Headers", "Request", "Response", "Server", "Unread", "handler", "serve",
]
