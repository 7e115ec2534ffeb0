"""A small chat that shows what a Socket.IO server does; `siox demo` starts it."""
