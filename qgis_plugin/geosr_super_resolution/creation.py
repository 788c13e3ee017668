# SPDX-License-Identifier: GPL-2.0-or-later
"""Make an environment: a virtual one, filled by pip or uv, checked, or else removed again.

Every step runs under `watch`, so that a killed QGIS leaves no pip behind.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from .child import Child
from .creation_plan import CreationPlan, check, install_command, quoted, venv_command
from .explain import hint_for, without_secrets
from .managed_folder import ManagedFolder
from .probing import Environment, EnvironmentProblem, probe
from .runner import WorkerCancelled
from .scrub import clean_environment

WATCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "watch.py")

POLL_S = 0.05
LOG_LINES = 50

Logged = Callable[[str], None]
Asked = Callable[[], bool]


class CreationCancelled(Exception):
    """It was cancelled, and what was made is removed."""


def create(
    plan: CreationPlan,
    *,
    on_log: Logged,
    is_cancelled: Asked,
    environ: Mapping[str, str] | None = None,
) -> Environment:
    """Make an environment and return it, checked.

    An older one that the plugin has made there is set aside, and put back if this fails.

    Parameters
    ----------
    on_log
        Called with each line of what is going on, in this thread.
    is_cancelled
        Asked about every 50 ms.

    Raises
    ------
    EnvironmentProblem
        If it fails; the folder is as it was before.
    CreationCancelled
        If it was cancelled; the folder is as it was before.
    """
    environ = os.environ if environ is None else environ
    check(plan)
    variables = _variables(plan, environ)
    with _made(plan) as folder:
        for command in (venv_command(plan), install_command(plan)):
            on_log("> " + without_secrets(" ".join(quoted(part) for part in command)))
            _run([plan.base.path, WATCH, *command], variables, on_log, is_cancelled)
        on_log("Checking the environment ...")
        found = _checked(plan, environ, is_cancelled)
        if plan.extra and not found.can_train:
            raise EnvironmentProblem(f"{plan.requirement} was installed without TensorFlow.")
        folder.finish(found.version)
    on_log(found.in_words())
    return found


def _checked(plan: CreationPlan, environ: Mapping[str, str], is_cancelled: Asked) -> Environment:
    try:  # the first start compiles everything
        return probe(
            plan.python, how="managed", environ=environ, timeout_s=120.0, is_cancelled=is_cancelled
        )
    except WorkerCancelled as error:
        raise CreationCancelled from error


@contextmanager
def _made(plan: CreationPlan) -> Iterator[ManagedFolder]:
    try:
        with ManagedFolder(plan.folder, plan.requirement) as folder:
            yield folder
    except OSError as error:
        raise EnvironmentProblem(
            f"The folder {plan.folder} cannot be made: {error.strerror or error}.",
            "Choose another folder, or close what uses it.",
        ) from error


def _variables(plan: CreationPlan, environ: Mapping[str, str]) -> dict[str, str]:
    variables = clean_environment(environ, python=plan.base.path)
    variables["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    variables["UV_PYTHON_DOWNLOADS"] = "never"
    variables["UV_NO_PROGRESS"] = "1"
    if plan.index_url:
        variables.update(PIP_INDEX_URL=plan.index_url, UV_DEFAULT_INDEX=plan.index_url)
    if plan.wheel_folder:  # no other source, whatever is configured
        for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_CONSTRAINT"):
            variables.pop(name, None)
        variables["PIP_CONFIG_FILE"] = os.devnull
        variables["UV_NO_CONFIG"] = "1"
    if plan.proxy:
        variables["PIP_PROXY"] = plan.proxy
        variables.update(HTTPS_PROXY=plan.proxy, HTTP_PROXY=plan.proxy)
        variables.update(https_proxy=plan.proxy, http_proxy=plan.proxy)
    if plan.ca_bundle:
        variables["PIP_CERT"] = plan.ca_bundle
        variables.update(SSL_CERT_FILE=plan.ca_bundle, REQUESTS_CA_BUNDLE=plan.ca_bundle)
    return variables


def _run(
    command: Sequence[str], variables: Mapping[str, str], on_log: Logged, is_cancelled: Asked
) -> None:
    """Run a step; its lines go to ``on_log``."""
    last: deque[str] = deque(maxlen=LOG_LINES)
    try:
        child = Child(command, variables, polite_s=0.0, firm_s=1.0, kill_s=3.0)
    except OSError as error:
        raise EnvironmentProblem(f"{command[0]} cannot be started: {error.strerror}.") from error
    try:
        for line in child.lines(is_cancelled, POLL_S):
            text = without_secrets(line[1].decode("utf-8", "replace").rstrip())
            if text:
                last.append(text)
                on_log(text)
    finally:
        child.finish()
    if child.was_stopped:
        raise CreationCancelled
    if child.returncode != 0:
        told = [line for line in last if "error" in line.lower()] or list(last) or ["no message"]
        step = (
            "The packages could not be installed"
            if "install" in command
            else "The virtual environment could not be made"
        )
        raise EnvironmentProblem(f"{step}: {told[-1]}", hint_for(list(last)), log=tuple(last))
