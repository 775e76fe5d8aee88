"""Lets `git clone` and `git fetch` through with a credential that the container does not have, and refuses `git push`.

    git_credentials.py --listen 127.0.0.1:7077 --credentials credentials.json
    {"web-1": {"github.com": "x-access-token:ghp_…"}}
    sallyport set-outbound-by-host web-1 github.com git --params '{"repositories": ["acme/*"]}'

Only the two requests of reading get the credential, in their one plain spelling; whatever else is asked of the host is refused, so that
nothing has to be recognised as a push. The class needs `intercept_https`.
"""

import argparse
import base64
import fnmatch
import json
import pathlib
import re
from typing import Optional

from sallyport import Answer, Context, Request, Response, handler, serve

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--listen", default="127.0.0.1:7077")
arguments.add_argument("--credentials", type=pathlib.Path, required=True, metavar="FILE")
options = arguments.parse_args()

# No percent-encoding, no empty segment, none that begins with a dot: nothing that an origin could read in another way.
REPOSITORY = r"/((?:[A-Za-z0-9_~-][A-Za-z0-9._~-]*/)*[A-Za-z0-9_~-][A-Za-z0-9._~-]*?)(?:\.git)?"
READS = {"GET": re.compile(REPOSITORY + r"/info/refs\?service=git-upload-pack"), "POST": re.compile(REPOSITORY + r"/git-upload-pack")}


def repository_read(request: Request) -> Optional[str]:
    """The name of the repository, without .git; None: this is no read of git's."""
    pattern = READS.get(request.method)
    match = pattern.fullmatch(request.path) if pattern else None
    return match[1] if match else None


@handler("git")
async def add_credential(request: Request, context: Context) -> Answer:
    repository = repository_read(request)
    if repository is None:
        what = "push" if "git-receive-pack" in request.path else "anything but clone and fetch"
        return Response(f"{what} is not allowed from here\n", status=403)
    patterns = context.params.get("repositories", ["*"])
    if not any(fnmatch.fnmatchcase(repository, pattern) for pattern in patterns):
        return Response(f"{repository} is not one of the repositories that may be read\n", status=403)
    if request.scheme != "https":
        return Response("the credential goes over https only\n", status=403)
    credential = json.loads(options.credentials.read_text()).get(context.container_id, {}).get(request.host)
    if credential is None:
        return Response(f"{context.container_id} has no credential for {request.host}\n", status=403)
    return request.forward(set_headers={"authorization": "Basic " + base64.b64encode(credential.encode()).decode()})


serve(options.listen)
