'''
The Python package as a peer: an agent with a handler for everything that is declared, and commands on standard input, a JSON
array on each line, that are answered with a line each.
'''
import asyncio
import json
import logging
import sys

from microagent import MicroAgent, Queue, Signal, configure, consumer, receiver


configure(f'file://{sys.argv[2]}')

from microagent.bus import _DEFAULT_PREFIX  # noqa: E402: it is what `configure` made of it
from microagent.tools.redis import RedisBroker, RedisSignalBus  # noqa: E402


class PythonAgent(MicroAgent):
    heard: list
    taken: list

    @receiver(Signal.note)
    async def note(self, signal, sender, **kwargs):
        self.heard.append([sender, kwargs])

    @receiver(Signal.double)
    async def double(self, signal, sender, n):
        return n * 2

    @receiver(Signal.nothing)
    async def nothing(self, **kwargs):
        return None

    @receiver(Signal.fail)
    async def fail(self, **kwargs):
        raise ValueError('no luck')

    @receiver(Signal.sleep, timeout=1)
    async def sleep(self, **kwargs):
        await asyncio.sleep(60)

    @consumer(Queue.to_python)
    async def to_python(self, **kwargs):
        self.taken.append(kwargs)
        await self.broker.to_rust.send(kwargs)

    @consumer(Queue.twice)
    async def twice(self, **kwargs):
        self.taken.append(kwargs)
        if len(self.taken) == 1:
            raise ValueError('the first time')


class RecordingBus(RedisSignalBus):
    channels: list = []

    def receiver(self, channel, message):
        self.channels.append(channel)
        return super().receiver(channel, message)


async def main():
    dsn, roles = sys.argv[1], sys.argv[3].split(',')
    bus = RecordingBus(dsn, prefix=_DEFAULT_PREFIX)
    broker = RedisBroker(dsn)
    agent = PythonAgent(bus=bus, broker=broker)
    agent.heard, agent.taken = [], []
    await agent.start(
        enable_receiving_signals='receive' in roles,
        enable_consuming_messages='consume' in roles,
    )

    async def send(name, sender, kwargs):
        await getattr(bus, name).send(sender, **kwargs)

    async def call(name, sender, timeout, kwargs):
        return await getattr(bus, name).call(sender, timeout=timeout, **kwargs)

    async def waiter(name, sender, count, kwargs):
        async with getattr(bus, name).waiter(sender, timeout=10, **kwargs) as answers:
            found = []
            async for answer in answers:
                found.append(answer)
                if len(found) == count:
                    return found

    async def push(name, bodies):
        for body in bodies:
            await getattr(broker, name).send(body)

    async def length(name):
        return await getattr(broker, name).length()

    async def heard():
        return agent.heard

    async def channels():
        return bus.channels

    async def taken():
        return agent.taken

    async def forget():
        agent.taken.clear()

    commands = [send, call, waiter, push, length, heard, channels, taken, forget]
    commands = {command.__name__: command for command in commands}
    lines = asyncio.StreamReader(limit=2**24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print(json.dumps('ready'), flush=True)
    while line := await lines.readline():
        name, *arguments = json.loads(line)
        answer = await commands[name](*arguments)
        print(json.dumps(answer), flush=True)


logging.basicConfig(level=logging.INFO)
asyncio.run(main())
