"""The rules for values that a JSON schema cannot express, as templates that stop Helm with a message.

They are rules of the daemon and of Kubernetes, which would report a fault only in the log of a pod that does
not start. Those of the daemon are applied to its variables, so that `env` is checked as well.
"""

import json
from collections.abc import Iterable, Mapping

_VARIABLES = "$variables"
_CREDENTIALS = '"://[^/@]*:[^/@]*@"'


def checks_of_variables(known: Iterable[str], fixed: Mapping[str, str]) -> list[str]:
    """Return the lines of a template that check the variables of the daemon, the mapping `$variables`.

    Args:
        known: Names of all variables of the daemon.
        fixed: Variables that a chart cannot change, each with the reason.
    """
    names = " ".join(json.dumps(name) for name in sorted(known))
    lines = [f"{{{{- $known := list {names} -}}}}"]
    unknown = (
        'printf "env.%s: the daemon has no such variable; correct the name, or take it from a ConfigMap with'
        ' envFrom if the image is newer than this chart" $name'
    )
    condition = 'and (hasPrefix "MONOBASE_" $name) (not (has $name $known))'
    stop = f"{{{{- if {condition} }}}}{_fail(unknown)}{{{{- end -}}}}"
    lines.append(f"{{{{- range $name, $_ := .Values.env }}}}{stop}{{{{- end -}}}}")
    lines += [
        _check(f'hasKey (.Values.env | default dict) "{name}"', f"env.{name}: {reason}")
        for name, reason in sorted(fixed.items())
    ]
    prunes = f'(eq "true" (get {_VARIABLES} "MONOBASE_PRUNE_OLD_GEN"))'
    lines += [
        _check(
            f"and {_has('MONOBASE_POOL')} {_has('MONOBASE_ONLY')}",
            "selection.pool and selection.only contradict each other; leave one out",
        ),
        _check(
            f"and {_has('MONOBASE_EAGER')} (not {_has('MONOBASE_ON_DEMAND')})",
            "onDemand.eager needs onDemand.enabled: without it, all that is selected is installed",
        ),
        _check(
            f"and {prunes} (not {_has('MONOBASE_MIN_GEN_ID')})",
            "prune.oldGenerations needs range.minGenId: without it, no generation is too old",
        ),
        _range(),
    ]
    return lines


def checks_of_values(own_names: Mapping[str, Iterable[str]]) -> str:
    """Return a template that checks values; it prints nothing.

    Args:
        own_names: Names that the chart sets itself in a mapping that a value adds to, by the value's path.
    """
    checks = [
        (
            'and .Values.priority.create (hasPrefix "system-" .Values.priority.className)',
            "priority.className: system-… is a class of Kubernetes itself; set priority.create to false",
        ),
        (
            "and .Values.networkPolicy.enabled (not .Values.networkPolicy.from)",
            "networkPolicy.from is empty, which would admit everybody; name who may reach the daemon",
        ),
        (
            f'regexMatch {_CREDENTIALS} (join " " (.Values.sources.order | default list))',
            "sources.order has a password, which the release would show; use sources.login",
        ),
    ]
    for name in ("indexUrl", "pythonMirror"):
        text = f"sources.{name} has a password, which the release would show; use the Secret sources.secret"
        checks.append((f'regexMatch {_CREDENTIALS} (.Values.sources.{name} | default "")', text))
    for path, names in own_names.items():
        checks += [
            (f'hasKey (.Values.{path} | default dict) "{name}"', f"{path}: the chart itself sets {name}")
            for name in names
        ]
    lines = [_check(condition, message) for condition, message in checks]
    return "".join(f"{line}\n" for line in lines)


def _range() -> str:
    oldest, newest = (f'(get {_VARIABLES} "MONOBASE_{name}_GEN_ID")' for name in ("MIN", "MAX"))
    numbers = " ".join(f'(regexMatch "^[0-9]+$" {text})' for text in (oldest, newest))
    text = f'printf "range.minGenId %s is above range.maxGenId %s: no generation is active" {oldest} {newest}'
    condition = f"and {numbers} (gt (int64 {oldest}) (int64 {newest}))"
    return f"{{{{- if {condition} }}}}{_fail(text)}{{{{- end -}}}}"


def _has(name: str) -> str:
    return f'(hasKey {_VARIABLES} "{name}")'


def _check(condition: str, message: str) -> str:
    return f"{{{{- if {condition} }}}}{_fail(json.dumps(message))}{{{{- end -}}}}"


def _fail(message: str) -> str:
    return f"{{{{- fail ({message}) -}}}}"
