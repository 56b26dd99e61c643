"""A signed launch of Countersign from an EHR without SMART, in Python (3.9 or newer) with the openssl command.

usage: python3 launch.py KEY.pem EHR_ID COUNTERSIGN_URL USER PATIENT_JSON
Prints the address to which the EHR sends the browser. It works once, for a minute.
"""

import base64
import json
import secrets
import subprocess
import sys
import time


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
    key_file, iss, aud, sub, patient = sys.argv[1:6]
    now = int(time.time())
    claims = {
        "iss": iss,  # the ID that `countersign admin ehr` printed
        "aud": aud,  # server.public_url
        "sub": sub,  # the user, as `countersign admin ehr-user` connected them
        "patient": json.loads(patient),  # id, name, birth_date (YYYY-MM-DD), mrn
        "iat": now,
        "exp": now + 60,
        "jti": secrets.token_urlsafe(32),  # never the same again
    }
    header = {"alg": "ES256", "typ": "JWT"}
    message = part(json.dumps(header).encode()) + b"." + part(json.dumps(claims).encode())
    command = ["openssl", "dgst", "-sha256", "-sign", key_file]
    der = subprocess.run(command, input=message, capture_output=True, check=True).stdout
    print(f"{aud}/launch?token={message.decode()}.{part(integers(der)).decode()}")


main()
