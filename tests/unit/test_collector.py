"""The collector as processes tune and watch it. Not tested here: what that costs (docs/benchmarks.md)."""

import gc
import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from gateway import metrics
from gateway.domain.catalogue import Catalogue, RouteRule
from gateway.domain.scenes import Scene
from gateway.run import collector
from gateway.storage.catalogue.watch import CatalogueWatch
from router.fees import FixedFee

MERCHANT_ID = UUID(int=1)
WITHIN_S = 60.0


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


class Changing:
    """A source of catalogues, a new one each time."""

    def __init__(self) -> None:
        self.newest = 0

    async def version(self) -> int:
        return self.newest

    async def load(self) -> Catalogue:
        rules = (RouteRule(MERCHANT_ID, f"c{n}", Scene.WITHHOLD, "ICBC", True, FixedFee(n)) for n in range(100))
        return Catalogue(self.newest, rules=tuple(rules))


def looked(generation: int) -> float:
    return REGISTRY.get_sample_value("sluice_gc_pause_seconds_count", {"generation": str(generation)}) or 0.0


def test_a_process_that_settled_looks_less_often_and_not_at_what_it_began_with() -> None:
    seen = len(gc.get_objects())
    collector.settle()
    assert gc.get_threshold() == collector.THRESHOLDS
    assert gc.get_freeze_count() > seen / 2
    assert len(gc.get_objects()) < seen / 2


class Circle:
    """Refers to itself: only the collector can free it."""

    __slots__ = ("__weakref__", "self")

    def __init__(self) -> None:
        self.self = self


def test_what_only_the_collector_can_free_does_not_pile_up() -> None:
    collector.settle()
    made = [weakref.ref(Circle()) for _ in range(3 * collector.YOUNG_OBJECTS)]
    assert sum(circle() is not None for circle in made) <= collector.YOUNG_OBJECTS


@pytest.mark.parametrize("settles", [False, True], ids=["as Python is", "settled"])
async def test_an_old_catalogue_is_gone_with_the_next_one_though_nobody_looks_for_it(settles: bool) -> None:
    """What is frozen at the start is only out of the collector's sight: counting references frees it as ever."""
    source = Changing()
    watch = CatalogueWatch(source)
    await watch.refresh_now()
    snapshot = weakref.ref(watch.current)
    if settles:
        collector.settle()
    gc.disable()
    try:
        for version in (1, 2):
            source.newest = version
            await watch.refresh_now()
            assert snapshot() is None
            snapshot = weakref.ref(watch.current)
    finally:
        gc.enable()


async def test_every_look_is_counted_by_its_generation() -> None:
    before = [looked(generation) for generation in range(3)]
    gc.disable()  # so that none but ours are counted
    try:
        async with collector.watched():
            for generation in (0, 1, 1, 2):
                gc.collect(generation)
    finally:
        gc.enable()
    assert [looked(generation) - count for generation, count in enumerate(before)] == [1, 2, 1]


async def test_a_process_that_ended_its_work_is_watched_no_more() -> None:
    before = list(gc.callbacks)
    async with collector.watched():
        assert len(gc.callbacks) == len(before) + 1
    assert gc.callbacks == before


async def test_a_look_in_the_middle_of_a_metrics_update_does_not_wait_for_itself() -> None:
    lock = metrics.GC_PAUSE_SECONDS.labels("2")._sum._lock

    def look() -> None:
        with lock:
            gc.collect()

    async with collector.watched():
        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        looking.join(WITHIN_S)
        assert not looking.is_alive()


def test_no_metric_of_the_collector_is_shown_twice() -> None:
    text = metrics.render().decode()
    families = Counter(family.name for family in text_string_to_metric_families(text))
    assert {name: count for name, count in families.items() if count > 1} == {}
    assert {name for name in families if "gc" in name.split("_")} == {
        "sluice_gc_pause_seconds",
        # prometheus_client's own; it has no times
        "python_gc_collections",
        "python_gc_objects_collected",
        "python_gc_objects_uncollectable",
    }
