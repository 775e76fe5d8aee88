"""Origins of WebSockets, each request and each end as a JSON line on stdout.

An address given as --http or --https speaks RFC 6455 (python3-websockets):

  GET /echo            sends back what it gets
  GET /greet           says "hello" at once, then as /echo
  GET /close           closes with code 4001 after the first message

One given as --raw answers whatever its path says, byte for byte:

  GET /HEX             reads the head, waits for a moment for bytes that should not come yet, sends the bytes that HEX stands
                       for, and reads to the end
  GET /hold/HEX        the same, but not before the next GET /release
"""

import argparse
import asyncio
import functools
import json
import ssl
import sys

import websockets

# How long bytes that must not come are waited for.
EARLY_SECONDS = 0.3


def log(**fields):
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def serve_websocket(socket):
    local = socket.local_address[0]
    log(event="open", local=local, path=socket.path, headers=[[k, v] for k, v in socket.request_headers.raw_items()])
    count = 0
    try:
        path = socket.path.split("?")[0]
        if path == "/greet":
            await socket.send("hello")
        async for message in socket:
            count += len(message)
            if path == "/close":
                await socket.close(4001, "as asked")
            else:
                await socket.send(message)
    except websockets.ConnectionClosed:
        pass
    log(event="closed", local=local, path=socket.path, code=socket.close_code, bytes=count)


async def read_until_quiet(reader, seconds):
    try:
        return await asyncio.wait_for(reader.read(65536), seconds)
    except asyncio.TimeoutError:
        return b""


async def serve_raw(released, reader, writer):
    head = await reader.readuntil(b"\r\n\r\n")
    early = await read_until_quiet(reader, EARLY_SECONDS)
    log(event="raw", head=head.decode("latin-1"), early=early.hex())
    path = head.split()[1].decode()
    if path == "/release":
        released.set()
        writer.close()
        return
    if path.startswith("/hold/"):
        released.clear()
        await released.wait()
    writer.write(bytes.fromhex(path.split("/")[-1]))
    after, reset = b"", False
    try:
        await writer.drain()
        while piece := await reader.read(65536):
            after += piece
    except ConnectionError:
        reset = True
    log(event="raw-end", after=after.hex(), reset=reset)
    writer.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--http", "--https", "--raw"):
        parser.add_argument(option, action="append", default=[], metavar="ADDRESS@PORT")
    parser.add_argument("--certificate", metavar="PEM", help="chain and key, for --https")
    options = parser.parse_args()
    context = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate)
    for text in options.http + options.https:
        host, port = text.split("@")
        await websockets.serve(serve_websocket, host, int(port), ssl=context if text in options.https else None,
                               max_size=None, ping_interval=None)
    released = asyncio.Event()
    for text in options.raw:
        host, port = text.split("@")
        await asyncio.start_server(functools.partial(serve_raw, released), host, int(port))
    log(event="ready")
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # Until the test ends.


if __name__ == "__main__":
    asyncio.run(main())
