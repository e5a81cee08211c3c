"""Which versions the gateway uses while the release record moves."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from contract.schema import Column, Contract, Feature, FeatureKind, Kind
from releases.record import Release
from tests.gateway.conftest import Serve
from tests.gateway.trials import CANARY, IDS, ON_TRIAL, OTHER, SHADOW, UNION, TrialGateway, expected, rows, versions
from tests.gateway.waiting import until
from tests.tiny import CONTRACT, TinyServer, write_version


def test_health_shows_the_trial(trial_gateway: TrialGateway) -> None:
    """While it runs, the parts of /health name its version, kind and share."""
    client = trial_gateway.start(CANARY)
    assert trial_gateway.state() == {"version": 2, "kind": "canary", "share": 0.5, "status": "running", "reason": None}
    assert client.get("/health").json()["status"] == "healthy"
    assert "trial_paused 0.0" in client.get("/metrics").text


def test_without_redis_a_trial_pauses_and_goes_on_by_itself(trial_gateway: TrialGateway) -> None:
    """Redis gone, all rows are the live version's and /health and /metrics say so; when it is back, it goes on."""
    client = trial_gateway.start(CANARY)
    trial_gateway.valkey.kill()
    trial_gateway.until_status("paused")
    assert versions(trial_gateway.upload(rows())) == expected(set())
    assert trial_gateway.state()["reason"] == "redis_unavailable"
    assert client.get("/health").json()["status"] == "degraded"
    assert "trial_paused 1.0" in client.get("/metrics").text
    trial_gateway.valkey.start()
    trial_gateway.until_status("running")
    assert versions(trial_gateway.upload(rows())) == expected(ON_TRIAL)


def test_the_counts_survive_a_redis_that_lost_them(trial_gateway: TrialGateway) -> None:
    """Totals are written anew: a Redis that comes back empty holds all that was counted before."""
    trial_gateway.start(CANARY)
    trial_gateway.upload(rows())
    before = trial_gateway.wait_for_count(CANARY, "trial:requests")
    trial_gateway.valkey.kill()
    trial_gateway.valkey.start()
    assert trial_gateway.wait_for_count(CANARY, "trial:requests") == before


def test_the_columns_of_a_paused_trial_are_accepted(trial_gateway: TrialGateway) -> None:
    """Callers who send the union of the columns are not refused because Redis is gone, or the canary wrong."""
    trial_gateway.start(CANARY, contract=OTHER)
    trial_gateway.model_server.failing[2] = httpx.Response(409)
    for _ in range(3):
        assert versions(trial_gateway.upload(rows(header=UNION))) == expected(set())


def test_a_trial_needs_redis(trial_gateway: TrialGateway) -> None:
    """With no Redis configured a trial does not run, and the reason says so."""
    trial_gateway.start(CANARY, redis_url=None, status="paused")
    until(lambda: trial_gateway.state()["reason"] == "redis_not_configured")
    assert versions(trial_gateway.upload(rows())) == expected(set())


def test_a_trial_that_cannot_be_proven_touches_nothing(trial_gateway: TrialGateway) -> None:
    """The live version goes on beside a version on trial that is not there."""
    trial_gateway.start(CANARY, status="paused", loaded=False)
    assert (trial_gateway.state()["reason"], trial_gateway.client.get("/readyz").status_code) == ("not_adopted", 200)
    assert versions(trial_gateway.upload(rows())) == expected(set())


def test_a_trial_that_hangs_delays_no_release(trial_gateway: TrialGateway, tmp_path: Path) -> None:
    """While the version on trial does not even describe itself, another live version is adopted."""
    trial_gateway.start(CANARY, status="paused", loaded=False)
    trial_gateway.model_server.hanging.add(2)
    trial_gateway.model_server.serve(write_version(tmp_path / "v3", 3), 3)
    trial_gateway.record(CANARY, version=3)
    until(lambda: trial_gateway.upload(rows())["model_version"] == 3, 300)


def test_a_trial_needs_an_entity(trial_gateway: TrialGateway, tmp_path: Path) -> None:
    """Where the live contract has neither an entity nor an id, no row goes to the trial and health says why."""
    contract = Contract("bare", (Column("n", Kind.NUMBER),), (Feature("n", FeatureKind.NUMBER, "n"),))
    trial_gateway.start(CANARY)
    trial_gateway.model_server.serve(write_version(tmp_path / "v3", 3, contract, "n\n1\n2000\n"), 3)
    trial_gateway.record(CANARY, version=3)
    until(lambda: trial_gateway.state()["reason"] == "no_entity_column")
    assert [each["model_version"] for each in trial_gateway.upload("n\n1\n")["predictions"]] == [3]


def test_a_trial_ends_with_its_record(trial_gateway: TrialGateway) -> None:
    """Without a trial in the record every row is the live version's, and other columns are refused again."""
    client = trial_gateway.start(CANARY, contract=OTHER)
    trial_gateway.record(None)
    trial_gateway.until_status(None)
    assert versions(trial_gateway.upload(rows())) == expected(set())
    assert client.post("/upload", content=rows(header=UNION), headers={"content-type": "text/csv"}).status_code == 422
    assert "trial_model_version 0.0" in client.get("/metrics").text


def test_the_columns_of_the_previous_version_are_accepted(trial_gateway: TrialGateway) -> None:
    """A caller who sends the columns of both is served before, during and after a promotion and a rollback."""
    trial_gateway.start(CANARY, contract=OTHER)
    for live, previous in [(2, 1), (1, 2)]:
        trial_gateway.record(None, version=live, previous=previous)
        trial_gateway.until_live(live)
        assert set(versions(trial_gateway.upload(rows(header=UNION))).values()) == {live}


def test_the_way_back_needs_no_new_proof(trial_gateway: TrialGateway) -> None:
    """The version before is proven while it waits: it becomes the live one although it does not describe itself now."""
    trial_gateway.start(CANARY)
    trial_gateway.record(None, version=2, previous=1)
    trial_gateway.until_live(2)
    trial_gateway.model_server.failing[1] = httpx.Response(503)
    trial_gateway.record(None, version=1, previous=2)
    trial_gateway.until_live(1)


def test_a_record_that_is_lost_pauses_the_trial(trial_gateway: TrialGateway) -> None:
    """The live version goes on; a trial that nobody could end does not, and /health is degraded."""
    client = trial_gateway.start(CANARY)
    (trial_gateway.directory / "release.json").write_text("{")
    trial_gateway.until_status("paused")
    assert trial_gateway.state()["reason"] == "record_unreadable"
    assert client.get("/health").json()["status"] == "degraded"
    assert versions(trial_gateway.upload(rows())) == expected(set())


def test_a_canary_reads_what_a_caller_of_the_version_before_sends(trial_gateway: TrialGateway, tmp_path: Path) -> None:
    """A column that only the version before the live one knows hinders neither the live version nor the canary."""
    columns = (*CONTRACT.columns, Column("old", Kind.CATEGORY, values=("a",)))
    before = Contract("before", columns, (*CONTRACT.features, Feature("old", FeatureKind.CATEGORY, "old")))
    golden = "transaction_id,timestamp,amount,age,channel,old\ng-1,2026-01-01T10:00:00,10,30,chip,a\n"
    trial_gateway.model_server.serve(write_version(tmp_path / "v3", 3, before, golden), 3)
    trial_gateway.start(CANARY, contract=OTHER)
    trial_gateway.record(CANARY, previous=3)
    text = rows(header=f"{UNION},old")
    until(lambda: trial_gateway.client.post("/upload", content=text, headers={"content-type": "text/csv"}).is_success)
    assert versions(trial_gateway.upload(text)) == expected(ON_TRIAL)


def test_a_larger_share_needs_no_new_proof(trial_gateway: TrialGateway) -> None:
    """The share changes while the version does not answer its golden rows any more."""
    trial_gateway.start(CANARY)
    trial_gateway.record(replace(CANARY, share=1.0))
    until(lambda: versions(trial_gateway.upload(rows())) == expected(set(IDS)))


def test_a_promotion_needs_no_new_proof(trial_gateway: TrialGateway) -> None:
    """The version on trial becomes the live one although nobody can prove it at that moment."""
    client = trial_gateway.start(CANARY)
    trial_gateway.model_server.failing[2] = httpx.Response(503)
    trial_gateway.record(None, version=2)
    until(lambda: client.get("/v1/contract").json()["model_version"] == 2)


def test_a_shadow_becomes_a_canary(trial_gateway: TrialGateway) -> None:
    """The kind changes with the record."""
    trial_gateway.start(SHADOW)
    trial_gateway.record(CANARY)
    until(lambda: versions(trial_gateway.upload(rows())) == expected(ON_TRIAL))


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
