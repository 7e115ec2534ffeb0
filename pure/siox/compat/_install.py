"""Without the core `socketio` stays what it is."""


def install() -> None:
    """Do nothing: importing siox has said why."""


def uninstall() -> None:
    """Do nothing, as nothing was done."""
