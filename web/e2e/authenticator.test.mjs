// The Countersign Authenticator in a browser: on phones, a tablet and watch-sized screens. By
// default against a stand-in for the server (mock-provision.mjs); AUTHENTICATOR_URL names the origin
// of a real one, and then the tests that turn the stand-in's knobs are left out
// (authenticator-real.test.mjs runs it so).
import assert from "node:assert/strict";
import { test } from "node:test";
import { findings } from "./authenticator/support.mjs";
import "./authenticator/setup.mjs";
import "./authenticator/pairing.mjs";
import "./authenticator/locking.mjs";
import "./authenticator/faults.mjs";
import "./authenticator/tokens.mjs";
import "./authenticator/screens.mjs";

test("no screen has a serious finding, and no page complained", () => {
  assert.deepEqual(findings, []);
});
