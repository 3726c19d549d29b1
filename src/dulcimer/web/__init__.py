"""The page of a node: what it holds and does, for people and for programs.

The page knows nothing of a node. It shows what a :class:`~dulcimer.web.view.View` tells, which the node
implements. Starlette, Jinja2 and uvicorn are needed by the modules beside this one; they are imported when
somebody looks.
"""
