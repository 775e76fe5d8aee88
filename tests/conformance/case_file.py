"""Conformance cases as a file has them, and what they mean in calls of the API.

The format is that of cases.json: one object a case, with `class`, `steps`, `request` and `expect`. A step is a call at run time,
`[RPC, arguments after the container…]`; `["ApplyClass", {…}]` replaces the class of the running container.
"""

import ipaddress
import json
import string

FIELDS = {
    "case": {"id", "class", "steps", "request", "expect"},
    "class": {"enable_internet", "intercept_https", "allowed_hosts", "denied_hosts", "outbound_by_host", "outbound",
              "outbound_handlers", "tls_passthrough_hosts", "deny_response", "http_ports", "monitor"},
    "request": {"scheme", "host", "sni", "dst", "port", "method", "target"},
    "expect": {"outcome", "status", "reason", "handler", "params", "certificate", "code", "step"},
}
OUTCOMES = {"deny", "handler", "egress", "relay", "reset", "bad_request", "misdirected", "rpc_rejected", "class_rejected"}
# The arguments of a step in order, as fields of its request.
STEPS = {
    "SetOutboundByHost": ["host", "handler", "params"],
    "SetOutboundByHosts": ["rules"],
    "RemoveOutboundByHost": ["host"],
    "SetOutboundHandler": ["handler", "params"],
    "ClearOutboundHandler": [],
    "SetAllowedHosts": ["hosts"],
    "SetDeniedHosts": ["hosts"],
    "ClearAllowedHosts": [],
    "ClearDeniedHosts": [],
    "AllowHost": ["host"],
    "DenyHost": ["host"],
    "RemoveAllowedHost": ["host"],
    "RemoveDeniedHost": ["host"],
    "SetEnableInternet": ["enable_internet"],
    "InterceptOutboundHttp": ["target", "handler", "params"],
    "InterceptOutboundHttps": ["target", "handler", "params"],
    "InterceptAllOutboundHttp": ["handler", "params"],
    "RemoveInterceptOutboundHttp": ["host"],
    "RemoveInterceptOutboundHttps": ["host"],
    "RemoveInterceptAllOutboundHttp": [],
    "ApplyClass": ["class"],
}
# Named by a rule, and never registered.
UNREGISTERED = "nope"


class BadFile(Exception):
    """The file cannot be played; says where and why."""


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            cases = json.load(file)
    except (OSError, ValueError) as error:
        raise BadFile(f"{path}: {error}") from None
    if not isinstance(cases, list):
        raise BadFile(f"{path}: a list of cases is wanted")
    seen = set()
    for number, case in enumerate(cases, 1):
        try:
            check(case)
            if case["id"] in seen:
                raise ValueError("two cases have this id")
            seen.add(case["id"])
        except (KeyError, TypeError, ValueError) as error:
            name = case.get("id", f"number {number}") if isinstance(case, dict) else f"number {number}"
            raise BadFile(f"{path}: case {name}: {error_text(error)}") from None
    return cases


def error_text(error):
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)


def check(case):
    """A case that says more than is read would pass for the wrong reason."""
    for part, value in (("case", case), ("class", case["class"]), ("request", case["request"]), ("expect", case["expect"])):
        for field in value:
            if field not in FIELDS[part]:
                raise ValueError(f"unknown field {field!r} of {part}")
    case.setdefault("steps", [])
    for rpc, *arguments in case["steps"]:
        if rpc not in STEPS:
            raise ValueError(f"unknown step {rpc!r}")
        if len(arguments) > len(STEPS[rpc]):
            raise ValueError(f"{rpc} takes {len(STEPS[rpc])} arguments after the container")
    if case["expect"]["outcome"] not in OUTCOMES:
        raise ValueError(f"unknown outcome {case['expect']['outcome']!r}")
    request = case["request"]
    ipaddress.ip_address(request["dst"])
    request.setdefault("port", {"http": 80, "https": 443}.get(request["scheme"]))
    if request["port"] is None:
        raise ValueError(f"a port is wanted for scheme {request['scheme']!r}")


def rule(given):
    host, handler, *params = given
    return {"host": host, "handler": {"handler": handler, **({"params": params[0]} if params else {})}}


def class_message(name, fields):
    """A class as the API's JSON."""
    message = {"name": name}
    for field, value in fields.items():
        if field in ("allowed_hosts", "denied_hosts"):
            value = {"hosts": value}
        elif field == "outbound_by_host":
            value = [rule(one) for one in value]
        elif field == "outbound":
            value = {"handler": value}
        elif field == "outbound_handlers":
            value = {"names": value}
        message[field] = value
    return message


def step_fields(rpc, arguments):
    """The fields of a step's request."""
    fields = dict(zip(STEPS[rpc], arguments))
    if "rules" in fields:
        fields["rules"] = [rule(one) for one in fields["rules"]]
    return {field: value for field, value in fields.items() if value is not None}


def handlers(cases):
    """Every handler that a case names."""
    names = set()
    for case in cases:
        classes = [case["class"], *(arguments[0] for rpc, *arguments in case["steps"] if rpc == "ApplyClass")]
        for fields in classes:
            message = class_message("", fields)
            names |= {one["handler"]["handler"] for one in message.get("outbound_by_host", [])}
            names |= set(message.get("outbound_handlers", {}).get("names", []))
            if "outbound" in message:
                names.add(message["outbound"]["handler"])
        for rpc, *arguments in case["steps"]:
            fields = step_fields(rpc, arguments)
            names |= {one["handler"]["handler"] for one in fields.get("rules", [])}
            if "handler" in fields:
                names.add(fields["handler"])
    return sorted(name for name in names - {UNREGISTERED} if name)


def host_part(authority):
    """The host of an authority, without port and trailing dot; None unless it is one that can be looked up or dialled."""
    if not authority:
        return None
    host = authority[1:authority.find("]")] if authority.startswith("[") else authority.rsplit(":", 1)[0]
    host = host.lower().removesuffix(".")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        legal = host and set(host) <= set(string.ascii_lowercase + string.digits + "-_.")
        return host if legal and all(0 < len(label) < 64 for label in host.split(".")) else None


def is_address(host):
    try:
        return bool(ipaddress.ip_address(host))
    except ValueError:
        return False


class Setting:
    """The internet that a number of cases can share: what names resolve to, and the addresses and ports of origins."""

    # One certificate serves all names.
    MAX_NAMES = 500

    def __init__(self):
        self.cases = []
        self.names = {}
        self.addresses = set()
        self.ports = set()

    def admit(self, case):
        """False: the case needs a name to resolve to something else."""
        request = case["request"]
        hosts = {host_part(request.get("host")), host_part(request.get("sni"))} - {None}
        names = {host for host in hosts if not is_address(host)}
        if any(self.names.get(name, request["dst"]) != request["dst"] for name in names):
            return False
        if len(self.names) + len(names) > self.MAX_NAMES and self.cases:
            return False
        self.cases.append(case)
        self.names.update({name: request["dst"] for name in names})
        self.addresses |= {address for address in {request["dst"], *(hosts - names)} if can_be_an_origin(address)}
        self.ports.add(request["port"])
        return True


def can_be_an_origin(address):
    address = ipaddress.ip_address(address)
    link_local_v6 = address.version == 6 and address.is_link_local
    return not (address.is_loopback or address.is_multicast or address.is_unspecified or link_local_v6)


def settings(cases):
    """As few as the cases' names permit."""
    all_settings = []
    for case in cases:
        if not any(setting.admit(case) for setting in all_settings):
            all_settings.append(Setting())
            all_settings[-1].admit(case)
    return all_settings
