#!/usr/bin/env python3
'''
One of the documentation's agents as a member of a deployment group of `marun`, beside agents in Rust: it runs until it is asked to
stop.

    EXAMPLE_BUS=redis://localhost/7 EXAMPLE_BROKER=redis://localhost/7 python/member.py comment_agent

Its queues may be on RabbitMQ: EXAMPLE_BROKER=amqp://guest:guest@localhost:5672/
or on Kafka: EXAMPLE_BROKER=kafka://localhost:9092
'''
import asyncio
import logging
import os
import signal
import sys

from importlib import import_module

from microagent.tools.redis import RedisBroker, RedisSignalBus


# Each is in a module of its own name, and only one is imported: `load_stuff` runs once in a process.
AGENTS = {
    'user_agent': 'UserAgent',
    'comment_agent': 'CommentAgent',
    'email_agent': 'EmailAgent',
}


def dsn(variable, *schemes):
    found = os.environ.get(variable, '')
    if not found.startswith(schemes):
        sys.exit(f'{variable} is {found!r}: a Python agent shares {" or ".join(schemes)} with the group')
    return found


def broker():
    found = dsn('EXAMPLE_BROKER', 'redis://', 'amqp://', 'kafka://')
    if found.startswith('redis://'):
        return RedisBroker(found)
    # Not above: each needs its part of the package, `microagent[amqp]` or `microagent[kafka]`.
    if found.startswith('kafka://'):
        from microagent.tools.kafka import KafkaBroker
        return KafkaBroker(found)
    from microagent.tools.amqp import AMQPBroker
    return AMQPBroker(found)


async def main(name):
    # Before the bus: making one declares a signal, and `load_stuff` refuses to be second.
    backend = getattr(import_module(name), AGENTS[name])
    stop = asyncio.Event()
    # The group's launcher asks with SIGTERM; Ctrl-C does where this runs alone.
    for asked in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(asked, stop.set)

    # The prefix of the group's settings: with another one, both sides would be silently deaf to each other.
    bus = RedisSignalBus(dsn('EXAMPLE_BUS', 'redis://'), prefix='PREF')
    agent = backend(bus=bus, broker=broker())
    await agent.start()
    await stop.wait()
    await agent.stop()
    agent.log.info('agent has stopped')


if __name__ == '__main__':
    if len(sys.argv) != 2 or sys.argv[1] not in AGENTS:
        sys.exit(f'usage: member.py {" | ".join(AGENTS)}')
    logging.basicConfig(format='%(levelname)s %(name)s: %(message)s', stream=sys.stdout, level=logging.INFO)
    asyncio.run(main(sys.argv[1]))
