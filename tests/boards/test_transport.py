"""Commands reach a board word for word, by SSH to a real sshd as by a child process."""

import asyncio
import dataclasses
import shlex
import subprocess

import pytest
import rack
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeprof.base.errors import BoardSetupError, BoardUnreachable
from edgeprof.boards.facts import parse_facts, read_facts
from edgeprof.boards.inventory import BoardSpec, read_inventory
from edgeprof.boards.transport import (
    Completed,
    FakeTransport,
    LocalTransport,
    script,
    shell_command,
)
from edgeprof.boards.transport.ssh import SshNetwork

UGLY = [
    "two words",
    "it's",
    'say "so"',
    "a;b",
    "$(id) `id` $HOME",
    "line\nbreak",
    "-rf",
    "--",
    "*",
    "back\\slash",
    "",
    "ünï",
    "a&b|c>d<e",
    "!x",
]
BOARD = BoardSpec(name="b", host="b")

needs_sshd = pytest.mark.skipif(rack.missing() is not None, reason=str(rack.missing()))


@pytest.fixture(scope="module")
def boards(tmp_path_factory):
    with rack.Rack(tmp_path_factory.mktemp("rack"), 2) as loopback:
        yield loopback


def over_ssh(board, action):
    async def run():
        async with SshNetwork() as network:
            transport = await network.connect(board)
            try:
                return await action(transport)
            finally:
                await transport.close()

    return asyncio.run(run())


def spec(loopback, index=0, **changes):
    inventory = read_inventory(loopback.inventory())
    return dataclasses.replace(inventory.boards[index], **changes)


@given(st.lists(st.text(st.characters(blacklist_characters="\0", codec="utf-8"))))
def test_a_shell_splits_a_command_line_into_the_same_words(words):
    assert shlex.split(shell_command(words)) == words


@settings(max_examples=20, deadline=None)
@given(st.text(st.characters(blacklist_characters="\0", codec="utf-8")))
def test_the_systems_shell_agrees(word):
    line = shell_command(["printf", "%s", word])
    assert subprocess.check_output(["/bin/sh", "-c", line]) == word.encode()


def test_a_nul_character_is_refused():
    with pytest.raises(BoardSetupError, match="NUL"):
        shell_command(["echo", "a\0b"])


def test_words_reach_a_local_command_unchanged():
    completed = asyncio.run(
        LocalTransport().run(["printf", "%s\n", *UGLY], deadline_s=10, stdin=b"unread")
    )
    assert completed.text == "".join(f"{word}\n" for word in UGLY)


def test_a_local_command_is_killed_at_its_deadline():
    with pytest.raises(BoardUnreachable, match=r"no answer within 0.2 s"):
        asyncio.run(LocalTransport().run(["sleep", "60"], deadline_s=0.2))


def test_a_file_arrives_whole_or_not_at_all(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 4000)
    for name in (word for word in UGLY if word and word != "--"):
        target = tmp_path / "board" / name
        asyncio.run(LocalTransport().put(source, str(target), deadline_s=10))
        assert target.read_bytes() == source.read_bytes()
        assert target.stat().st_mode & 0o777 == 0o600
    assert not list((tmp_path / "board").glob("*.part.*"))


def test_a_file_damaged_on_the_way_is_refused(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"good")
    target = tmp_path / "target"
    local = LocalTransport()

    async def damaged():
        async def run(argv, *, stdin, **more):
            source.write_bytes(b"bad!")
            return await original(argv, stdin=stdin, **more)

        original = local.run
        local.run = run
        await local.put(source, str(target), deadline_s=10)

    with pytest.raises(BoardSetupError, match="SHA-256"):
        asyncio.run(damaged())
    assert list(tmp_path.iterdir()) == [source]


def test_a_fake_is_a_plain_function():
    fake = FakeTransport(lambda argv, stdin: Completed(0, argv[0].encode() + stdin))
    completed = asyncio.run(fake.run(["echo"], stdin=[b"a", b"b"], deadline_s=1))
    assert completed.text == "echoab"


@needs_sshd
def test_words_and_bytes_reach_an_ssh_command_unchanged(boards):
    async def action(transport):
        words = await transport.run(["printf", "%s\n", *UGLY], deadline_s=10)
        content = await transport.run(["cat"], stdin=bytes(range(256)), deadline_s=10)
        status = await transport.run(script('exit "$1"', "7"), deadline_s=10)
        signal = await transport.run(script("kill -9 $$"), deadline_s=10)
        return words.text, content.stdout, status.status, signal.status

    words, content, status, signal = over_ssh(spec(boards), action)
    assert words == "".join(f"{word}\n" for word in UGLY)
    assert content == bytes(range(256))
    assert (status, signal) == (7, -9)


@needs_sshd
def test_a_file_is_put_over_ssh(boards, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"\0\1" * 500_000)
    target = boards.boards[0].home / "a 'b' $(c)\n-d"

    async def action(transport):
        await transport.put(source, str(target), deadline_s=30, executable=True)
        return transport.sent_bytes

    sent_bytes = over_ssh(spec(boards), action)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o700
    assert sent_bytes < 20_000  # compressed


@needs_sshd
def test_each_board_has_its_own_home(boards):
    async def action(transport):
        return (await read_facts(transport, BOARD)).folder

    folders = [over_ssh(spec(boards, index), action) for index in (0, 1)]
    assert folders == [str(board.home / ".edgeprof") for board in boards.boards]


@needs_sshd
def test_a_command_without_an_answer_ends_the_connection(boards):
    async def action(transport):
        with pytest.raises(BoardUnreachable, match=r"no answer within 0.3 s"):
            await transport.run(["sleep", "60"], deadline_s=0.3, silent=True)
        with pytest.raises(BoardUnreachable, match="connection lost"):
            await transport.run(["true"], deadline_s=5)

    over_ssh(spec(boards), action)


def connect_error(board):
    with pytest.raises((BoardSetupError, BoardUnreachable)) as caught:
        over_ssh(board, lambda transport: transport.run(["true"], deadline_s=5))
    assert "\n" not in str(caught.value)
    return caught.value


def config_with(loopback, tmp_path, **changes):
    text = loopback.ssh_config.read_text()
    for key, value in changes.items():
        lines = (line for line in text.splitlines() if not line.strip().startswith(key))
        text = "\n".join(lines) + f"\n  {key} {value}\n"
    path = tmp_path / "config"
    path.write_text(text)
    return path


@needs_sshd
@pytest.mark.parametrize("known_hosts", ["none", "/nonexistent/known_hosts", "/dev/null"])
def test_an_unknown_host_key_is_refused_with_the_command_to_add_it(boards, tmp_path, known_hosts):
    config = config_with(boards, tmp_path, UserKnownHostsFile=known_hosts)
    error = connect_error(spec(boards, ssh_config=config))
    assert isinstance(error, BoardSetupError)
    assert error.evidence["host_key"] == "unknown"
    assert f"ssh-keyscan -p {boards.boards[0].port} 127.0.0.1 >> " in str(error)


@needs_sshd
def test_a_changed_host_key_is_refused_and_called_so(boards, tmp_path):
    first, second = boards.boards
    other_key = (second.folder / "host_key.pub").read_text()
    (tmp_path / "known").write_text(f"[127.0.0.1]:{first.port} {other_key}")
    config = config_with(boards, tmp_path, UserKnownHostsFile=tmp_path / "known")
    error = connect_error(spec(boards, ssh_config=config))
    assert error.evidence["host_key"] == "changed"
    assert f"-R '[127.0.0.1]:{first.port}'" in str(error)


@needs_sshd
def test_a_wrong_key_is_a_refusal_that_no_retry_helps(boards, tmp_path):
    rack._make_key(tmp_path / "other_key")
    config = config_with(boards, tmp_path, IdentityFile=tmp_path / "other_key")
    error = connect_error(spec(boards, ssh_config=config))
    assert isinstance(error, BoardSetupError)
    assert "refused every key" in str(error)


@needs_sshd
def test_a_host_that_does_not_answer_may_later(boards):
    [port] = rack._free_ports(1)
    error = connect_error(spec(boards, host="127.0.0.1", port=port))
    assert isinstance(error, BoardUnreachable)
    assert f"127.0.0.1:{port}" in str(error)


def test_a_missing_ssh_configuration_is_named(tmp_path):
    board = dataclasses.replace(BOARD, ssh_config=tmp_path / "none")
    assert "no such file" in str(connect_error(board))


@needs_sshd
def test_a_board_behind_another_is_reached_through_it(boards, tmp_path):
    config = config_with(boards, tmp_path)
    config.write_text(f"Host b02\n  ProxyJump b01\n{config.read_text()}")

    async def action(transport):
        return (await transport.run(["printenv", "EDGEPROF_BOARD"], deadline_s=10)).text

    assert over_ssh(spec(boards, 1, ssh_config=config), action) == "b02\n"


@needs_sshd
def test_the_key_of_a_board_behind_another_is_asked_for_through_it(boards, tmp_path):
    second = boards.boards[1]
    known = boards.ssh_config.with_name("known_hosts").read_text().splitlines(keepends=True)
    (tmp_path / "known").write_text(known[0])
    config = config_with(boards, tmp_path, UserKnownHostsFile=tmp_path / "known")
    config.write_text(f"Host b02\n  ProxyJump b01\n{config.read_text()}")
    error = connect_error(spec(boards, 1, ssh_config=config))
    assert error.evidence["host_key"] == "unknown"
    assert f"ssh b01 'ssh-keyscan -p {second.port} 127.0.0.1' >> " in str(error)


@needs_sshd
def test_forty_connections_at_once_are_below_the_limits_of_one_sshd(boards):
    same = [dataclasses.replace(spec(boards), name=f"b{i}", host="b01") for i in range(40)]

    async def connect(network, board):
        transport = await network.connect(board)
        try:
            return (await transport.run(["true"], deadline_s=60)).status
        finally:
            await transport.close()

    async def run():
        async with SshNetwork() as network:
            return await asyncio.gather(*(connect(network, board) for board in same))

    assert asyncio.run(run()) == [0] * 40
    assert "drop connection" not in boards.boards[0].log()


PI = """folder=/home/pi/.edgeprof
machine=aarch64
kernel=6.1.21-v8+
bits=64
libc=glibc 2.31
cores=4
model=Raspberry Pi 4 Model B Rev 1.4
free_kib=1000
object=ab12 ab12/edgeprof-harness
object=ffff ab13/damaged
"""


def test_facts_of_a_board_are_parsed():
    facts = parse_facts(PI, BOARD)
    assert facts.architecture == "aarch64"
    assert facts.glibc == (2, 31)
    assert facts.free_bytes == 1_024_000
    assert facts.model == "Raspberry Pi 4 Model B Rev 1.4"
    assert facts.objects == {"ab12/edgeprof-harness"}  # the damaged one is not there


def test_a_64_bit_kernel_with_32_bit_programs_is_armv7l():
    assert parse_facts(PI.replace("bits=64", "bits=32"), BOARD).architecture == "armv7l"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("unwritable=mkdir: x: Read-only file system", "cannot be written: Read-only file system"),
        ("noexec=1", "mounted noexec"),
        ("missing=tar", "tar not found"),
    ],
)
def test_an_unusable_board_is_refused_in_one_line(line, message):
    with pytest.raises(BoardSetupError, match=message):
        parse_facts(f"{PI}{line}\n", BOARD)


def test_an_answer_that_is_none_is_refused():
    with pytest.raises(BoardSetupError, match="no answer to the probe"):
        parse_facts("Welcome!\n", BOARD)
