"""Authorizes at the stand-in EHR with a client that others wrote, and reads a chart.

usage: fhir_client_test.py DEMO_JSON
"""

import json
import re
import sys
from urllib.parse import urljoin

import requests
from fhirclient import client
from fhirclient.models.allergyintolerance import AllergyIntolerance
from fhirclient.models.condition import Condition
from fhirclient.models.medicationrequest import MedicationRequest

PATIENT = "p-1001"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        chart = json.load(file)["chart_url"]
    origin = re.match(r"http://[^/]+", chart).group()
    smart = client.FHIRClient(
        settings={
            "app_id": "try-out",
            "api_base": f"{origin}/fhir",
            "redirect_uri": "http://127.0.0.1:1/back",
            "scope": "launch/patient openid fhirUser patient/*.rs",
        }
    )
    smart.prepare()
    browser = requests.Session()
    page = browser.get(smart.authorize_url, timeout=10)
    links = [link.replace("&#38;", "&").replace("&amp;", "&") for link in re.findall(r'href="(/auth/authorize[^"]+)"', page.text)]
    (link,) = [link for link in links if link.endswith(f"chosen={PATIENT}")]
    answer = browser.get(urljoin(origin, link), timeout=10, allow_redirects=False)
    smart.handle_callback(answer.headers["location"])
    assert smart.ready, "not authorized"
    patient = smart.patient
    assert patient.id == PATIENT and smart.human_name(patient.name[0]), patient.as_json()
    print("patient:", patient.name[0].text, patient.birthDate.isostring)
    for kind in (AllergyIntolerance, Condition, MedicationRequest):
        found = kind.where(struct={"patient": PATIENT}).perform_resources(smart.server)
        assert found, kind.resource_type
        print(f"{kind.resource_type}: {len(found)}")
    others = Condition.where(struct={"patient": "p-1002"}).perform_resources(smart.server)
    assert not others, "another patient's chart was read"
    print("another patient's: none")


main()
