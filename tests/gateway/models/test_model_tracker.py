"""Which versions the gateway uses while the release record moves."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from contract.schema import Column, Contract, Feature, FeatureKind, Kind
from releases.record import Release
from tests.gateway.conftest import Serve
from tests.gateway.trials import CANARY, IDS, ON_TRIAL, OTHER, SHADOW, UNION, Tried, expected, rows, versions
from tests.gateway.waiting import until
from tests.tiny import CONTRACT, TinyServer, write_version


def test_health_shows_the_trial(tried: Tried) -> None:
    """While it runs, the parts of /health name its version, kind and share."""
    client = tried.start(CANARY)
    assert tried.state() == {"version": 2, "kind": "canary", "share": 0.5, "status": "running", "reason": None}
    assert client.get("/health").json()["status"] == "healthy"
    assert "trial_paused 0.0" in client.get("/metrics").text


def test_without_redis_a_trial_pauses_and_goes_on_by_itself(tried: Tried) -> None:
    """Redis gone, all rows are the live version's and /health and /metrics say so; when it is back, it goes on."""
    client = tried.start(CANARY)
    tried.valkey.kill()
    tried.until_it("paused")
    assert versions(tried.upload(rows())) == expected(set())
    assert tried.state()["reason"] == "redis_unavailable"
    assert client.get("/health").json()["status"] == "degraded"
    assert "trial_paused 1.0" in client.get("/metrics").text
    tried.valkey.start()
    tried.until_it("running")
    assert versions(tried.upload(rows())) == expected(ON_TRIAL)


def test_the_counts_survive_a_redis_that_lost_them(tried: Tried) -> None:
    """Totals are written anew: a Redis that comes back empty holds all that was counted before."""
    tried.start(CANARY)
    tried.upload(rows())
    before = tried.counted(CANARY, "trial:requests")
    tried.valkey.kill()
    tried.valkey.start()
    assert tried.counted(CANARY, "trial:requests") == before


def test_a_paused_trial_still_takes_its_columns(tried: Tried) -> None:
    """Callers who send the union of the columns are not refused because Redis is gone, or the canary wrong."""
    tried.start(CANARY, contract=OTHER)
    tried.model_server.failing[2] = httpx.Response(409)
    for _ in range(3):
        assert versions(tried.upload(rows(header=UNION))) == expected(set())


def test_a_trial_needs_redis(tried: Tried) -> None:
    """With no Redis configured a trial does not run, and the reason says so."""
    tried.start(CANARY, redis_url=None, status="paused")
    until(lambda: tried.state()["reason"] == "redis_not_configured")
    assert versions(tried.upload(rows())) == expected(set())


def test_a_trial_that_cannot_be_proven_touches_nothing(tried: Tried) -> None:
    """The live version goes on beside a version on trial that is not there."""
    tried.start(CANARY, status="paused", loaded=False)
    assert (tried.state()["reason"], tried.client.get("/readyz").status_code) == ("not_adopted", 200)
    assert versions(tried.upload(rows())) == expected(set())


def test_a_trial_that_hangs_delays_no_release(tried: Tried, tmp_path: Path) -> None:
    """While the version on trial does not even describe itself, another live version is adopted."""
    tried.start(CANARY, status="paused", loaded=False)
    tried.model_server.hanging.add(2)
    tried.model_server.serve(write_version(tmp_path / "v3", 3), 3)
    tried.record(CANARY, version=3)
    until(lambda: tried.upload(rows())["model_version"] == 3, 300)


def test_a_trial_needs_an_entity(tried: Tried, tmp_path: Path) -> None:
    """Where the live contract has neither an entity nor an id, no row goes to the trial and health says why."""
    contract = Contract("bare", (Column("n", Kind.NUMBER),), (Feature("n", FeatureKind.NUMBER, "n"),))
    tried.start(CANARY)
    tried.model_server.serve(write_version(tmp_path / "v3", 3, contract, "n\n1\n2000\n"), 3)
    tried.record(CANARY, version=3)
    until(lambda: tried.state()["reason"] == "no_entity_column")
    assert [each["model_version"] for each in tried.upload("n\n1\n")["predictions"]] == [3]


def test_a_trial_ends_with_its_record(tried: Tried) -> None:
    """Without a trial in the record every row is the live version's, and other columns are refused again."""
    client = tried.start(CANARY, contract=OTHER)
    tried.record(None)
    tried.until_it(None)
    assert versions(tried.upload(rows())) == expected(set())
    assert client.post("/upload", content=rows(header=UNION), headers={"content-type": "text/csv"}).status_code == 422
    assert "trial_model_version 0.0" in client.get("/metrics").text


def test_the_columns_of_the_version_before_are_taken(tried: Tried) -> None:
    """A caller who sends the columns of both is served before, during and after a promotion and a rollback."""
    tried.start(CANARY, contract=OTHER)
    for live, previous in [(2, 1), (1, 2)]:
        tried.record(None, version=live, previous=previous)
        tried.until_live(live)
        assert set(versions(tried.upload(rows(header=UNION))).values()) == {live}


def test_the_way_back_needs_no_new_proof(tried: Tried) -> None:
    """The version before is proven while it waits: it becomes the live one although it does not describe itself now."""
    tried.start(CANARY)
    tried.record(None, version=2, previous=1)
    tried.until_live(2)
    tried.model_server.failing[1] = httpx.Response(503)
    tried.record(None, version=1, previous=2)
    tried.until_live(1)


def test_a_record_that_is_lost_pauses_the_trial(tried: Tried) -> None:
    """The live version goes on; a trial that nobody could end does not, and /health is degraded."""
    client = tried.start(CANARY)
    (tried.directory / "release.json").write_text("{")
    tried.until_it("paused")
    assert tried.state()["reason"] == "record_unreadable"
    assert client.get("/health").json()["status"] == "degraded"
    assert versions(tried.upload(rows())) == expected(set())


def test_a_canary_reads_what_a_caller_of_the_version_before_sends(tried: Tried, tmp_path: Path) -> None:
    """A column that only the version before the live one knows hinders neither the live version nor the canary."""
    columns = (*CONTRACT.columns, Column("old", Kind.CATEGORY, values=("a",)))
    before = Contract("before", columns, (*CONTRACT.features, Feature("old", FeatureKind.CATEGORY, "old")))
    golden = "transaction_id,timestamp,amount,age,channel,old\ng-1,2026-01-01T10:00:00,10,30,chip,a\n"
    tried.model_server.serve(write_version(tmp_path / "v3", 3, before, golden), 3)
    tried.start(CANARY, contract=OTHER)
    tried.record(CANARY, previous=3)
    text = rows(header=f"{UNION},old")
    until(lambda: tried.client.post("/upload", content=text, headers={"content-type": "text/csv"}).is_success)
    assert versions(tried.upload(text)) == expected(ON_TRIAL)


def test_a_larger_share_needs_no_new_proof(tried: Tried) -> None:
    """The share changes while the version does not answer its golden rows any more."""
    tried.start(CANARY)
    tried.record(replace(CANARY, share=1.0))
    until(lambda: versions(tried.upload(rows())) == expected(set(IDS)))


def test_a_promotion_needs_no_new_proof(tried: Tried) -> None:
    """The version on trial becomes the live one although nobody can prove it at that moment."""
    client = tried.start(CANARY)
    tried.model_server.failing[2] = httpx.Response(503)
    tried.record(None, version=2)
    until(lambda: client.get("/v1/contract").json()["model_version"] == 2)


def test_a_shadow_becomes_a_canary(tried: Tried) -> None:
    """The kind changes with the record."""
    tried.start(SHADOW)
    tried.record(CANARY)
    until(lambda: versions(tried.upload(rows())) == expected(ON_TRIAL))


@pytest.mark.parametrize("instead_of", [None, 3])
def test_a_takeover_is_said(serve: Serve, model_server: TinyServer, tmp_path: Path, instead_of: int | None) -> None:
    """A version that stepped in for another is degraded, and health and metrics name it."""
    release = Release(1, None, "2026-01-01T00:00:00+00:00", instead_of=instead_of)
    (tmp_path / "release.json").write_bytes(release.to_bytes())
    client = serve()
    report = client.get("/health").json()
    assert report["components"]["model"] == {"version": 1, "recorded_version": 1, "instead_of": instead_of}
    assert report["status"] == ("degraded" if instead_of else "healthy")
    assert f"model_takeover {float(instead_of is not None)}" in client.get("/metrics").text
