"""What all tests have in common: neither the store nor the signals of who runs them are theirs."""

import os
import signal

from chameleon_ray.signals import POLITE
from chameleon_ray.store.store import NONE, VARIABLE

os.environ[VARIABLE] = NONE  # before any test, and for the commands that tests start
for one in POLITE:
    if signal.getsignal(one) == signal.SIG_IGN:  # as below nohup, or in the background of a shell
        usual = signal.default_int_handler if one is signal.SIGINT else signal.SIG_DFL
        signal.signal(one, usual)
