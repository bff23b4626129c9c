"""The four duties of an adapter, and nothing else:

1. build the exchange from what the server gives;
2. drive the gate, and give it what it needs (a worker thread, a piece of the body);
3. apply what it decided: answer, or let the application answer and let every control see the head;
4. make the identity known to the application.
"""
