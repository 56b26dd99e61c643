"""Plays a VIP Access app against a running server, with a client that others wrote.

usage: vip_client.py DEMO_JSON

DEMO_JSON names the three addresses and the two keys of the server: vip_provisioning_url,
vip_check_url, vip_sync_url, vip_hmac_key, vip_token_key. scripts/vip-client-test.sh installs the
client (python-vipaccess, from PyPI) and runs this. The client has its addresses and keys as
variables of a module; they are set here before anything is sent, so nothing goes to the vendor.
"""

import base64
import contextlib
import hashlib
import hmac
import io
import json
import os
import struct
import sys
import tempfile
import time
import traceback
import urllib.parse

import requests
from vipaccess import __main__ as command
from vipaccess import provision as client

TIME_MODELS = ["SYMC", "VSMT", "SYDC", "VSST"]
MORE_TIME_MODELS = ["SYMD", "SYMZ", "VSMB"]
EVENT_MODEL = "UBHE"


def point_at(settings):
    client.PROVISIONING_URL = settings["vip_provisioning_url"]
    client.TEST_URL = settings["vip_check_url"]
    client.SYNC_URL = settings["vip_sync_url"]
    client.HMAC_KEY = bytes.fromhex(settings["vip_hmac_key"])
    client.TOKEN_ENCRYPTION_KEY = bytes.fromhex(settings["vip_token_key"])


def expect(holds, message):
    if not holds:
        raise AssertionError(message)


def run_command(*arguments):
    """The client's own command line: exit status and what it printed."""
    out = io.StringIO()
    before = sys.argv
    sys.argv = ["vipaccess", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            command.main()
        status = 0
    except SystemExit as exit_:
        status = exit_.code or 0
    finally:
        sys.argv = before
    return status, out.getvalue()


def provision(model, **more):
    """A credential by the client's functions, without the check that its command adds."""
    request = client.generate_request(token_model=model, **more)
    answer = client.get_provisioning_response(request)
    token = client.get_token_from_response(answer.content)
    return token, client.decrypt_key(token["iv"], token["cipher"])


def refusal(body):
    """Reason code and words of the answer to a body that must be refused."""
    answer = client.get_provisioning_response(body)
    try:
        client.get_token_from_response(answer.content)
    except RuntimeError as refused:
        return refused.args[1], refused.args[0]
    raise AssertionError("the server did not refuse")


def hotp(secret, counter):
    """RFC 4226, apart from both the server's code and the client's."""
    mac = hmac.new(secret, struct.pack(">Q", counter), hashlib.sha1).digest()
    number = struct.unpack_from(">I", mac, mac[19] & 15)[0] & 0x7FFFFFFF
    return "%06d" % (number % 1_000_000)


def time_model(model):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "token")
        status, printed = run_command("provision", "-t", model, "-o", path)
        expect(status == 0, printed)
        with open(path, encoding="utf-8") as kept:
            token = dict(line.split(None, 1) for line in kept.read().splitlines())
        expect(token["id"].startswith(model) and len(token["id"]) == 12, token["id"])
        secret = base64.b32decode(token["secret"])
        expect(len(secret) == 20, "the secret has %d bytes" % len(secret))

        before = int(time.time()) // 30
        status, shown = run_command("show", "-f", path)
        codes = [hotp(secret, step) for step in range(before, int(time.time()) // 30 + 1)]
        expect(status == 0 and shown.strip() in codes, "the client shows another code")

        status, printed = run_command("check", "-f", path)
        expect("Token is valid and working" in printed, printed)

        status, uri = run_command("uri", "-f", path)
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(uri.strip()).query)
        expect(query["secret"] == [token["secret"]], uri)


def more_time_model(model):
    token, secret = provision(model)
    expect(token["id"].startswith(model) and token["period"] == 30, str(token["id"]))
    expect(client.check_token(token, secret) is True, "the code was not accepted")


def event_model():
    token, secret = provision(EVENT_MODEL)
    expect(token["id"].startswith(EVENT_MODEL), token["id"])
    expect((token["counter"], token["period"]) == (1, None), "the counter begins with 1")
    expect(client.check_token(token, secret) is True, "the first code was not accepted")
    expect(client.check_token(token, secret) is True, "the second code was not accepted")
    expect(token["counter"] == 3, "the client counted otherwise")
    token["counter"] += 20
    expect(client.sync_token(token, secret) is True, "two codes further on did not sync")
    expect(client.check_token(token, secret) is True, "the code after that was not accepted")
    status, printed = run_command("provision", "-p", "-t", EVENT_MODEL)
    expect(status == 0 and "otpauth://hotp/" in printed, printed)


def a_drifted_clock_is_brought_into_step():
    token, secret = provision("SYMC")
    fast = int(time.time()) + 20 * 30
    expect(client.check_token(token, secret, timestamp=fast) is False, "needs to be synced")
    expect(client.sync_token(token, secret, timestamp=fast) is True, "two codes did not sync")


def used_codes_do_not_sync():
    token, secret = provision("SYMC")
    now = int(time.time())
    expect(client.sync_token(token, secret, timestamp=now) is True, "fresh codes sync")
    expect(client.sync_token(token, secret, timestamp=now) is not True, "used codes synced")


def a_wrong_code_is_not_working():
    token, secret = provision("SYMC")
    other = bytes(byte ^ 0x55 for byte in secret)
    expect(client.check_token(token, other) is not True, "a wrong code was accepted")


def an_unknown_credential_is_not_working():
    token = {"id": "SYMC00000000", "period": 30}
    expect(client.check_token(token, bytes(20)) is None, "an unknown credential is known")
    expect(client.sync_token(token, bytes(20)) is None, "an unknown credential is known")


def an_unknown_model_is_refused():
    status, printed = run_command("provision", "-p", "-t", "ABCD")
    expect(status != 0 and "Unsupported token model" in printed, printed)
    expect(
        refusal(client.generate_request(token_model="ABCD")) == ("4E0D", "Unsupported token model"),
        "other words",
    )


def a_wrong_mac_is_refused():
    right = client.HMAC_KEY
    client.HMAC_KEY = bytes(32)
    try:
        request = client.generate_request()
    finally:
        client.HMAC_KEY = right
    expect(refusal(request)[0] == "4E03", "another reason code")


def another_version_is_refused():
    request = client.generate_request().replace('Version="2.0"', 'Version="1.0"')
    expect(refusal(request)[0] == "4E04", "another reason code")


def bad_bodies_are_refused():
    good = client.generate_request()
    head, body = good.split("?>", 1)
    bomb = '<!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY c "&a;&a;">]>'
    external = '<!DOCTYPE b [<!ENTITY c SYSTEM "file:///etc/passwd">]>'
    for bad in [
        "",
        "no xml",
        good[: len(good) // 2],
        head + "?>" + bomb + body.replace("BOARDID", "&c;"),
        head + "?>" + external + body.replace("BOARDID", "&c;"),
        "<a>" * 2000 + "</a>" * 2000,
    ]:
        code, words = refusal(bad)
        expect(words != "Success" and code != "0000", "a bad body was accepted")
        expect("root:" not in words, "a file leaked")


def a_large_body_is_refused():
    # The server may hang up on it, or answer in its own form.
    try:
        answer = requests.post(client.PROVISIONING_URL, data=" " * 10_000_000, timeout=10)
    except requests.exceptions.ConnectionError:
        return
    expect(b">Success<" not in answer.content, "ten megabytes were accepted")


CASES = [
    *[("provision, check, show: " + m, lambda m=m: time_model(m)) for m in TIME_MODELS],
    *[("provision, check: " + m, lambda m=m: more_time_model(m)) for m in MORE_TIME_MODELS],
    ("provision, check, sync: " + EVENT_MODEL, event_model),
    ("a drifted clock is brought into step", a_drifted_clock_is_brought_into_step),
    ("used codes do not sync", used_codes_do_not_sync),
    ("a wrong code is not working", a_wrong_code_is_not_working),
    ("an unknown credential is not working", an_unknown_credential_is_not_working),
    ("an unknown model is refused", an_unknown_model_is_refused),
    ("a wrong MAC is refused", a_wrong_mac_is_refused),
    ("another version is refused", another_version_is_refused),
    ("bad bodies are refused", bad_bodies_are_refused),
    ("a large body is refused", a_large_body_is_refused),
]


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: vip_client.py DEMO_JSON")
    with open(sys.argv[1], encoding="utf-8") as file:
        point_at(json.load(file))
    failed = 0
    for name, case in CASES:
        try:
            case()
            print("ok      " + name)
        except Exception:  # one failure hides nothing of the others
            failed += 1
            print("FAILED  " + name)
            traceback.print_exc()
    print("%d passed, %d failed" % (len(CASES) - failed, failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
