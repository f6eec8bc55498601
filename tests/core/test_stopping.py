"""Signals that ask for an end come to whoever watches for them, and to nobody where they are ignored."""

import os
import signal

import pytest

from convlens.core.errors import Stopped
from convlens.core.stopping import WATCHED, signals_to, stopping_at_once


@pytest.mark.parametrize("number", WATCHED)
def test_each_signal_that_asks_for_an_end_stops_and_leaves_handlers_as_they_were(number):
    if signal.getsignal(number) is signal.SIG_IGN:  # these tests run under nohup
        signal.signal(number, signal.SIG_DFL)
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stop, stopping_at_once():
        os.kill(os.getpid(), number)
    assert stop.value.signal == number and signal.getsignal(number) is before


def test_the_end_of_a_terminal_stays_ignored_where_nohup_has_it_ignored():
    before, came = signal.signal(signal.SIGHUP, signal.SIG_IGN), []
    try:
        with signals_to(lambda number, frame: came.append(number)):
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert came == [signal.SIGTERM]
