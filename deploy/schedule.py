"""Makes the CronJobs of Kubernetes from operations/crontab.

Run it as

    python -m deploy.schedule            writes deploy/kubernetes/base/schedule.yaml
    python -m deploy.schedule --check    exits with 1 where it is not in step
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from string import Template

from operations.jobs import crontab
from operations.jobs.crontab import Job

ROOT = Path(__file__).parents[1]
KUBERNETES = Path("deploy/kubernetes/base/schedule.yaml")
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


def kubernetes(jobs: Sequence[Job]) -> str:
    """The CronJobs, as the whole text of their file."""
    scheduled = [_cron_job(job, suspended=False) for job in jobs]
    return HEADER + "---\n".join(scheduled + [_cron_job(job, suspended=True) for job in BY_HAND])


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Writes the file, or with --check says that it is not in step; returns the exit status.

    Raises:
        BadCrontab: a line of the crontab cannot be used.
    """
    file, text = root / KUBERNETES, kubernetes(crontab.read(root / "operations" / "crontab"))
    is_stale = not file.exists() or file.read_text() != text
    if is_stale and "--check" in arguments:
        print(f"{KUBERNETES} is not in step with operations/crontab: run python -m deploy.schedule")
        return 1
    if is_stale:
        file.write_text(text)
    return 0


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
