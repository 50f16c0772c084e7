#!/usr/bin/env python3
"""Makes actions as Osprey's own senders do: with json, msgpack and protobuf. One line of JSON each: {form, encoding, value (hexadecimal)}.

The message is built from the part of osprey/rpc/actions/v1/action.proto that carries hashes, by field numbers. Exits with 77 where a library
is absent.
"""

import json
import sys

try:
    import msgpack
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
except ImportError as absent:
    print(absent)
    sys.exit(77)

AT = "2026-03-15T12:00:00Z"
AT_S = 1_773_576_000
MD5 = "0123456789abcdef0123456789abcdef"
DATA = {"created_at": AT, "user": {"id": "user:1"}, "media": {"md5": MD5}}
Field = descriptor_pb2.FieldDescriptorProto


def action_class() -> type:
    """The class of osprey.rpc.actions.v1.Action, with its two kinds that carry hashes and one that does not."""
    file = descriptor_pb2.FileDescriptorProto(name="action.proto", package="osprey.rpc.actions.v1", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")

    def message(name: str, fields: list[tuple]) -> descriptor_pb2.DescriptorProto:
        made = file.message_type.add(name=name)
        for field, number, kind, of in fields:
            made.field.add(name=field, number=number, type=kind, type_name=of, label=Field.LABEL_OPTIONAL)
        return made

    here, time = ".osprey.rpc.actions.v1.", ".google.protobuf.Timestamp"
    message("UserHashMatcher", [("id", 1, Field.TYPE_FIXED64, None)])
    message("UserBlocked", [("user_id", 1, Field.TYPE_UINT64, None)])
    message(
        "HashMatcherIconMatched",
        [
            ("timestamp", 1, Field.TYPE_MESSAGE, time),
            ("distance", 4, Field.TYPE_DOUBLE, None),
            ("md5", 7, Field.TYPE_STRING, None),
            ("guild_id", 10, Field.TYPE_UINT64, None),
            ("user", 12, Field.TYPE_MESSAGE, here + "UserHashMatcher"),
        ],
    )
    message(
        "SafetyVisualPrediction",
        [
            ("timestamp", 1, Field.TYPE_MESSAGE, time),
            ("user_id", 6, Field.TYPE_UINT64, None),
            ("score", 9, Field.TYPE_FLOAT, None),
            ("md5_hash", 12, Field.TYPE_STRING, None),
            ("from_bot", 13, Field.TYPE_BOOL, None),
        ],
    )
    action = message("Action", [("id", 1, Field.TYPE_FIXED64, None)])
    action.oneof_decl.add(name="data")
    for field, number, of in [
        ("user_blocked", 8, "UserBlocked"),
        ("hash_matcher_icon_matched", 12, "HashMatcherIconMatched"),
        ("safety_visual_prediction", 13, "SafetyVisualPrediction"),
    ]:
        action.field.add(
            name=field, number=number, type=Field.TYPE_MESSAGE, type_name=here + of, label=Field.LABEL_OPTIONAL, oneof_index=0
        )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("osprey.rpc.actions.v1.Action"))


def main() -> int:
    """Prints the actions."""

    def show(form: str, value: bytes, encoding: str | None = None) -> None:
        print(json.dumps({"form": form, "encoding": encoding, "value": value.hex()}))

    worker = {"send_time": AT, "data": {"action_id": 1, "action_name": "media_uploaded", "data": DATA}}
    show("worker", json.dumps(worker).encode())
    coordinator = {"id": "2", "name": "media_uploaded", "data": DATA, "secret_data": {"ip": "192.0.2.1"}}
    show("coordinator", msgpack.packb(json.dumps(coordinator)))
    long = {"id": "3", "name": "media_uploaded", "data": {**DATA, "text": "x" * 70_000}}
    show("coordinator, long", msgpack.packb(json.dumps(long)))
    action = action_class()
    icon = action(id=4)
    icon.hash_matcher_icon_matched.timestamp.seconds = AT_S
    icon.hash_matcher_icon_matched.md5 = MD5
    icon.hash_matcher_icon_matched.distance = 0.25
    icon.hash_matcher_icon_matched.user.id = 7
    show("proto, icon", icon.SerializeToString(), "proto")
    prediction = action(id=5)
    prediction.safety_visual_prediction.timestamp.seconds = AT_S
    prediction.safety_visual_prediction.md5_hash = MD5
    prediction.safety_visual_prediction.user_id = 7
    prediction.safety_visual_prediction.score = 0.5
    show("proto, prediction", prediction.SerializeToString(), "proto")
    blocked = action(id=6)
    blocked.user_blocked.user_id = 7
    show("proto, blocked", blocked.SerializeToString(), "proto")
    return 0


if __name__ == "__main__":
    sys.exit(main())
