"""Ready SCPs of the services that consist of DIMSE-N operations (PS3.4).

Each is a :class:`~dulcimer.scp.service.Service` that keeps the rules of its service class over a
:class:`~dulcimer.scp.repository.Repository`; :class:`~dulcimer.scp.service.Services` puts several of them
into one application entity.
"""
