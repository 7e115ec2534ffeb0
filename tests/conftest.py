"""What holds for all tests: Ctrl-C means to the programs that they start what it means to a user's.

A run that a shell has begun in the background ignores SIGINT, and so would every program that it starts.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
