"""Local listeners that keep their port over restarts. HTTP only; TLS and SSH listeners live in their own packages."""

from aiohttp import web

LOCAL = "127.0.0.1"
# Streams and hanging requests are cut when a simulator stops: nobody waits for them.
SHUTDOWN_SECONDS = 0.2


async def listen(app: web.Application, port: int) -> tuple[web.AppRunner, int]:
    """Serve `app` on that local port, or on a free one when it is 0 or taken. Gives the runner and the port."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOCAL, port).start()
    except OSError:
        await web.TCPSite(runner, LOCAL, 0).start()
    return runner, runner.addresses[0][1]
