"""Makes what other platforms run on time from operations/crontab: the CronJobs of Kubernetes, and the crons of Render.

    python -m deploy.schedule            writes deploy/kubernetes/base/schedule.yaml, and a part of render.yaml
    python -m deploy.schedule --check    exits with 1 where they are not in step

In render.yaml the crons stand between two comments. The first is the pattern of all: what Render needs besides a
name, a time and a command is changed there, and the others follow.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from operations.jobs import crontab
from operations.jobs.crontab import Job

ROOT = Path(__file__).parents[1]
KUBERNETES = Path("deploy/kubernetes/base/schedule.yaml")
RENDER = Path("render.yaml")
BEGIN = "  # cron jobs: begin (made by python -m deploy.schedule)\n"
END = "  # cron jobs: end\n"
CRON = r"  - type: cron\n    name: fraud-(?P<job>[a-z-]+)\n"
LONGEST = {"retrain": 39_600, "backup": 7_200}
"""Seconds after which a job is ended; its next turn would be left out while it runs."""
LONGEST_OF_OTHERS = 1_800
BY_HAND = (
    Job("release", "0 0 1 1 *", ("release",)),
    Job("rollback", "0 0 1 1 *", ("rollback",)),
)
"""Suspended CronJobs, which never run by themselves: `kubectl create job --from` makes a Job of one."""

HEADER = """\
# Made from operations/crontab by `python -m deploy.schedule`: change it there. `release` and `rollback` are suspended
# and never run by themselves: `kubectl create job --from=cronjob/release` makes a Job of one (docs/kubernetes.md).
"""
CRON_JOB = Template("""\
apiVersion: batch/v1
kind: CronJob
metadata:
  name: $job
spec:
  schedule: "$when"
  timeZone: Etc/UTC
  suspend: $suspended
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 3600
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 3
  jobTemplate:
    spec:
      backoffLimit: 0 # A failure is told, and the next turn comes.
      activeDeadlineSeconds: $longest
      ttlSecondsAfterFinished: 1209600
      template:
        metadata:
          labels:
            app.kubernetes.io/name: job
            role: release
        spec:
          serviceAccountName: operations
          automountServiceAccountToken: false
          enableServiceLinks: false
          restartPolicy: Never
          securityContext:
            runAsNonRoot: true
            runAsUser: 10001
            runAsGroup: 10001
            fsGroup: 10001
            fsGroupChangePolicy: OnRootMismatch
            seccompProfile:
              type: RuntimeDefault
          containers:
            - name: fraud
              image: fraud-operations:1.0.0
              imagePullPolicy: IfNotPresent
              command: [fraud]
              args: $arguments
              envFrom:
                - configMapRef:
                    name: fraud-operations
                - configMapRef:
                    name: fraud-shared
              resources:
                requests:
                  cpu: 250m
                  memory: 512Mi
                limits:
                  memory: 4Gi
              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
                capabilities:
                  drop: [ALL]
              volumeMounts:
                - name: model-store
                  mountPath: /srv/model_store
                - name: verified
                  mountPath: /srv/verified
                - name: var
                  mountPath: /srv/var
                - name: tmp
                  mountPath: /tmp
                - name: secrets
                  mountPath: /run/secrets/fraud
                  readOnly: true
                - name: model-keys
                  mountPath: /run/secrets/model-keys
                  readOnly: true
          volumes:
            - name: model-store
              persistentVolumeClaim:
                claimName: model-store
            - name: verified
              persistentVolumeClaim:
                claimName: verified
            - name: var
              persistentVolumeClaim:
                claimName: var
            - name: tmp # A backup is built here.
              emptyDir:
                sizeLimit: 8Gi
            - name: secrets
              secret:
                secretName: fraud-secrets
                defaultMode: 0440
                items:
                  - key: redis-url
                    path: redis-url
                  - key: history-key
                    path: history-key
                  - key: alert-url
                    path: alert-url
            - name: model-keys
              projected:
                defaultMode: 0440
                sources:
                  - configMap:
                      name: model-verify-key
                      optional: true
                  - secret:
                      name: model-signing-key
                      optional: true
""")


class NoPattern(ValueError):
    """render.yaml does not say where the crons stand, or what one looks like."""


def kubernetes(jobs: Sequence[Job]) -> str:
    """The CronJobs, as the whole text of their file."""
    scheduled = [_cron_job(job, suspended=False) for job in jobs]
    return HEADER + "---\n".join(scheduled + [_cron_job(job, suspended=True) for job in BY_HAND])


def render(blueprint: str, jobs: Sequence[Job]) -> str:
    """A render.yaml with a cron for each job, all made like the first that stands there.

    Raises:
        NoPattern: there is none, or not one place for them.
    """
    before, begin, rest = blueprint.partition(BEGIN)
    part, end, after = rest.partition(END)
    first = re.match(rf"{CRON}(?:.*\n)*?(?=  - type: |\Z)", part)
    if not (begin and end and first) or BEGIN in rest or END in after:
        raise NoPattern(f"{RENDER} needs these lines once, and a cron between them\n{BEGIN}{END}")
    return before + BEGIN + "".join(_cron(first[0], first["job"], job) for job in jobs) + END + after


def made(root: Path) -> Mapping[Path, str]:
    """Each file that is made from the crontab, and its text.

    Raises:
        NoPattern: render.yaml does not say where the crons stand, or what one looks like.
        BadCrontab: a line of the crontab cannot be used.
    """
    jobs = crontab.read(root / "operations" / "crontab")
    blueprint = root / RENDER
    return {root / KUBERNETES: kubernetes(jobs), blueprint: render(blueprint.read_text(), jobs)}


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Writes the files, or with --check says which are not in step; returns the exit status."""
    files = made(root)
    stale = [file for file, text in files.items() if not file.exists() or file.read_text() != text]
    if "--check" in arguments:
        for file in stale:
            print(f"{file.relative_to(root)} is not in step with operations/crontab: run python -m deploy.schedule")
        return 1 if stale else 0
    for file in stale:
        file.write_text(files[file])
    return 0


def _cron(pattern: str, name: str, job: Job) -> str:
    """Another job's cron, made of one: its name is a word of its own wherever it stands."""
    renamed = re.sub(rf"\b{name}\b", job.name, pattern)
    return re.sub(r"(?m)^    schedule: .*$", f'    schedule: "{job.when}"', renamed)


def _cron_job(job: Job, *, suspended: bool) -> str:
    return CRON_JOB.substitute(
        job=job.name,
        when=job.when,
        suspended=json.dumps(suspended),
        longest=LONGEST.get(job.name, LONGEST_OF_OTHERS),
        arguments=json.dumps(job.arguments, ensure_ascii=False),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
