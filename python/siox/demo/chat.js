// The page of `siox demo`: the official Socket.IO client, and the DOM by hand.
const CLIENTS = ["/socket.io/socket.io.min.js", "https://cdn.socket.io/4.8.4/socket.io.min.js"];
const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp"];
const LARGEST_PICTURE = 900_000; // bytes; the server takes messages of 1 MB
const TYPING_LASTS = 3000; // ms without a further sign

const $ = (id) => document.getElementById(id);
const storage = { get: (key) => sessionStorage.getItem(`siox.${key}`), set: (key, value) => sessionStorage.setItem(`siox.${key}`, value) };

let socket = null;
let room = null;
let people = [];
let picture = null; // what the composer is about to send: {name, type, bytes, url}
let unread = 0;
const sent = new Map(); // id → our bubble
const mine = new Set(JSON.parse(storage.get("mine") ?? "[]")); // ids of what this tab said: the server names people by connection
const typists = new Map(); // person's id → {person, timer}

// ---------------------------------------------------------------- small helpers
function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function icon(name, className = "") {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  if (className) svg.setAttribute("class", className);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

const HUES = [25, 60, 105, 145, 190, 235, 262, 290, 322, 352]; // of oklch, well apart to the eye
const hueOf = (name) => HUES[[...name.toLowerCase()].reduce((sum, letter) => (sum * 33 + letter.codePointAt(0)) % 65_521, 5) % HUES.length];
const initialsOf = (name) => {
  const words = name.trim().split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)].map((word) => [...word][0]) : [...(words[0] ?? "?")].slice(0, 2);
  return letters.join("").toUpperCase();
};
function paintFace(node, name) {
  node.textContent = initialsOf(name);
  node.style.setProperty("--hue", hueOf(name));
  return node;
}
const face = (name) => paintFace(element("span", { class: "face", "aria-hidden": "true" }), name);
const clock = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
const size = (bytes) => (bytes < 1000 ? `${bytes} bytes` : bytes < 1e6 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;
const listOf = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);

// ---------------------------------------------------------------- the connection
async function loadClient() {
  for (const source of CLIENTS) {
    const loaded = await new Promise((resolve) => {
      document.head.append(element("script", { src: source, onload: () => resolve(true), onerror: () => resolve(false) }));
    });
    if (loaded && window.io) return window.io;
  }
  throw new Error("The Socket.IO client could not be loaded. Install it (npm install socket.io-client) and start the demo again.");
}

async function connect(name, firstRoom) {
  const io = await loadClient();
  room = firstRoom;
  // A function: whoever reconnects comes back to the room that they are in by then.
  socket = io({ auth: (answer) => answer({ name, room }), reconnectionDelayMax: 3000 });

  socket.on("connect", () => {
    showTransport();
    socket.io.engine.on("upgrade", showTransport);
    banner(null);
  });
  socket.on("disconnect", (reason) => {
    pill("offline", "offline");
    typists.clear();
    showTyping();
    for (const item of sent.values()) {
      if (item.dataset.online && item.querySelector('[data-state="sending"]')) failed(item, "The connection was lost before the server answered");
    }
    if (reason === "io server disconnect") banner("The server ended the connection.", "Connect again", () => socket.connect());
    else banner("The connection is lost. Trying again; what you write is sent afterwards.");
  });
  socket.io.on("reconnect_attempt", () => pill("connecting", "reconnecting"));
  socket.on("connect_error", (error) => {
    if (error.data?.field === "name") return refused(error.message);
    if (document.body.dataset.view === "welcome") $("join-error").textContent = "The server does not answer. Trying again.";
    if (!socket.active) banner(error.message);
  });

  socket.on("entered", entered);
  socket.on("rooms", showRooms);
  socket.on("people", showPeople);
  socket.on("came", (person) => note(`${person.name} came in`));
  socket.on("went", (person) => {
    stopTyping(person.id);
    note(`${person.name} left`);
  });
  // Calling `ack` tells the server, and through it the sender, that this tab has the message.
  socket.on("said", (message, ack) => {
    stopTyping(message.from.id);
    append(bubble(message));
    ack();
  });
  socket.on("delivered", (id, got, asked) => tick(sent.get(id), got === asked ? "delivered" : "sent", `Delivered to ${got} of ${asked}`));
  socket.on("typing", (person, active) => (active ? startTyping(person) : stopTyping(person.id)));
  socket.on("announcement", announcement);
}

function showTransport() {
  const name = socket.io.engine.transport.name;
  pill(name, name);
}
function pill(state, text) {
  $("pill").dataset.state = state;
  $("pill-text").textContent = text;
}
function banner(text, action = null, act = null) {
  $("banner").hidden = text === null;
  $("banner").replaceChildren(text ?? "", action ? element("button", { type: "button", onclick: act }, action) : "");
}

function refused(message) {
  socket.disconnect();
  socket = null;
  document.body.dataset.view = "welcome";
  $("app").inert = true;
  $("enter").disabled = false;
  $("join-error").textContent = message;
  $("name").focus();
}

// ---------------------------------------------------------------- rooms and people
function entered(state) {
  const again = room === state.room && document.body.dataset.view === "chat";
  room = state.room;
  storage.set("room", room);
  history.replaceState(null, "", `#${encodeURIComponent(room)}`);
  document.body.dataset.view = "chat";
  $("app").inert = false;
  $("room-title").textContent = $("empty-room").textContent = `#${room}`;
  $("text").placeholder = `Write to #${room}`;
  $("second-tab").href = location.pathname + location.hash;
  typists.clear();
  showTyping();
  const unsent = again ? [...sent.values()].filter((node) => node.querySelector('[data-state="sending"]')) : [];
  $("messages").replaceChildren();
  for (const message of state.history) append(bubble(message, mine.has(message.id)), { quietly: true });
  for (const node of unsent) append(node, { quietly: true });
  showPeople(state.people);
  $("scroll").toggleAttribute("data-empty", $("messages").childElementCount === 0);
  toBottom();
  closeSide();
  if (matchMedia("(hover: hover)").matches) $("text").focus();
}

function showRooms(rooms) {
  $("room-list").replaceChildren(...rooms.map(({ name }) => element("option", { value: name })));
  $("rooms").replaceChildren(
    ...rooms.map(({ name, count }) =>
      element("li", {}, element("button", { type: "button", "aria-current": String(name === room), onclick: () => enter(name) },
        element("span", { class: "name" }, `# ${name}`),
        element("span", { class: "count", "aria-label": plural(count, "person", "people") }, String(count))))),
  );
}

function showPeople(list) {
  people = list;
  $("people").replaceChildren(
    ...people.map((person) =>
      element("li", {}, face(person.name), element("span", { class: "name" }, person.name), person.id === socket.id ? element("small", {}, "you") : null)),
  );
  const others = people.filter((person) => person.id !== socket.id).map((person) => person.name);
  $("room-people").textContent = others.length === 0 ? "Only you so far" : `You, ${others.slice(0, 3).join(", ")}${others.length > 3 ? ` and ${others.length - 3} more` : ""}`;
  for (const button of $("rooms").querySelectorAll("button")) {
    button.setAttribute("aria-current", String(button.querySelector(".name").textContent === `# ${room}`));
  }
}

function enter(name) {
  if (name === room) return closeSide();
  signalTyping(false);
  // The room changes when the server says so ("entered"); a refusal says why.
  socket.emit("enter", name, (answer) => answer?.error && note(answer.error.message));
}

// ---------------------------------------------------------------- messages
function bubble({ from, text, image, at, id }, own = false) {
  const body = element("div", { class: "bubble" });
  if (image?.bytes) {
    const url = image.url ?? URL.createObjectURL(new Blob([image.bytes], { type: PICTURES.includes(image.type) ? image.type : "image/png" }));
    const picture = element("img", { src: url, alt: image.name });
    picture.onload = () => {
      const scale = Math.min(1, 380 / picture.naturalWidth, 320 / picture.naturalHeight);
      picture.style.width = `${Math.round(picture.naturalWidth * scale)}px`;
      if (wasAtBottom) toBottom();
    };
    body.append(element("button", { class: "picture", type: "button", "aria-label": `Open ${image.name}`, onclick: () => openPicture(url, image.name) }, picture));
  } else if (image) {
    body.append(element("p", { class: "missing" }, icon("image"), `${image.name}, shared before you came`));
  }
  if (text) body.append(element("p", { class: "text" }, text));
  const meta = element("p", { class: "meta" }, element("time", { datetime: new Date(at).toISOString() }, clock(at)));
  body.append(meta);
  const item = element("li", { class: `message${own ? " own" : ""}`, "data-from": from.id }, face(from.name), element("span", { class: "who" }, from.name), body);
  item.style.setProperty("--hue", hueOf(from.name));
  return item;
}

function tick(item, state, label) {
  const meta = item?.querySelector(".meta");
  if (!meta) return;
  const symbol = icon({ sending: "clock", sent: "tick", delivered: "ticks", failed: "failed" }[state], "tick");
  symbol.dataset.state = state;
  symbol.removeAttribute("aria-hidden");
  symbol.setAttribute("role", "img");
  symbol.setAttribute("aria-label", label);
  const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
  title.textContent = label;
  symbol.prepend(title);
  meta.querySelector(".tick")?.remove();
  meta.append(symbol);
}

function failed(item, why) {
  item.classList.add("failed");
  tick(item, "failed", why);
}

let wasAtBottom = true;
const isAtBottom = () => $("scroll").scrollHeight - $("scroll").scrollTop - $("scroll").clientHeight < 80;
function toBottom() {
  $("scroll").scrollTop = $("scroll").scrollHeight;
  $("jump").hidden = true;
}

function append(item, { quietly = false, own = false } = {}) {
  const list = $("messages");
  wasAtBottom = isAtBottom() || own;
  const last = list.lastElementChild;
  const group = (node) => node?.classList.contains("message") && `${node.classList.contains("own")} ${node.dataset.from}`;
  item.classList.toggle("more-above", Boolean(group(last)) && group(last) === group(item));
  item.classList.remove("more-below");
  if (item.classList.contains("more-above")) last.classList.add("more-below");
  list.append(item);
  $("scroll").removeAttribute("data-empty");
  if (wasAtBottom || quietly) toBottom();
  else if (item.classList.contains("message")) $("jump").hidden = false;
  if (document.hidden && !quietly && !own && !item.classList.contains("note")) {
    unread += 1;
    document.title = `(${unread}) siox chat`;
  }
  return item;
}

const note = (text) => append(element("li", { class: "note" }, text), { quietly: isAtBottom() });

function announcement({ from, text }) {
  append(element("li", { class: "announcement" }, icon("horn"),
    element("div", {}, element("strong", {}, from.id === socket.id ? "You, to everyone" : `${from.name}, to everyone`), element("p", {}, text))));
}

function say(text, image) {
  const me = { id: "me", name: storage.get("name") };
  const begun = performance.now();
  const item = append(bubble({ from: me, text, image, at: Date.now() }, true), { own: true });
  tick(item, "sending", "Sending");
  if (socket.connected) item.dataset.online = "yes";
  const message = { id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, text };
  if (image) message.image = { name: image.name, type: image.type, bytes: image.bytes };
  sent.set(message.id, item);
  mine.add(message.id);
  storage.set("mine", JSON.stringify([...mine].slice(-100)));
  socket.emit("say", message, (answer) => {
    if (answer?.error) {
      failed(item, answer.error.message);
      note(`Not sent: ${answer.error.message}`);
    } else if (item.querySelector('[data-state="sending"]')) {
      tick(item, "sent", `The server has it, after ${Math.max(1, Math.round(performance.now() - begun))} ms`);
    }
  });
}

function openPicture(url, name) {
  $("lightbox-image").src = url;
  $("lightbox-image").alt = name;
  $("lightbox").showModal();
}

// ---------------------------------------------------------------- who is typing
let lastSign = 0;
function signalTyping(active) {
  if (!socket?.connected) return;
  if (active && Date.now() - lastSign < TYPING_LASTS / 2) return;
  if (!active && lastSign === 0) return;
  lastSign = active ? Date.now() : 0;
  socket.volatile.emit("typing", active); // may be lost: nobody misses it
}
function startTyping(person) {
  clearTimeout(typists.get(person.id)?.timer);
  typists.set(person.id, { person, timer: setTimeout(() => stopTyping(person.id), TYPING_LASTS) });
  showTyping();
}
function stopTyping(id) {
  clearTimeout(typists.get(id)?.timer);
  if (typists.delete(id)) showTyping();
}
function showTyping() {
  const names = [...typists.values()].map(({ person }) => person.name);
  const text = names.length === 0 ? "" : names.length > 3 ? "Several people are typing" : `${listOf(names)} ${names.length === 1 ? "is" : "are"} typing`;
  const dots = element("span", { class: "dots", "aria-hidden": "true" }, element("i"), element("i"), element("i"));
  $("typing").replaceChildren(...(text ? [dots, text] : []));
}

// ---------------------------------------------------------------- pictures
async function choose(file) {
  if (!file) return;
  if (!PICTURES.includes(file.type)) return note("Only PNG, JPEG, GIF and WebP pictures can be sent");
  try {
    const blob = await shrink(file);
    drop();
    picture = { name: file.name || "picture", type: blob.type, bytes: new Uint8Array(await blob.arrayBuffer()), url: URL.createObjectURL(blob) };
    $("preview-image").src = picture.url;
    $("preview-name").textContent = picture.name;
    $("preview-size").textContent = blob === file ? size(blob.size) : `${size(blob.size)}, made smaller from ${size(file.size)}`;
    $("preview").hidden = false;
    ready();
    $("text").focus();
  } catch {
    note(`${file.name} could not be read as a picture`);
  }
}

async function shrink(file) {
  const bitmap = await createImageBitmap(file);
  if (file.size <= LARGEST_PICTURE) return file;
  let scale = Math.min(1, 1600 / Math.max(bitmap.width, bitmap.height));
  for (;;) {
    const canvas = element("canvas", { width: Math.round(bitmap.width * scale), height: Math.round(bitmap.height * scale) });
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.86));
    if (blob.size <= LARGEST_PICTURE) return blob;
    scale *= 0.7;
  }
}

function drop() {
  picture = null;
  $("preview").hidden = true;
  $("file").value = "";
  ready();
}

// ---------------------------------------------------------------- the composer
const ready = () => ($("send").disabled = !picture && $("text").value.trim() === "");
function grow() {
  if (CSS.supports("field-sizing", "content")) return;
  $("text").style.height = "auto";
  $("text").style.height = `${$("text").scrollHeight}px`;
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text && !picture) return;
  say(text, picture);
  $("text").value = "";
  lastSign = 0;
  drop();
  grow();
  $("text").focus();
});
$("text").addEventListener("input", () => {
  ready();
  grow();
  signalTyping($("text").value !== "");
});
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("composer").requestSubmit();
  }
  if (event.key === "Escape" && picture) drop();
});
$("text").addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find(({ type }) => type.startsWith("image/"));
  if (file) {
    event.preventDefault();
    choose(file);
  }
});
$("attach").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => choose($("file").files[0]));
$("preview-remove").addEventListener("click", drop);

let depth = 0; // dragenter and dragleave also come from the children
const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
$("main").addEventListener("dragenter", (event) => hasFiles(event) && ((depth += 1), $("main").classList.add("dropping")));
$("main").addEventListener("dragleave", (event) => hasFiles(event) && (depth -= 1) === 0 && $("main").classList.remove("dropping"));
$("main").addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
$("main").addEventListener("drop", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  depth = 0;
  $("main").classList.remove("dropping");
  choose(event.dataTransfer.files[0]);
});

// ---------------------------------------------------------------- around it
let atBottom = true;
$("scroll").addEventListener("scroll", () => {
  atBottom = isAtBottom();
  if (atBottom) $("jump").hidden = true;
});
new ResizeObserver(() => atBottom && toBottom()).observe($("scroll")); // the composer grows, the window shrinks
$("jump").addEventListener("click", toBottom);
$("lightbox").addEventListener("click", (event) => event.target === $("lightbox") && $("lightbox").close());

$("announce-open").addEventListener("click", () => $("announce").showModal());
$("announce-cancel").addEventListener("click", () => $("announce").close());
$("announce-form").addEventListener("submit", (event) => {
  const text = $("announce-text").value.trim();
  if (!text) return event.preventDefault();
  socket.emit("announce", text, (answer) => answer?.error && note(answer.error.message));
  $("announce-form").reset();
});
$("new-room").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("new-room-name").value.trim();
  if (name) enter(name);
  $("new-room").reset();
});

function closeSide() {
  document.body.classList.remove("side-open");
  $("side-open").setAttribute("aria-expanded", "false");
}
$("side-open").addEventListener("click", () => {
  document.body.classList.add("side-open");
  $("side-open").setAttribute("aria-expanded", "true");
  $("side-close").focus();
});
$("side-close").addEventListener("click", closeSide);
$("scrim").addEventListener("click", closeSide);
document.addEventListener("keydown", (event) => event.key === "Escape" && closeSide());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unread = 0;
  document.title = "siox chat";
});

function showTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
}
$("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme === "dark" || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  const theme = dark ? "light" : "dark";
  localStorage.setItem("siox.theme", theme);
  showTheme(theme);
});

// ---------------------------------------------------------------- the door
const NAMES = ["Ada", "Bo", "Chidi", "Dora", "Emil", "Fatou", "Grace", "Hugo", "Ines", "Jun", "Kofi", "Lea", "Mira", "Noor", "Otto", "Pia"];
const suggestion = NAMES[Math.floor(Math.random() * NAMES.length)];
showTheme(localStorage.getItem("siox.theme"));
$("name").value = storage.get("name") ?? suggestion;
$("room").value = decodeURIComponent(location.hash.slice(1)) || storage.get("room") || "lobby";
const showFace = () => paintFace($("join-face"), $("name").value || "?");
showFace();
$("name").addEventListener("input", showFace);
$("name").focus();
$("name").select();

$("join").addEventListener("submit", async (event) => {
  event.preventDefault();
  const name = $("name").value.trim();
  storage.set("name", name);
  $("join-error").textContent = "";
  $("enter").disabled = true;
  paintFace($("me-face"), name);
  $("me-name").textContent = name;
  try {
    await connect(name, $("room").value.trim() || "lobby");
  } catch (error) {
    $("join-error").textContent = error.message;
    $("enter").disabled = false;
  }
});
