"""A folder as an object store: http://my.bucket/PATH, apart for each container. The bucket exists nowhere but here.

    bucket.py --listen 127.0.0.1:7075 --root /srv/buckets
    sallyport set-outbound-by-host web-1 my.bucket bucket --params '{"max_bytes": 1000000000}'

GET and HEAD (with Range), PUT, DELETE; a GET of a path that ends in / lists the folder. Bodies stream both ways. An object appears whole
or not at all. No path leads out of the container's folder: each segment is opened by itself, and no symbolic link is followed.
"""

import argparse
import asyncio
import contextlib
import os
import pathlib
import re
import secrets
import stat
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from typing import Optional

from sallyport import Answer, Context, Request, Response, handler, serve

PIECE_BYTES = 128 * 1024
UPLOAD = ".upload-"  # Names of objects that are not whole yet.

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("--listen", default="127.0.0.1:7075")
arguments.add_argument("--root", type=pathlib.Path, required=True, metavar="FOLDER")
options = arguments.parse_args()


class BadPath(Exception):
    """A path that is none of an object."""


def segments_of(path: str) -> list[str]:
    """Decoded, the last one empty for a folder."""
    encoded = path.partition("?")[0].split("/")[1:]
    segments = [urllib.parse.unquote(segment, errors="strict") for segment in encoded]
    for place, segment in enumerate(segments):
        last = place == len(segments) - 1
        if segment in (".", "..") or (not segment and not last) or re.search(r"[/\\\0]", segment) or segment.startswith(UPLOAD):
            raise BadPath(f"{path} names no object")
    return segments


@contextlib.contextmanager
def opened(*fds: int) -> Iterator[None]:
    try:
        yield
    finally:
        for fd in fds:
            os.close(fd)


def open_folder(context: Context, segments: list[str], make: bool) -> int:
    """A descriptor of the folder. FileNotFoundError, NotADirectoryError (also where a link stands)."""
    fd = os.open(options.root, os.O_DIRECTORY)
    for segment in [context.container_id, *segments]:
        with opened(fd):
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(segment, dir_fd=fd)
            fd = os.open(segment, os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
    return fd


def read_range(header: str, size: int) -> Optional[tuple[int, int]]:
    """First and last byte. None: the whole (RFC 9110 section 14.2: what is not understood is ignored). ValueError: nothing of it is there."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if not match or match[0] == "bytes=-" or len(header) > 64:
        return None
    first, last = match.groups()
    if not first:
        begin, end = max(0, size - int(last)), size - 1
    else:
        begin, end = int(first), min(int(last or size - 1), size - 1)
        if last and int(last) < begin:
            return None
    if begin > end or begin >= size:
        raise ValueError(f"bytes */{size}")
    return begin, end


def read_object(request: Request, context: Context, segments: list[str]) -> Response:
    folder = open_folder(context, segments[:-1], make=False)
    with opened(folder):
        if not segments[-1]:
            return Response("".join(f"{entry}\n" for entry in sorted(os.listdir(folder)) if not entry.startswith(UPLOAD)))
        # Not to block on a pipe.
        fd = os.open(segments[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        return Response("no such object\n", status=404)
    tag = f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"'
    headers = {"etag": tag, "accept-ranges": "bytes", "content-type": "application/octet-stream"}
    part = None
    if "range" in request.headers and request.headers.get("if-range", tag) == tag:
        try:
            part = read_range(request.headers["range"], status.st_size)
        except ValueError as error:
            os.close(fd)
            return Response(status=416, headers={"content-range": str(error)})
    begin, end = part or (0, status.st_size - 1)
    headers["content-length"] = str(end - begin + 1)
    if part:
        headers["content-range"] = f"bytes {begin}-{end}/{status.st_size}"
    if request.method == "HEAD":
        os.close(fd)
        return Response(status=206 if part else 200, headers=headers)
    return Response(read_bytes(fd, begin, end + 1), 206 if part else 200, headers)


async def read_bytes(fd: int, begin: int, end: int) -> AsyncIterator[bytes]:
    with opened(fd):
        while begin < end:
            piece = await asyncio.to_thread(os.pread, fd, min(PIECE_BYTES, end - begin), begin)
            if not piece:
                raise EOFError("the object became shorter while it was read")
            begin += len(piece)
            yield piece


async def write_object(request: Request, context: Context, segments: list[str]) -> Response:
    limit = context.params.get("max_bytes", 1 << 30)
    if request.content_length is not None and request.content_length > limit:
        return Response(f"more than {limit} bytes\n", status=413)
    folder = open_folder(context, segments[:-1], make=True)
    with opened(folder):
        temporary = UPLOAD + secrets.token_hex(8)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        try:
            with opened(fd):
                length = 0
                async for piece in request.pieces():
                    length += len(piece)
                    if length > limit:
                        return Response(f"more than {limit} bytes\n", status=413)
                    await asyncio.to_thread(write_all, fd, piece)
                await asyncio.to_thread(os.fsync, fd)
            os.rename(temporary, segments[-1], src_dir_fd=folder, dst_dir_fd=folder)
            return Response(status=204)
        finally:
            # Also when the container hangs up within the body.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)


def write_all(fd: int, piece: bytes) -> None:
    while piece:
        piece = piece[os.write(fd, piece):]


def delete_object(context: Context, segments: list[str]) -> Response:
    folder = open_folder(context, segments[:-1], make=False)
    with opened(folder):
        os.unlink(segments[-1], dir_fd=folder)
    return Response(status=204)


@handler("bucket")
async def serve_object(request: Request, context: Context) -> Answer:
    try:
        segments = segments_of(request.path)
        match request.method:
            case "GET" | "HEAD":
                return read_object(request, context, segments)
            case "PUT" if segments[-1]:
                return await write_object(request, context, segments)
            case "DELETE" if segments[-1]:
                return delete_object(context, segments)
    except (BadPath, UnicodeDecodeError):
        return Response("no object has such a path\n", status=400)
    except FileNotFoundError:
        return Response("no such object\n", status=404)
    except OSError as error:  # A link, a folder in the place of an object, a name that is too long, a full disk.
        return Response(f"{os.strerror(error.errno or 0)}\n", status=409)
    return Response("GET, HEAD, PUT or DELETE\n", status=405, headers={"allow": "GET, HEAD, PUT, DELETE"})


serve(options.listen)
