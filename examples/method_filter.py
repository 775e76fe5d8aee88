"""Lets some methods through and refuses the others. Which ones is what the rule's params say.

    method_filter.py --listen 127.0.0.1:7072
    sallyport set-outbound-by-host web-1 api.github.com method-filter --params '{"methods": ["GET", "HEAD"]}'

What passes is leased: the agent lets these methods through for a minute without asking again. A change of the params ends a lease at once.
"""

import argparse

from sallyport import Answer, Context, Lease, Request, Response, handler, serve

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--listen", default="127.0.0.1:7072")
options = arguments.parse_args()


@handler("method-filter")
async def filter_method(request: Request, context: Context) -> Answer:
    methods = context.params.get("methods", ["GET", "HEAD"])
    if request.method not in methods:
        return Response(f"{request.method} is not allowed here\n", status=405, headers={"allow": ", ".join(methods)})
    return request.forward(lease=Lease(ttl=60, methods=methods, path_prefix="/"))


serve(options.listen)
