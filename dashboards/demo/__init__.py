"""A fleet of services to look at: they call tools and models, and not all goes well.

Each service is a process of its own and knows nothing of the server but an address and
a key. Times are simulated, spans are real: they leave through the exporters that
everybody uses. No Django here.
"""
