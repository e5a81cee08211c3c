"""deploy/schedule.py: the file that is made of operations/crontab."""

import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy import schedule
from operations.jobs import crontab
from operations.jobs.crontab import Job

ROOT = Path(__file__).parents[2]
SCHEDULED = crontab.read(ROOT / "operations" / "crontab")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the files that are read and written."""
    for file in (schedule.KUBERNETES, Path("operations/crontab")):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


def test_the_files_are_in_step_with_the_crontab() -> None:
    """What Kubernetes runs, and when, is what operations/crontab says."""
    assert schedule.main(["--check"]) == 0


def test_a_changed_crontab_is_noticed_and_followed(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """After a change of the crontab the check fails and names the file, until it is written again."""
    with (copy / "operations" / "crontab").open("a") as file:
        file.write("5 5 * * 1 fraud models\n")
    assert schedule.main(["--check"], copy) == 1
    assert "deploy/kubernetes/base/schedule.yaml" in capsys.readouterr().out
    assert schedule.main([], copy) == 0
    assert schedule.main(["--check"], copy) == 0
    assert '"5 5 * * 1"' in (copy / schedule.KUBERNETES).read_text()


def test_a_file_that_was_changed_by_hand_is_noticed(copy: Path) -> None:
    """The check fails for a time that was changed there alone."""
    file = copy / schedule.KUBERNETES
    file.write_text(file.read_text().replace('"7 * * * *"', '"8 * * * *"'))
    assert schedule.main(["--check"], copy) == 1


NAMES = st.from_regex(r"[a-z]{2,8}-[a-z]{1,8}", fullmatch=True)
"""Of two words: one named m would be taken for an option of python -m, and one named no for false."""
WORDS = st.from_regex(r"[\w ,'\"#:{}%=./-]{0,12}", fullmatch=True)
JOBS = st.builds(
    lambda name, minute, words: Job(name, f"{minute} 3 * * 0", (name, *words)),
    NAMES,
    st.integers(0, 59),
    st.lists(WORDS, max_size=3),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(JOBS, min_size=1, max_size=4, unique_by=lambda job: job.name))
def test_each_line_becomes_a_cron_job(jobs: list[Job]) -> None:
    """Each job is there by its name, its time in UTC and exactly its words, and never runs twice at a time."""
    made = [each for each in yaml.load_all(schedule.kubernetes(jobs), yaml.CSafeLoader) if not each["spec"]["suspend"]]
    found = []
    for each in made:
        assert (each["spec"]["timeZone"], each["spec"]["concurrencyPolicy"]) == ("Etc/UTC", "Forbid")
        assert each["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] > 0
        (container,) = each["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        assert container["command"] == ["fraud"]
        found.append(Job(each["metadata"]["name"], each["spec"]["schedule"], tuple(container["args"])))
    assert found == jobs


def test_releases_are_there_to_be_run_by_hand() -> None:
    """`release` and `rollback` are CronJobs that never run by themselves: Jobs are made of them."""
    made = yaml.safe_load_all(schedule.kubernetes(SCHEDULED))
    suspended = {each["metadata"]["name"] for each in made if each["spec"]["suspend"]}
    assert suspended == {"release", "rollback"}
