'''
The Python package as a peer: an agent that consumes the queues which it is told to, and commands on standard input, a JSON
array on each line, that are answered with a line each.
'''
import asyncio
import json
import logging
import sys

from microagent import MicroAgent, Queue, configure, consumer


configure(f'file://{sys.argv[2]}')

# The package gives a handler the message of its server as an argument of this name.
if sys.argv[1].startswith('kafka'):
    from microagent.tools.kafka import KafkaBroker as Broker  # noqa: E402
    MESSAGE = 'kafka'
else:
    from microagent.tools.amqp import AMQPBroker as Broker  # noqa: E402
    MESSAGE = 'amqp'


TAKEN = []


def consuming(name, **options):
    async def handle(self, **kwargs):
        message = kwargs.pop(MESSAGE)
        TAKEN.append([name, kwargs])
        if not options.get('autoack', True):
            await self.broker.putout(message)
    # The package finds the handlers of a class by this name.
    handle.__qualname__ = f'PythonAgent.{name}'
    return consumer(getattr(Queue, name), timeout=10, **options)(handle)


def agent_of(names):
    # Kafka has no acknowledgements.
    options = {name: {'autoack': False} if name == 'topic_python' else {} for name in names}
    handlers = {name: consuming(name, **options[name]) for name in names}
    return type('PythonAgent', (MicroAgent,), handlers)


async def main():
    broker = Broker(sys.argv[1])
    names = [name for name in sys.argv[3].split(',') if name]
    agent = agent_of(names)(broker=broker)
    await agent.start(enable_receiving_signals=False, enable_consuming_messages=bool(names))

    async def push(name, bodies, options):
        if MESSAGE == 'kafka':
            # Its client wants bytes.
            options = {option: value.encode() for option, value in options.items()}
        for body in bodies:
            await getattr(broker, name).send(body, **options)

    async def length(name):
        return await getattr(broker, name).length()

    async def taken():
        return TAKEN

    commands = {command.__name__: command for command in [push, length, taken]}
    lines = asyncio.StreamReader(limit=2**24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print(json.dumps('ready'), flush=True)
    while line := await lines.readline():
        name, *arguments = json.loads(line)
        try:
            answer = await commands[name](*arguments)
        except Exception as error:
            answer = {'error': f'{type(error).__name__}: {error}'}
        print(json.dumps(answer), flush=True)


logging.basicConfig(level=logging.INFO if MESSAGE == 'amqp' else logging.WARNING)
asyncio.run(main())
