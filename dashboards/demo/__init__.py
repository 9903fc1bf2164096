"""A fleet of services to look at: they call tools and models, and not all goes well.

Each instance is a process of its own and knows nothing of the server but an address and
a key. Most make their calls through the client (``governed`` is the part to read), one
does without (``byhand``). What they call is simulated; their spans are real and leave
through the exporters that everybody uses. No Django here.
"""
