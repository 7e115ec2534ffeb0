// Two tabs of nicegui_app.py in headless Chromium. Prints a report as JSON; test_nicegui.py asserts.
// node nicegui.mjs URL CHROMIUM
import { chromium } from "playwright-core";

const [url, executablePath] = process.argv.slice(2);
const report = { complaints: [], sockets: 0 };
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

async function tab(name) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on("console", (message) => message.type() === "error" && report.complaints.push(`${name}: ${message.text()}`));
  page.on("pageerror", (error) => report.complaints.push(`${name}: ${error.message}`));
  page.on("websocket", (socket) => (report.sockets += socket.url().includes("/_nicegui_ws/socket.io/")));
  await page.goto(url);
  await page.waitForSelector(".clicks:text-is('0 clicks')");
  return page;
}

try {
  const [one, two] = [await tab("one"), await tab("two")];
  await one.click("button:has-text('Click')");
  await Promise.all([one, two].map((page) => page.waitForSelector(".clicks:text-is('1 clicks')")));
  await two.click("button:has-text('Click')");
  await Promise.all([one, two].map((page) => page.waitForSelector(".clicks:text-is('2 clicks')")));
  report.clicks = await Promise.all([one, two].map((page) => page.textContent(".clicks")));

  // What somebody types is his own.
  await one.fill(".name input", "Ada");
  await one.waitForSelector(".greeting:text-is('Hello Ada!')");
  report.greetings = await Promise.all([one, two].map((page) => page.textContent(".greeting")));

  await two.click("button:has-text('Ask')");
  await two.waitForSelector(".answer:text-is('42')");
  report.answers = await Promise.all([one, two].map((page) => page.locator(".answer").allTextContents()));

  // A tab that loses its connection learns what it missed when it is back, and is not loaded anew.
  await two.evaluate(() => {
    window.loaded = true;
    window.socket.io.engine.close();
  });
  await one.click("button:has-text('Click')");
  await Promise.all([one, two].map((page) => page.waitForSelector(".clicks:text-is('3 clicks')")));
  report.loaded = await two.evaluate(() => window.loaded);

  await one.context().close();
  await two.click("button:has-text('Click')");
  await two.waitForSelector(".clicks:text-is('4 clicks')");
  report.done = true;
} finally {
  await browser.close();
  console.log(JSON.stringify(report));
}
