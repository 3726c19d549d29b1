"""Clients of the services: objects on an association that know the next step (PS3.4).

What is not allowed raises before anything is sent; what the peer refuses raises
:class:`~dulcimer.scu.errors.Refusal` with the status in words.
"""
