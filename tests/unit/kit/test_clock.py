"""Clocks: the fake one moves only when told, the real one stops sleeping when told."""

from __future__ import annotations

import threading

from driftloop.kit.clock import FakeClock, SystemClock


def test_the_fake_clock_moves_by_sleeping_and_takes_no_time() -> None:
    clock = FakeClock(ms=1000)
    clock.sleep(2.5)
    assert (clock.ms(), clock.seconds()) == (3500, 3.5)


def test_a_stopped_sleep_does_not_move_the_fake_clock() -> None:
    clock, stop = FakeClock(ms=0), threading.Event()
    stop.set()
    clock.sleep(9.0, stop)
    assert clock.ms() == 0


def test_the_system_clock_wakes_when_stopped() -> None:
    clock, stop = SystemClock(), threading.Event()
    stop.set()
    began = clock.seconds()
    clock.sleep(30.0, stop)
    assert clock.seconds() - began < 5.0
    assert clock.ms() > 1_600_000_000_000
