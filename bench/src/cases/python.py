'''
The Python package at the same work: an agent's consumer with named arguments. It prints how many seconds it took,
and how many seconds of processor time. On Kafka it receives only messages that are sent while it runs: it prints `listening` at the first
probe, which is a message of the user 0, and its time begins at the first other one.
'''
import asyncio
import json
import logging
import sys
import tempfile
import time

from microagent import MicroAgent, Queue, configure, consumer

dsn, count, queue = sys.argv[1], int(sys.argv[2]), sys.argv[3]

with tempfile.NamedTemporaryFile('w', suffix='.json') as declarations:
    json.dump({'version': 2, 'signals': [], 'queues': [{'name': queue}]}, declarations)
    declarations.flush()
    configure(f'file://{declarations.name}')

# The declarations come first.
if dsn.startswith('amqp'):
    from microagent.tools.amqp import AMQPBroker as Broker  # noqa: E402
elif dsn.startswith('kafka'):
    from microagent.tools.kafka import KafkaBroker as Broker  # noqa: E402
else:
    from microagent.tools.redis import RedisBroker as Broker  # noqa: E402


class Counting(MicroAgent):
    left = count
    began = None
    is_listening = False

    @consumer(getattr(Queue, queue))
    async def taken(self, user_id, text, email, **_):
        if not user_id:
            return self.probe()
        assert user_id == 12345 and text and email
        if self.began is None:
            self.begin()
        self.left -= 1
        if not self.left:
            self.done.set()

    def probe(self):
        if not self.is_listening:
            self.is_listening = True
            print('listening', flush=True)

    def begin(self):
        self.began, self.used = time.perf_counter(), time.process_time()


async def main():
    agent = Counting(broker=Broker(dsn))
    agent.done = asyncio.Event()
    if not dsn.startswith('kafka'):
        agent.begin()
    await agent.start(enable_receiving_signals=False)
    await agent.done.wait()
    print(time.perf_counter() - agent.began, time.process_time() - agent.used, flush=True)


logging.basicConfig(level=logging.ERROR)
asyncio.run(main())
