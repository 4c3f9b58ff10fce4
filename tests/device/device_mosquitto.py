"""A real broker over real TLS, from the Unix port: a session that outlives its connections."""

import asyncio
import sys


def session(umqtt, number, anchor, certificate, secret):
    """-> [present at each connection, messages received, acknowledged ids left, sizes]"""
    sys.path.append(umqtt)
    from uward.link import tls
    from uward.link.mqtt import Client

    credentials = tls.Credentials(
        "broker.local", [bytes.fromhex(anchor)], bytes.fromhex(certificate), bytes.fromhex(secret)
    )
    client = Client("abcdefgh12345678")
    got = []
    present = []
    client.set_callback(lambda topic, msg: got.append(msg))
    down = "uward/v1/abcdefgh12345678/down/"

    async def open_again():
        stream = await credentials.stream("127.0.0.1", number)
        present.append(await client.open(stream))

    async def wait(count):
        for _ in range(500):
            if len(got) >= count and not client.unacknowledged:
                return
            client.poll()
            await asyncio.sleep_ms(10)

    async def main():
        await open_again()
        granted = await client.subscribe(down + "#", 1)
        for i in range(12):
            await client.publish(down + "man", b"%d" % i, 1)
        await client.publish(down + "blk", bytes(4000), 0)
        await wait(13)
        first = len(got)
        # three publishes whose PUBACK is never read, then another connection
        for i in range(3):
            await client.publish(down + "man", b"again %d" % i, 1)
        client.close()
        await open_again()
        await wait(first + 3)
        client.disconnect()
        return granted, first

    granted, first = asyncio.run(main())
    late = sorted({str(msg, "utf-8") for msg in got[first:]})
    return [present, granted, [len(msg) for msg in got[:first]], late, client.unacknowledged]
