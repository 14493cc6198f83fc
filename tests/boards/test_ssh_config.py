"""What ``ssh`` connects by connects edgeprof: its configuration is the one that counts."""

import asyncio
import dataclasses
import getpass
import os
import pwd
import shutil
import socket

import pytest
import rack

from edgeprof.base.errors import BoardSetupError, MissingDependency
from edgeprof.boards.destination import Destination, parse_destination
from edgeprof.boards.inventory import read_inventory
from edgeprof.boards.transport.ssh import SshNetwork
from edgeprof.boards.transport.ssh_config import ask_ssh

asyncssh = pytest.importorskip("asyncssh")
needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed")
needs_sshd = pytest.mark.skipif(rack.missing() is not None, reason=str(rack.missing()))


@pytest.mark.parametrize(
    ("text", "host", "port", "user"),
    [
        ("rpi", "rpi", None, None),
        ("pi@10.0.0.11:2222", "10.0.0.11", 2222, "pi"),
        ("10.0.0.11:2222", "10.0.0.11", 2222, None),
        ("[fe80::1%eth0]:22", "fe80::1%eth0", 22, None),
        ("[::1]", "::1", None, None),
        ("pi@::1", "::1", None, "pi"),
        ("ssh://pi@board.lab:2222/", "board.lab", 2222, "pi"),
        ("ssh://[::1]", "::1", None, None),
        ("me@corp.example@jump", "jump", None, "me@corp.example"),
    ],
)
def test_destinations_are_taken_apart_as_people_write_them(text, host, port, user):
    assert parse_destination(text) == Destination(host, port, user)


@pytest.mark.parametrize(
    "text",
    ["", "@h", "-oX=y", "h:", "h:0", "h:70000", "h:x", "[::1", "[::1]22", "a b", "-x@h", "h;id"],
)
def test_what_is_no_destination_is_refused(text):
    with pytest.raises(ValueError, match="wanted"):
        parse_destination(text)


def settings(tmp_path, text, host="board"):
    config = tmp_path / "config"
    config.write_text(text)
    return ask_ssh(Destination(host), config)


def options(tmp_path, text):
    return settings(tmp_path, text).options(asyncssh, asyncssh.import_known_hosts(""))


@needs_ssh
def test_tokens_in_names_of_files_are_replaced(tmp_path):
    text = "Host *\n HostName 10.0.0.9\n Port 23\n User me\n"
    text += f" UserKnownHostsFile {tmp_path}/%%_%h_%p_%r_%n_%k_%u_%i_%L\n"
    account = pwd.getpwuid(os.getuid())
    found = settings(tmp_path, text).known_hosts[0]
    node = socket.gethostname().partition(".")[0]
    expected = f"%_10.0.0.9_23_me_board_board_{account.pw_name}_{account.pw_uid}_{node}"
    assert found == f"{tmp_path}/{expected}"


@needs_ssh
def test_known_hosts_may_have_spaces_in_their_names(tmp_path):
    file = tmp_path / "known hosts"
    file.touch()
    found = settings(tmp_path, f'Host *\n UserKnownHostsFile "{file}" /other\n').known_hosts
    assert found[:2] == [str(file), "/other"]


@needs_ssh
def test_keys_that_cannot_be_read_are_passed_over(tmp_path):
    rack._make_key(tmp_path / "good_board")
    (tmp_path / "damaged").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n")
    names = ("missing", "damaged", "good_%n")
    text = "Host *\n" + "".join(f" IdentityFile {tmp_path}/{name}\n" for name in names)
    assert len(options(tmp_path, text)["client_keys"]) == 1


@needs_ssh
def test_the_agent_is_the_one_that_the_configuration_names(tmp_path, monkeypatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", "/the/usual")
    monkeypatch.setenv("MINE", "/my/own")
    agents = {
        text: options(tmp_path, f"Host *\n{text}\n")["agent_path"]
        for text in ("", "IdentityAgent none", "IdentityAgent $MINE", "IdentityAgent ~/agent")
    }
    home = pwd.getpwuid(os.getuid()).pw_dir
    assert list(agents.values()) == ["/the/usual", "", "/my/own", f"{home}/agent"]


@needs_ssh
def test_algorithms_that_an_old_board_needs_are_offered(tmp_path):
    text = "Host *\n KexAlgorithms +diffie-hellman-group1-sha1\n HostKeyAlgorithms +ssh-rsa\n"
    found = options(tmp_path, text)
    assert found["kex_algs"][-1] == "diffie-hellman-group1-sha1"
    assert "ssh-rsa" in found["server_host_key_algs"]
    assert "kex_algs" not in options(tmp_path, "")  # no choice: asyncssh's own


@needs_ssh
def test_a_configuration_that_ssh_refuses_is_told_in_its_words(tmp_path):
    with pytest.raises(ValueError, match=r"config.*line 1.*nonsense"):
        settings(tmp_path, "nonsense yes\n")


def test_a_controller_without_ssh_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependency, match="openssh-client"):
        ask_ssh(Destination("board"), None)


@pytest.fixture(scope="module")
def boards(tmp_path_factory):
    with rack.Rack(tmp_path_factory.mktemp("rack"), 2) as loopback:
        yield loopback


def reached(loopback, tmp_path, extra, host):
    """Return the name of the board that answers at ``host``, under a configuration with more."""
    config = tmp_path / "config"
    config.write_text(extra + loopback.ssh_config.read_text())
    board = read_inventory(loopback.inventory()).boards[0]
    board = dataclasses.replace(board, host=host, port=None, user=None, ssh_config=config)

    async def run():
        async with SshNetwork() as network:
            transport = await network.connect(board)
            try:
                return (await transport.run(["printenv", "EDGEPROF_BOARD"], deadline_s=30)).text
            finally:
                await transport.close()

    return asyncio.run(run()).strip()


@needs_sshd
def test_a_jump_host_may_have_a_jump_host_of_its_own(boards, tmp_path):
    first, second = (board.port for board in boards.boards)
    extra = (
        f"Host inner\n HostName 127.0.0.1\n Port {first}\n ProxyJump middle\n"
        f"Host middle\n HostName 127.0.0.1\n Port {second}\n ProxyJump b01\n"
    )
    assert reached(boards, tmp_path, extra, "inner") == "b01"


@needs_sshd
def test_jump_hosts_are_written_as_users_write_them(boards, tmp_path):
    first, second = (board.port for board in boards.boards)
    me = getpass.getuser()
    hops = f"{me}@hop:{first},ssh://{me}@hop:{second}"
    extra = f"Host hop\n HostName 127.0.0.1\nHost b02\n ProxyJump {hops}\n"
    assert reached(boards, tmp_path, extra, "b02") == "b02"


@needs_sshd
def test_a_proxy_command_is_run_by_a_shell_with_its_tokens(boards, tmp_path):
    config = tmp_path / "outer"
    config.write_text(boards.ssh_config.read_text())
    log = tmp_path / "log"
    command = f"echo %n %h %p > {log}; exec ssh -F {config} b01 -W %h:%p"
    extra = f"Host b02\n ProxyCommand sh -c '{command}'\n"
    assert reached(boards, tmp_path, extra, "b02") == "b02"
    assert log.read_text() == f"b02 127.0.0.1 {boards.boards[1].port}\n"


@needs_sshd
def test_jump_hosts_in_a_circle_are_an_error(boards, tmp_path):
    extra = "Host b01\n ProxyJump b02\nHost b02\n ProxyJump b01\n"
    with pytest.raises(BoardSetupError, match="circle"):
        reached(boards, tmp_path, extra, "b01")
