"""Every field of every request has a bound: in the table, in the contract's comment, in the documentation."""

import re
import resource
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor import FieldDescriptor
from grpc_tools import protoc
from policy_client.testing import fields

from policy_service.errors import InvalidRequest
from policy_service.pb import decision_pb2 as pb
from policy_service.pb import manage_users_pb2 as mu
from policy_service.rpc.bounds import ITEMS, MOST_MESSAGE, TEXTS, reader
from policy_service.rpc.errors import UnreadableRequest
from tests.support.rpc import METHODS

pytestmark = pytest.mark.over_tls

ROOT = Path(__file__).parents[2]
FILES = ("audit", "callers", "decision", "manage_users", "seeds")


def request_fields():
    """Each text and each list of each message that a request holds, once."""
    waiting, seen = [method.input_type for _, method in METHODS.values()], set()
    while waiting:
        message = waiting.pop()
        if message.full_name in seen:
            continue
        seen.add(message.full_name)
        for field in message.fields:
            if field.message_type is not None:
                waiting.append(field.message_type)
            if field.is_repeated or field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
                yield field


FIELDS = {f"{field.containing_type.name}.{field.name}": field for field in request_fields()}


@pytest.fixture(scope="module")
def comments() -> dict[str, str]:
    """What the contract says of each field."""
    with tempfile.NamedTemporaryFile() as file:
        include = Path(protoc.__file__).parent / "_proto"
        names = [f"policy/v1/{name}.proto" for name in FILES]
        options = [f"-I{ROOT / 'proto'}", f"-I{include}", "--include_source_info", f"--descriptor_set_out={file.name}"]
        assert protoc.main(["protoc", *options, *names]) == 0
        found = descriptor_pb2.FileDescriptorSet.FromString(Path(file.name).read_bytes())
    told = {}
    for proto in found.file:
        words = {tuple(at.path): at.leading_comments for at in proto.source_code_info.location}
        for number, message in enumerate(proto.message_type):
            for place, field in enumerate(message.field):
                told[f"{message.name}.{field.name}"] = " ".join(words.get((4, number, 2, place), "").split())
    return told


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_every_field_has_a_bound_which_its_comment_says(name, comments):
    field, wanted = FIELDS[name], []
    if field.is_repeated:
        wanted.append(ITEMS[name])
    if field.type == FieldDescriptor.TYPE_STRING:
        wanted.append(TEXTS[field.name])
    assert wanted, f"{name}: no bound is known for a field of its type"
    for most in wanted:
        assert re.search(rf"\b(at most|1 to) {most:,}\b", comments[name], re.IGNORECASE), comments[name]


def test_the_table_holds_nothing_that_the_contract_does_not():
    assert set(ITEMS) == {name for name, field in FIELDS.items() if field.is_repeated}
    assert set(TEXTS) == {field.name for field in FIELDS.values() if field.type == FieldDescriptor.TYPE_STRING}


def test_the_documentation_has_the_table():
    rows = re.findall(r"^\| `([\w.]+)` \| ([\d,]+) \|", (ROOT / "docs/limits.md").read_text(), re.MULTILINE)
    assert [(name, int(most.replace(",", ""))) for name, most in rows] == [*TEXTS.items(), *ITEMS.items()]
    assert f"{MOST_MESSAGE:,} bytes" in (ROOT / "docs/limits.md").read_text()


def nested(name: str, content: bytes) -> bytes:
    """A field of bytes, as on the wire."""
    message, field = name.split(".")
    (descriptor,) = (found.containing_type for key, found in FIELDS.items() if key == name)
    assert descriptor.name == message
    return tag(descriptor.fields_by_name[field].number, 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def tag(number: int, wire: int) -> bytes:
    return varint(number << 3 | wire)


def read_or_refusal(kind):
    """What is read, or why it is not."""
    read = reader(kind)

    def attempt(content):
        try:
            return read(content)
        except (InvalidRequest, UnreadableRequest) as refused:
            return refused

    return attempt


INVITE = read_or_refusal(mu.InviteUserRequest.DESCRIPTOR)
CREATE = read_or_refusal(mu.CreateRoleRequest.DESCRIPTOR)
BATCH = read_or_refusal(pb.BatchCheckRequest.DESCRIPTOR)
LIST = read_or_refusal(mu.ListInvitationsRequest.DESCRIPTOR)
EMPTY_ROLES = tag(1, 2) + b"\0"
HALF = 500_000
PERMISSIONS, DEFINITION = 5, 4


def inside(number: int, content: bytes) -> bytes:
    return tag(number, 2) + varint(len(content)) + content


HOSTILE = {
    "texts in a message": (INVITE, inside(PERMISSIONS, EMPTY_ROLES * HALF), "permissions.roles"),
    "texts in many parts of it": (INVITE, inside(PERMISSIONS, EMPTY_ROLES) * (HALF // 2), "permissions.roles"),
    "the second list": (CREATE, inside(DEFINITION, (tag(2, 2) + b"\0") * HALF), "definition.deny"),
    "messages": (BATCH, (tag(1, 2) + b"\0") * HALF, "checks"),
    "packed numbers": (LIST, inside(3, b"\1" * HALF), "states"),
    "numbers one by one": (LIST, (tag(3, 0) + b"\1") * HALF, "states"),
    "behind a field that nobody knows": (
        INVITE,
        inside(99, b"x" * 9) + inside(5, EMPTY_ROLES * HALF),
        "permissions.roles",
    ),
    "a group": (BATCH, tag(77, 3) + (tag(1, 2) + b"\0") * HALF + tag(77, 4), ""),
}


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_megabyte_of_nothing_is_refused_before_anything_is_built(attack):
    read, content, field = HOSTILE[attack]
    assert len(content) < MOST_MESSAGE + 200
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    try:
        found = read(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(found, InvalidRequest if field else UnreadableRequest)
    assert [at.field for at in getattr(found, "violations", ())] == ([field] if field else [])
    assert peak < 1 << 20
    # What protobuf builds is not Python's, so it is looked for in the process: 60 MB for messages, before.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000


@pytest.mark.parametrize("size", [1, 16, 17, 200])
def test_what_is_small_has_the_same_bounds(size):
    found = INVITE(inside(PERMISSIONS, EMPTY_ROLES * size))
    assert isinstance(found, InvalidRequest) == (size > ITEMS["Permissions.roles"])


@pytest.mark.parametrize("content", [b"\xff\xff\xff\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x0a", b"\x0b" * 70_000])
def test_what_is_no_message_is_told_so(content):
    found = BATCH(content)
    assert isinstance(found, UnreadableRequest)
    assert "policy.v1.BatchCheckRequest" in str(found)


def test_what_is_in_bounds_is_read_as_it_was_sent():
    full = pb.BatchCheckRequest(
        checks=[
            pb.CheckRequest(user="u" * 64, physician="p" * 64, action="claim:submit", resource="r" * 256, channel=2)
            for _ in range(1_000)
        ]
    )
    assert full.ByteSize() > 1 << 17
    assert BATCH(full.SerializeToString()) == full
    invited = mu.InviteUserRequest(actor="a", permissions=mu.Permissions(roles=["r" * 64] * 16))
    assert INVITE(invited.SerializeToString()) == invited


@pytest.mark.parametrize(
    "name", sorted(name for name, field in FIELDS.items() if name.split(".")[0].endswith("Request"))
)
def test_every_bound_is_kept(name):
    """One too many is refused by the field's name, wherever its own reader would see to it."""
    field = FIELDS[name]
    kind = message_factory.GetMessageClass(field.containing_type)
    most = ITEMS[name] + 1 if field.is_repeated else TEXTS[field.name] + 1
    request = kind()
    if not field.is_repeated:
        setattr(request, field.name, "x" * most)
    elif field.message_type is not None:
        getattr(request, field.name).extend([message_factory.GetMessageClass(field.message_type)()] * most)
    else:
        getattr(request, field.name).extend(["x" if field.type == FieldDescriptor.TYPE_STRING else 1] * most)
    found = read_or_refusal(field.containing_type)(request.SerializeToString())
    assert isinstance(found, InvalidRequest)
    assert [at.field for at in found.violations] == [field.name]


def test_the_fake_has_the_same_bounds_for_lists():
    words = {"permissions": "Permissions", "definition": "RoleDefinition"}
    for name, most in fields._MOST_ITEMS.items():
        message, _, field = name.partition(".")
        assert ITEMS[f"{words[message]}.{field}"] == most
