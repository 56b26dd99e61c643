"""Gets a token for the API of the demonstration, in Python (3.9 or newer) with the openssl command.

usage: python3 token.py DEMO_JSON
A system of your own has its client ID from `countersign admin api-client` and its key where you made it.
"""

import base64
import json
import secrets
import subprocess
import sys
import time
import urllib.parse
import urllib.request


def part(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def integers(der):
    """The two integers of a DER signature, 32 bytes each: the form that JWS wants (RFC 7518, 3.4)."""
    numbers, at = [], 2
    for _ in range(2):
        length = der[at + 1]
        numbers.append(int.from_bytes(der[at + 2 : at + 2 + length], "big").to_bytes(32, "big"))
        at += 2 + length
    return b"".join(numbers)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        demo = json.load(file)
    client, key_file = demo["api_client_id"], demo["api_key_file"]
    address = demo["portal_url"].removesuffix("/portal") + "/api/v1/token"
    now = int(time.time())
    claims = {
        "iss": client,
        "sub": client,
        "aud": address,
        "iat": now,
        "exp": now + 60,
        "jti": secrets.token_urlsafe(32),
    }
    message = part(b'{"alg":"ES256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    command = ["openssl", "dgst", "-sha256", "-sign", key_file]
    der = subprocess.run(command, input=message, capture_output=True, check=True).stdout
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": (message + b"." + part(integers(der))).decode(),
    }
    body = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(address, body, timeout=10) as answer:
        print(json.load(answer)["access_token"])


main()
