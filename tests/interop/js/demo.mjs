// Two tabs of `siox demo` in headless Chromium talk with each other. Prints a report as JSON; test_demo.py asserts.
// node demo.mjs URL CHROMIUM [SCREENSHOT]
import { createHash } from "node:crypto";
import { chromium } from "playwright-core";

const [url, executablePath, screenshot] = process.argv.slice(2);
const report = { complaints: [], requests: [] };
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

async function tab(name, theme) {
  const context = await browser.newContext({ viewport: { width: 920, height: 760 }, colorScheme: theme, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && report.complaints.push(`${name}: ${message.text()}`));
  page.on("pageerror", (error) => report.complaints.push(`${name}: ${error.message}`));
  page.on("request", (request) => new URL(request.url()).origin !== new URL(url).origin && !request.url().startsWith("blob:") && !request.url().startsWith("data:") && report.requests.push(request.url()));
  await page.goto(url);
  await page.fill("#name", name);
  await page.click("#enter");
  await page.waitForSelector('body[data-view="chat"]');
  await page.waitForSelector('#pill[data-state="websocket"]');
  return page;
}
const say = async (page, text) => {
  await page.fill("#text", text);
  await page.press("#text", "Enter");
};
const sees = (page, text) => page.waitForSelector(`#messages .message .text:text-is(${JSON.stringify(text)})`);
const lastTick = async (page, state) => {
  await page.waitForSelector(`#messages .message.own:last-of-type .tick[data-state="${state}"]`);
  return page.getAttribute("#messages .message.own:last-of-type .tick", "aria-label");
};

// A picture that is worth looking at: hills at dusk.
const paint = () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [720, 420];
  const draw = canvas.getContext("2d");
  const sky = draw.createLinearGradient(0, 0, 0, 420);
  for (const [stop, colour] of [[0, "#1e3a5f"], [0.45, "#e76f51"], [0.7, "#f4a261"], [1, "#ffe8c2"]]) sky.addColorStop(stop, colour);
  draw.fillStyle = sky;
  draw.fillRect(0, 0, 720, 420);
  draw.fillStyle = "#fff3d6";
  draw.beginPath();
  draw.arc(500, 245, 38, 0, 7);
  draw.fill();
  ["#5b6c7f", "#3d5a6c", "#21424f", "#0f2c33"].forEach((colour, layer) => {
    draw.fillStyle = colour;
    draw.beginPath();
    draw.moveTo(0, 420);
    for (let x = 0; x <= 720; x += 6) draw.lineTo(x, 262 + layer * 36 + 30 * Math.sin(x / (95 - layer * 14) + layer * 2.1) + 9 * Math.sin(x / 23 + layer));
    draw.lineTo(720, 420);
    draw.fill();
  });
  return canvas.toDataURL("image/png").split(",")[1];
};

async function sideBySide(pages, path) {
  const pictures = await Promise.all(pages.map(async (page) => (await page.screenshot()).toString("base64")));
  const frame = await browser.newPage({ viewport: { width: 1904, height: 808 } });
  await frame.setContent(`<style>body { margin: 0; padding: 24px; display: flex; gap: 16px; background: #8fa8a3 }
    img { width: 920px; height: 760px; border-radius: 14px; box-shadow: 0 6px 24px #0005 }</style>
    ${pictures.map((picture) => `<img src="data:image/png;base64,${picture}">`).join("")}`);
  await frame.screenshot({ path });
  await frame.close();
}

try {
  const ada = await tab("Ada Lovelace", "light");
  report.empty = await ada.isVisible("#empty");

  const grace = await tab("Grace Hopper", "dark");
  await ada.waitForSelector("#messages .note:text-is('Grace Hopper came in')");
  report.people = await ada.locator("#people .name").allTextContents();
  report.transports = [await ada.textContent("#pill-text"), await grace.textContent("#pill-text")];

  await say(ada, "Morning! Is the new server up?");
  await sees(grace, "Morning! Is the new server up?");
  report.firstTick = await lastTick(ada, "delivered");

  await grace.locator("#text").pressSequentially("It is", { delay: 20 });
  await ada.waitForSelector("#typing:has-text('Grace Hopper is typing')");
  report.typing = await ada.textContent("#typing");
  await say(grace, "It is. Python on the outside, Rust on the inside.");
  await sees(ada, "It is. Python on the outside, Rust on the inside.");
  await ada.waitForFunction(() => document.getElementById("typing").textContent === "");
  await say(grace, "Frames, rooms and broadcasts never touch the interpreter.");
  await sees(ada, "Frames, rooms and broadcasts never touch the interpreter.");

  const picture = Buffer.from(await ada.evaluate(paint), "base64");
  await ada.setInputFiles("#file", { name: "evening.png", mimeType: "image/png", buffer: picture });
  await ada.waitForSelector("#preview:not([hidden])");
  await say(ada, "Then we can go home early, look:");
  await grace.waitForSelector("#messages .picture img");
  await grace.waitForFunction(() => document.querySelector("#messages .picture img").naturalWidth > 0);
  const arrived = await grace.evaluate(async () => Array.from(new Uint8Array(await (await fetch(document.querySelector("#messages .picture img").src)).arrayBuffer())));
  const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");
  report.picture = { bytes: arrived.length, same: digest(Buffer.from(arrived)) === digest(picture) };
  report.pictureTick = await lastTick(ada, "delivered");

  await grace.click("#announce-open");
  await grace.fill("#announce-text", "Tea is ready in the garden");
  await grace.press("#announce-text", "Enter");
  await Promise.all([ada, grace].map((page) => page.waitForSelector("#messages .announcement")));
  report.announcements = await Promise.all([ada, grace].map((page) => page.textContent("#messages .announcement")));
  await say(grace, "Lovely. One tick says the server has it, two say that everyone does.");
  await sees(ada, "Lovely. One tick says the server has it, two say that everyone does.");
  await grace.fill("#text", "On my");
  await grace.locator("#text").pressSequentially(" way");
  await ada.waitForSelector("#typing:has-text('Grace Hopper is typing')");
  await grace.waitForTimeout(300);
  if (screenshot) await sideBySide([ada, grace], screenshot);

  // Another room: what is said in the lobby stays there; an announcement does not.
  await grace.fill("#text", "");
  await grace.click("#rooms button:has-text('garden')");
  await grace.waitForSelector("#room-title:text-is('#garden')");
  await ada.waitForSelector("#messages .note:text-is('Grace Hopper left')");
  await say(ada, "Alone now");
  report.aloneTick = await lastTick(ada, "sent");
  await ada.click("#announce-open");
  await ada.fill("#announce-text", "Come back");
  await ada.click("#announce-send");
  await grace.waitForSelector("#messages .announcement:has-text('Come back')");
  report.leaked = await grace.locator("#messages .message").count();
  report.counts = await ada.locator("#rooms .count").allTextContents();

  await grace.context().setOffline(true);
  await grace.close();
  await ada.click("#rooms button:has-text('garden')");
  await ada.waitForSelector("#room-title:text-is('#garden')");
  await ada.waitForFunction(() => document.getElementById("room-people").textContent === "Only you so far");

  report.done = true;
} finally {
  await browser.close();
  console.log(JSON.stringify(report));
}
