"""proto/*.proto through protoc by a virtual path, so that the generated imports come out right with
no path tricks.

Beside protoc's own files it writes a typed `_pb2_grpc.pyi` for each .proto with a service, which
protoc does not.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

VIRTUAL = "driftloop/contracts"  # where a .proto's import says that it lies


class ProtocFailed(Exception):
    """protoc's own words."""


def compiled(root: Path, folder: Path) -> dict[str, str]:
    """Path from the root → text of every Python file that comes of proto/*.proto. `folder` is
    scratch.
    """
    _protoc(root, folder, "--python_out", "--pyi_out", "--grpc_python_out")
    descriptors = described(root, folder)
    files = {
        str(path.relative_to(folder)): _strict(path.read_text("utf-8"))
        for path in sorted((folder / VIRTUAL).glob("*_pb2*.py*"))
    }
    for file in descriptors.file:
        grpc_path = file.name.removesuffix(".proto") + "_pb2_grpc.py"
        if file.service:
            files[grpc_path + "i"] = _stub(file, _modules(descriptors))
        else:
            files.pop(grpc_path, None)  # nothing but a version check
    return files


def _strict(text: str) -> str:
    """protoc's .pyi as mypy --strict takes it: no bare `Mapping`, and a field named `bytes` hides
    no type.
    """
    text = re.sub(r"\b_Mapping]", "_Mapping[str, object]]", text)
    if "    bytes: int\n" in text:
        text = "import builtins\n" + re.sub(r"(: |\[)bytes\b(?!:)", r"\1builtins.bytes", text)
    return text


def described(root: Path, folder: Path) -> FileDescriptorSet:
    """The descriptor set of proto/*.proto, imports of Google's own left out."""
    path = folder / "descriptors.binpb"
    _run(root, [f"--descriptor_set_out={path}"])
    return FileDescriptorSet.FromString(path.read_bytes())


def modules(root: Path, folder: Path) -> Mapping[str, str]:
    """Full name of each message → the Python module that holds it."""
    return _modules(described(root, folder))


def _protoc(root: Path, folder: Path, *outputs: str) -> None:
    _run(root, [f"{output}={folder}" for output in outputs])


def _run(root: Path, arguments: Sequence[str]) -> None:
    protos = sorted(str(path.relative_to(root)) for path in (root / "proto").glob("*.proto"))
    command = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"--proto_path={VIRTUAL}=proto",
        *arguments,
        *protos,
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProtocFailed(done.stderr.strip())


def _modules(descriptors: FileDescriptorSet) -> dict[str, str]:
    return {
        f"{file.package}.{message.name}": file.name.removesuffix(".proto").replace("/", ".")
        + "_pb2"
        for file in descriptors.file
        for message in file.message_type
    }


def _stub(file: FileDescriptorProto, modules: Mapping[str, str]) -> str:
    """Types of the stubs, servicers and registrations of one .proto."""
    services = [_service_types(service, modules) for service in file.service]
    used = sorted(
        {
            modules[kind.removeprefix(".")]
            for service in file.service
            for method in service.method
            for kind in (method.input_type, method.output_type)
        }
    )
    imports = [
        f"from {module.rpartition('.')[0]} import {module.rpartition('.')[2]}" for module in used
    ]
    head = ["from collections.abc import Iterator", "", "import grpc", "", *imports, ""]
    return "\n".join(head) + "\n" + "\n".join(services)


def _service_types(service: ServiceDescriptorProto, modules: Mapping[str, str]) -> str:
    stub = [
        f"class {service.name}Stub:",
        "    def __init__(self, channel: grpc.Channel) -> None: ...",
    ]
    servicer = [f"class {service.name}Servicer:"]
    for method in service.method:
        request, reply = _short(method.input_type, modules), _short(method.output_type, modules)
        kind = _arity(method.client_streaming) + _arity(method.server_streaming)
        stub.append(f"    {method.name}: grpc.{kind}MultiCallable[{request}, {reply}]")
        asked = (
            f"request_iterator: Iterator[{request}]"
            if method.client_streaming
            else f"request: {request}"
        )
        answered = f"Iterator[{reply}]" if method.server_streaming else reply
        servicer.append(
            f"    def {method.name}(self, {asked}, context: grpc.ServicerContext) -> {answered}: "
            "..."
        )
    register = (
        f"def add_{service.name}Servicer_to_server(servicer: {service.name}Servicer, server: "
        "grpc.Server) -> None: ..."
    )
    return "\n".join([*stub, "", *servicer, "", register, ""])


def _arity(streams: bool) -> str:
    return "Stream" if streams else "Unary"


def _short(kind: str, modules: Mapping[str, str]) -> str:
    name = kind.removeprefix(".")
    return f"{modules[name].rpartition('.')[2]}.{name.rpartition('.')[2]}"
