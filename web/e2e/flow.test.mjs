// The walk of the help article, from a patient's chart to a new token that logs in, and the turns
// that people take instead. One demo server for all of it; the tests run in this order.
import assert from "node:assert/strict";
import { test } from "node:test";
import { findings } from "./flow/support.mjs";
import "./flow/article.mjs";
import "./flow/tokens.mjs";
import "./flow/access.mjs";

test("no page that was shown has a serious accessibility finding", () => {
  assert.deepEqual(findings, []);
});
