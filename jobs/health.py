"""What `doctor` finds of a project before something is begun in it."""

from __future__ import annotations

from jobs.console import Ended
from jobs.examination import Asked, patient
from jobs.output import say
from shared.doctor.doctor import Part, examine
from shared.doctor.finding import Status, exit_code, problems
from shared.doctor.tools import Machine
from shared.environment import Environment
from shared.errors import Problem
from shared.exit_codes import Exit
from shared.gcp.doctor.rest import RestCloud

ANYWAY = "if that is no reason not to begin: the same command with ANYWAY=1"


def stopping(environment: Environment, asked: Asked) -> list[Problem]:
    """What stops a run; what does not is said. Ended if all of it may pass by itself."""
    assert environment.project is not None
    cloud = RestCloud(environment.project, environment.apis_host)
    findings = list(examine(patient(environment, cloud, asked, Machine()), cloud, Part.INGEST))
    found = problems(findings)
    for finding in findings:
        if finding.status is Status.NOTE:
            say(f"{finding.what}: {finding.sentence}")
    if exit_code(findings) is Exit.TRY_AGAIN:
        for finding in found:
            say(f"{finding.what}: {finding.sentence}; try again")
        raise Ended(Exit.TRY_AGAIN)
    if found:
        say(ANYWAY)
    return [
        Problem(environment.project, one.what, None, "; type: ".join((one.sentence, *one.mend))) for one in found
    ]
