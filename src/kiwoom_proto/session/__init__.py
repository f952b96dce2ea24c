"""What outlives a connection. Each rule has a file of its own:

session.py         calls, bytes and the deadline come in here, and go to the file that handles them
lifecycle.py       the states, and the table of what leads from one to the next
connector.py       one connection after the other, and what the driver must do for them
recovery.py        what to do after a loss, and whether a token is renewed
pending.py         the calls of `subscribe` and `unsubscribe` that wait
registrations.py   which answer is whose
subscriptions.py   what is wanted against what the server has confirmed, and the fewest messages between them
quota.py           how many items may be wanted
transients.py      which items are given up when others need the room
suspects.py        how something is sent again that cost the connection
market_clock.py    which session each market is in, and when rows are expected
freshness.py       what rows, and silence, say about a subscription
searches.py        condition search
gap.py             since when rows are missing

pool.py            several sessions as one feed; member.py is one of them
placement.py       which member has which item
pool_subscriptions.py   what a pool wants, and when items move
pool_searches.py   condition searches of a pool

What happens on one connection, pacing included, is in connection/.
"""

__all__ = ()
