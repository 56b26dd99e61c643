// Several tokens, and starting over.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertRightCode, enroll, enrolls, heading, IPAD, look, person, press, server, shownId, standIn, TABLET } from "./support.mjs";

test("several tokens: named, renamed, removed with a word on what is lost", standIn, async () => {
  const { page, context } = await person({ viewport: TABLET, userAgent: IPAD });
  const first = await enroll(page);
  assert.equal(server.credentials.get(first).request.device_class, "tablet");
  await press(page, "Add a token");
  await press(page, "Set up without a code");
  await page.locator(".code").nth(1).waitFor();
  const second = await shownId(page, 1);
  await assertRightCode(page, first, 0);
  await assertRightCode(page, second, 1);
  const boxes = await page.locator(".token").evaluateAll((all) => all.map((it) => it.getBoundingClientRect().left));
  assert.ok(boxes[1] > boxes[0], "side by side");
  await look(page, "tablet");

  await press(page, "Rename Token 2");
  await page.getByLabel("Name", { exact: true }).fill(" ");
  await press(page, "Save");
  await page.getByText("A name has 1 to 40 characters.").waitFor();
  await look(page, "rename");
  await page.getByLabel("Name", { exact: true }).fill("Ward <b>tablet</b>");
  await press(page, "Save");
  await page.getByRole("heading", { level: 2, name: "Ward <b>tablet</b>" }).waitFor();

  const spaced = (id) => id.replace(/(.{4})(?=.)/g, "$1 ");
  await press(page, `Remove Ward <b>tablet</b>, ${spaced(second)}`);
  await page.getByText(`You lose the token Ward <b>tablet</b>, credential ID ${spaced(second)}.`).waitFor();
  assert.equal(await page.getByText("This is the only token in this app.").count(), 0);
  await press(page, "Cancel");
  await press(page, `Remove Ward <b>tablet</b>, ${spaced(second)}`);
  await press(page, `Remove ${spaced(second)}`);
  await page.locator(".code").nth(1).waitFor({ state: "detached" });
  await press(page, `Remove Token 1, ${spaced(first)}`);
  await page.getByText("This is the only token in this app.").waitFor();
  await look(page, "remove-last");
  await press(page, `Remove ${spaced(first)}`);
  await heading(page, "Set up your token");
  // The lock went with the last token.
  await page.reload();
  await heading(page, "Set up your token");
  await context.close();
});

test("starting over without the PIN names what is lost", enrolls, async () => {
  const { page, context } = await person();
  const id = await enroll(page);
  await press(page, "Lock");
  await press(page, "Start over");
  await page.getByText(id.replace(/(.{4})(?=.)/g, "$1 ")).waitFor();
  await look(page, "start-over");
  await press(page, "Remove all tokens");
  await heading(page, "Set up your token");
  await context.close();
});
