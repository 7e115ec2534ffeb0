"""uvicorn's worker for gunicorn that gives its websockets' sockets to siox: see `siox.integrations.uvicorn`.

`gunicorn app:app -k siox.integrations.gunicorn.Worker`. Settings of one's own: a subclass with more
`CONFIG_KWARGS`, as with uvicorn's worker.
"""

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uvicorn.workers import UvicornWorker
else:
    try:
        from uvicorn_worker import UvicornWorker
    except ImportError:
        with warnings.catch_warnings():
            # It asks for the package above, which is the same class.
            warnings.simplefilter("ignore", DeprecationWarning)
            from uvicorn.workers import UvicornWorker


class Worker(UvicornWorker):
    """See the module."""

    CONFIG_KWARGS = {  # noqa: RUF012
        **UvicornWorker.CONFIG_KWARGS,
        "ws": "siox.integrations.uvicorn:Protocol",
    }
