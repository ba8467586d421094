"""The values of the chart that are variables of the daemon, and the expressions that set these variables."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tools.deploy.chart.checks import checks_of_variables
from tools.deploy.chart.schemas import FLAG
from tools.deploy.chart.values import Value

_TEXTS = {"type": "array", "items": {"type": "string", "pattern": r"^\S+$"}}
_ID = {"type": ["integer", "null"], "minimum": 0}
_COUNT = {"type": ["integer", "null"], "minimum": 1}
_SECONDS = {"type": ["integer", "null"], "minimum": 0}
_POOL = {"type": "string", "pattern": "^([a-z0-9](-?[a-z0-9]){0,39})?$"}
_URL = {"type": "string", "pattern": r"^((https?|file)://\S+|/\S*)?$"}
_LOCATIONS = {
    "type": "array",
    "items": {"type": "string", "pattern": r"^(index|(oci|oci\+http|https?)://[^\s/]+\S*|file:///\S*)$"},
}
# As the daemon parses them (daemon/prefix/disk_budget.py, daemon/download_limit/rate_limit.py).
_SHARE = r"(100(\.0+)?|[1-9][0-9]?(\.[0-9]+)?|0\.0*[1-9][0-9]*)%"
_NUMBER = r"([1-9][0-9]{0,14}(\.[0-9]+)?|0\.0*[1-9][0-9]*)"
_AMOUNT = {"type": "string", "pattern": rf"^({_SHARE}|({_NUMBER}[kKMGT]i?|[1-9][0-9]{{6,14}})B?)?$"}
_RATE = {"type": "string", "pattern": rf"^({_NUMBER}[kKMG]B?|[1-9][0-9]{{4,14}})?$"}


@dataclass(frozen=True, slots=True)
class Option:
    """A value that becomes a variable.

    Attributes:
        group: Name of its group of values.
        name: Its name there.
        variable: Variable of the daemon.
        default: Its default, unless the base sets the variable.
        schema: JSON schema.
        text: What it means.
    """

    group: str
    name: str
    variable: str
    default: Any
    schema: Mapping[str, Any]
    text: str

    @property
    def path(self) -> str:
        """The value in an expression."""
        return f".Values.{self.group}.{self.name}"

    def value(self, of_base: Mapping[str, str]) -> Value:
        """Return the value, with the default that the variables of the base give it."""
        default = self.default
        if self.variable in of_base:
            text = of_base[self.variable]
            default = text == "true" if self.schema is FLAG else type_of(self.schema)(text)
        return Value(default, self.schema, f"{self.text} ({self.variable})")


def type_of(schema: Mapping[str, Any]) -> type[int] | type[str]:
    """Return the type that a variable's text becomes in the values."""
    return int if "integer" in schema["type"] else str


OPTIONS = (
    Option("range", "minGenId", "MONOBASE_MIN_GEN_ID", None, _ID,
           "Oldest generation that nodes keep ready; null for the oldest of the image"),
    Option("range", "maxGenId", "MONOBASE_MAX_GEN_ID", None, _ID,
           "Newest generation that nodes keep ready; null for the newest of the image"),
    Option("selection", "pool", "MONOBASE_POOL", "", _POOL,
           "The part of each generation that nodes hold, by the name of a pool; empty for all"),
    Option("selection", "only", "MONOBASE_ONLY", [], _TEXTS,
           "The same as patterns of environments and toolkits; instead of `pool`"),
    Option("onDemand", "enabled", "MONOBASE_ON_DEMAND", False, FLAG,
           "Install only what models ask for, and what `eager` names"),
    Option("onDemand", "eager", "MONOBASE_EAGER", [], _TEXTS,
           "Patterns of environments that are installed without a demand, and never evicted"),
    Option("prune", "oldGenerations", "MONOBASE_PRUNE_OLD_GEN", False, FLAG,
           "Remove what is older than range.minGenId, unless a model leases it"),
    Option("prune", "unselected", "MONOBASE_PRUNE_UNSELECTED", False, FLAG,
           "Remove what the selection no longer names, unless a model leases it"),
    Option("budget", "diskBudget", "MONOBASE_DISK_BUDGET", "", _AMOUNT,
           "The most that the node's folder may take, such as 300G or 60%; empty for no limit"),
    Option("budget", "keepFree", "MONOBASE_KEEP_FREE", "", _AMOUNT,
           "What must stay free on its disk, such as 50G; empty for nothing"),
    Option("sources", "order", "MONOBASE_SOURCES", [], _LOCATIONS,
           "Where wheels come from, in this order: oci://REGISTRY/REPOSITORY, https://HOST/PATH/, index"),
    Option("sources", "indexUrl", "MONOBASE_INDEX_URL", "", _URL,
           "Package index in place of the one in the locks; one with a password belongs into sources.secret"),
    Option("sources", "pythonMirror", "MONOBASE_PYTHON_MIRROR", "", _URL,
           "Mirror of uv's Python interpreters"),
    Option("work", "jobs", "MONOBASE_JOBS", None, _COUNT,
           "Concurrent processes of an install; null for the processors, at most 8"),
    Option("work", "concurrentDownloads", "MONOBASE_CONCURRENT_DOWNLOADS", None, _COUNT,
           "Concurrent downloads; null for uv's default"),
    Option("work", "maxDownloadRate", "MONOBASE_MAX_DOWNLOAD_RATE", "", _RATE,
           "Most bytes a second that a node downloads, such as 100M; empty for no limit"),
    Option("work", "firstFetchJitter", "MONOBASE_FIRST_FETCH_JITTER", None, _SECONDS,
           "Seconds over which nodes spread their first fetch of what is new; null for at once"),
)  # fmt: skip
# Variables of the daemon that no option sets; `env` may.
OTHER_VARIABLES = (
    "MONOBASE_CHECK_INTERVAL",
    "MONOBASE_CLEAN_UV_CACHE",
    "MONOBASE_COMPILE_CACHE",
    "MONOBASE_COMPILE_CACHE_SIZE",
    "MONOBASE_COPY",
    "MONOBASE_FEATURES_DIR",
    "MONOBASE_GENS",
    "MONOBASE_LISTEN",
    "MONOBASE_LOG_FORMAT",
    "MONOBASE_MAX_RETRY_DELAY",
    "MONOBASE_MIN_DOWNLOAD_RATE",
    "MONOBASE_MIN_DOWNLOAD_WINDOW",
    "MONOBASE_P2P",
    "MONOBASE_PREFETCH",
    "MONOBASE_PREFIX",
    "MONOBASE_PYTHON_DOWNLOADS",
    "MONOBASE_REGISTRY_CONFIG",
    "MONOBASE_REPAIR",
    "MONOBASE_RETRY_DELAY",
    "MONOBASE_SCAN_INTERVAL",
    "MONOBASE_UV",
    "MONOBASE_VERIFY_INTERVAL",
)
_FIXED = {
    "MONOBASE_LISTEN": "the probes of the chart ask port 8080; leave it out",
    "MONOBASE_PREFIX": "the chart mounts /srv/r8/monobase; for another folder, use the kustomization",
}


def variables_template(
    name: str,
    of_base: Mapping[str, str],
    conditional: Mapping[str, tuple[str, str]],
    of_pod: Mapping[str, tuple[str, Mapping[str, Any]]],
) -> str:
    """Return the definition of a template that gives the `env` of the daemon's container as JSON.

    Args:
        name: Name of the template.
        of_base: Variables of the base; those that are no option are constants.
        conditional: Further variables: a condition and the value.
        of_pod: Variables with a value of the pod: a condition and the entry. They are first in the list, as
            Kubernetes replaces `$(NAME)` in those behind them.
    """
    known = {option.variable for option in OPTIONS}
    lines = [f'{{{{- define "{name}" -}}}}', "{{- $variables := dict -}}"]
    lines += [_set(variable, f'"{text}"') for variable, text in of_base.items() if variable not in known]
    lines += [_of_option(option, option.variable in of_base) for option in OPTIONS]
    lines += [
        f"{{{{- if {condition} }}}}{_set(variable, chr(34) + text + chr(34))}{{{{- end -}}}}"
        for variable, (condition, text) in conditional.items()
    ]
    lines.append(
        "{{- range $name, $text := .Values.env }}{{- $_ := set $variables $name $text -}}{{- end -}}"
    )
    lines += checks_of_variables({*known, *OTHER_VARIABLES}, _FIXED)
    lines += [
        "{{- $entries := list -}}",
        *(_of_pod(variable, condition, entry) for variable, (condition, entry) in of_pod.items()),
        "{{- range $name, $text := $variables }}",
        # The API server drops an empty value.
        '{{- $entry := ternary (dict "name" $name "value" $text) (dict "name" $name) (ne $text "") -}}',
        "{{- $entries = append $entries $entry -}}",
        "{{- end -}}",
        "{{- toJson $entries -}}",
        "{{- end -}}",
    ]
    return "".join(f"{line}\n" for line in lines)


def _of_pod(name: str, condition: str, entry: Mapping[str, Any]) -> str:
    """Return the expression that adds an entry, unless a user sets the variable."""
    text = json.dumps(json.dumps(entry))
    added = f"{{{{- $entries = append $entries (fromJson {text}) -}}}}"
    return f'{{{{- if and ({condition}) (not (hasKey $variables "{name}")) }}}}{added}{{{{- end -}}}}'


def _of_option(option: Option, always: bool) -> str:
    kind = option.schema["type"]
    if kind == "boolean":
        text, condition = f"{option.path} | toString", option.path
    elif "integer" in kind:
        # Helm reads numbers of YAML as floating point.
        text, condition = f"{option.path} | int64 | toString", f'not (kindIs "invalid" {option.path})'
        always = False
    elif kind == "array":
        text, condition = f'{option.path} | join " "', option.path
    else:
        text, condition = option.path, option.path
    setting = _set(option.variable, f"({text})")
    return setting if always else f"{{{{- if {condition} }}}}{setting}{{{{- end -}}}}"


def _set(variable: str, expression: str) -> str:
    return f'{{{{- $_ := set $variables "{variable}" {expression} -}}}}'
