"""As much of grpcurl as the demo's printed lines need: `-plaintext -H HEADER -d JSON ADDRESS SERVICE/METHOD`.

A client that shares nothing with ours: it knows the contract only, and speaks it as JSON.
"""

from __future__ import annotations

import importlib
import sys

import grpc
from google.protobuf import descriptor_pool, json_format
from google.protobuf.message_factory import GetMessageClass


def main() -> None:
    """Makes the call and prints the answer, or what went wrong."""
    plaintext, header_flag, header, data_flag, data, address, method = sys.argv[1:]
    assert (plaintext, header_flag, data_flag) == ("-plaintext", "-H", "-d"), sys.argv
    name, _, value = header.partition(": ")
    for module in ("approval", "interrupt"):
        importlib.import_module(f"pmbot.v1.{module}_pb2")
    service, _, call = method.partition("/")
    described = descriptor_pool.Default().FindServiceByName(service).methods_by_name[call]
    request = json_format.Parse(data, GetMessageClass(described.input_type)())
    answer = GetMessageClass(described.output_type)
    with grpc.insecure_channel(address) as channel:
        send = channel.unary_unary(f"/{service}/{call}", lambda message: message.SerializeToString(), answer.FromString)
        try:
            print(json_format.MessageToJson(send(request, timeout=30, metadata=[(name.lower(), value)])))
        except grpc.RpcError as error:
            sys.exit(f"ERROR:\n  Code: {error.code().name}\n  Message: {error.details()}")


main()
