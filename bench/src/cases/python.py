'''
The Python package at the same work: an agent's consumer with named arguments. It prints how many seconds it took,
and how many seconds of processor time.
'''
import asyncio
import json
import logging
import sys
import tempfile
import time

from microagent import MicroAgent, Queue, configure, consumer

dsn, count = sys.argv[1], int(sys.argv[2])

with tempfile.NamedTemporaryFile('w', suffix='.json') as declarations:
    json.dump({'version': 2, 'signals': [], 'queues': [{'name': 'mailer'}]}, declarations)
    declarations.flush()
    configure(f'file://{declarations.name}')

# The declarations come first.
if dsn.startswith('amqp'):
    from microagent.tools.amqp import AMQPBroker as Broker  # noqa: E402
else:
    from microagent.tools.redis import RedisBroker as Broker  # noqa: E402


class Counting(MicroAgent):
    left = count

    @consumer(Queue.mailer)
    async def taken(self, user_id, text, email, **_):
        assert user_id == 12345 and text and email
        self.left -= 1
        if not self.left:
            self.done.set()


async def main():
    agent = Counting(broker=Broker(dsn))
    agent.done = asyncio.Event()
    began, used = time.perf_counter(), time.process_time()
    await agent.start(enable_receiving_signals=False)
    await agent.done.wait()
    print(time.perf_counter() - began, time.process_time() - used, flush=True)


logging.basicConfig(level=logging.ERROR)
asyncio.run(main())
