'''Python as a producer: sends so many mails with the package's own broker, RPUSH each.'''
import asyncio
import sys

from microagent import Queue, configure
from microagent.tools.redis import RedisBroker


async def main(dsn, declarations, count):
    configure(f'file://{declarations}')
    assert Queue.mailer.name == 'mailer'
    broker = RedisBroker(dsn)
    for first in range(0, count, 100):
        mails = range(first, min(first + 100, count))
        await asyncio.gather(*[broker.mailer.send({'text': f'mail {n}'}) for n in mails])


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
