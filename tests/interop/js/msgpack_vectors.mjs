// Writes tests/vectors/msgpack.json: packets as the official parser encodes them, with what is to be read, and
// packets made by hand, with what the official decoder says of them.
//
// What is to be read is what the default parser would have delivered: an application need not know which parser
// its peers have.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import parser from "socket.io-msgpack-parser";

const require = createRequire(import.meta.url);
// Not exported: what bundlers put into a page.
const browserEncode = require(require.resolve("notepack.io").replace("lib/index.js", "browser/encode.js"));
const version = (name) => {
  const place = new URL(`../node_modules/${name}/package.json`, import.meta.url);
  return `${name} ${JSON.parse(readFileSync(place)).version}`;
};
const source = `${version("socket.io-msgpack-parser")}, ${version("notepack.io")}`;

const base64 = (bytes) => ({ base64: Buffer.from(bytes).toString("base64") });

function delivered(value) {
  if (value instanceof ArrayBuffer) return base64(value);
  if (ArrayBuffer.isView(value)) return base64(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
  if (value !== null && typeof value?.toJSON === "function") return delivered(value.toJSON());
  if (Array.isArray(value)) return value.map((each) => delivered(each) ?? null);
  if (value !== null && typeof value === "object") {
    const members = Object.entries(value).map(([key, each]) => [key, delivered(each)]);
    return Object.fromEntries(members.filter(([, each]) => each !== undefined));
  }
  const text = JSON.stringify(value);
  return text === undefined ? undefined : JSON.parse(text);
}

const vectors = [];

const node = { encode: (content) => new parser.Encoder().encode(content)[0], from: "Encoder" };

function packet(id, title, content, options) {
  const { encode, from, data, canonical = true } = { ...node, ...options };
  const expect = { type: content.type, namespace: content.nsp };
  if (content.id !== undefined) expect.id = content.id;
  const read = data ?? (content.data === undefined ? undefined : delivered(content.data));
  if (read !== undefined) expect.data = read;
  // Whether we would write the data with these very bytes.
  if (!canonical) expect.canonical = false;
  vectors.push({ id, title, source: `${source}: ${from}`, input: base64(encode(content)), expect });
}

const event = (id, title, data, options) => packet(id, title, { type: 2, data, nsp: "/" }, options);
const value = (id, title, each, options = {}) =>
  event(id, title, ["value", each], "data" in options ? { ...options, data: ["value", options.data] } : options);

// Packets, with the members in the order of who makes them.
packet("connect", "CONNECT of a client without auth", { type: 0, data: undefined, nsp: "/" });
packet("connect-auth", "CONNECT of a client with auth", { type: 0, data: { token: "123" }, nsp: "/admin" });
packet("connect-reply", "CONNECT of a server", { type: 0, data: { sid: "abcdefghijklmnopqrst" }, nsp: "/" });
packet("connect-error", "CONNECT_ERROR with a message and data", { type: 4, data: { message: "no", data: { code: 1 } }, nsp: "/admin" });
packet("connect-error-text", "CONNECT_ERROR with a text", { type: 4, data: "no", nsp: "/" });
packet("disconnect", "DISCONNECT", { type: 1, nsp: "/admin" });
packet("event-server", "EVENT of a server", { type: 2, data: ["hello", 1, "two"], nsp: "/" });
packet("event-client", "EVENT of a client, which sends its options along", { type: 2, data: ["hello", 1], options: { compress: true }, nsp: "/" });
packet("event-ack", "EVENT that asks for an ACK", { type: 2, data: ["hello"], options: { compress: true }, id: 0, nsp: "/admin" });
packet("event-number", "EVENT whose name is a number", { type: 2, data: [7, "x"], nsp: "/" });
packet("ack", "ACK with values", { id: 12, type: 3, data: [{ status: "ok" }, null], nsp: "/" });
packet("ack-empty", "ACK without a value", { id: 300, type: 3, data: [], nsp: "/" });
packet("ack-large", "ACK with the largest id", { id: Number.MAX_SAFE_INTEGER, type: 3, data: [], nsp: "/" });

// Values.
value("constants", "null, true and false", [null, true, false]);
value("integers", "integers at the ends of each form", [
  0, 127, 128, 255, 256, 65_535, 65_536, 4_294_967_295, 4_294_967_296, Number.MAX_SAFE_INTEGER,
  -1, -32, -33, -128, -129, -32_768, -32_769, -2_147_483_648, -2_147_483_649, Number.MIN_SAFE_INTEGER,
]);
value("integer-unsigned", "a whole number beyond 63 bits", 1e19);
value("integer-beyond", "a whole number beyond 64 bits is lost in JavaScript's encoder", 2 ** 70, { data: 0, canonical: false });
value("floats", "numbers with a fraction", [1.5, -0.1, 1e-300, 5e-324, 1234.5678]);
value("float-whole", "a whole number is an integer, whatever it is written as", [3.0, -0.0], { data: [3, 0] });
value("strings", "strings at the ends of each form", ["", "a", "x".repeat(31), "x".repeat(32), "x".repeat(255), "x".repeat(256), "é€😀\u0000\u001e\ud7ff"]);
value("string-surrogate", "half a surrogate pair at the end becomes another character", "\ud83d", { data: "\u{1f400}" });
value("string-surrogate-long", "half a surrogate pair in a long string is replaced", `${"x".repeat(40)}\ud83d`, { data: `${"x".repeat(40)}\ufffd` });
value("buffers", "Buffers at the ends of each form", [Buffer.alloc(0), Buffer.from([1, 2, 3]), Buffer.alloc(255, 7), Buffer.alloc(256, 7)]);
value("buffer-nested", "a Buffer within an object within an array", [{ a: [Buffer.from("deep")] }]);
value("array-buffers", "ArrayBuffers and typed arrays of Node, of the lengths of undefined and of a Date too", [
  new Uint8Array(0).buffer, Uint8Array.of(1).buffer, Uint8Array.of(1, 2, 3), new Uint16Array(4), new Float64Array(40),
], { canonical: false });
value("undefined", "undefined in an array is null, in an object it is not there", [undefined, { a: undefined, b: 1 }], { canonical: false });
event("undefined-argument", "undefined for an argument", ["value", undefined, 1], { canonical: false });
value("functions", "functions in an object are not there", { a: () => 1, b: 2 });
value("dates", "Dates are their ISO texts", [new Date(0), new Date(1_709_251_199_999), new Date(-1), new Date(253_402_300_800_000), new Date(-62_167_219_200_001), { at: new Date(8.64e15) }], { canonical: false });
value("to-json", "toJSON is honoured", { toJSON: () => ({ a: [1] }) });
value("not-a-number", "NaN and the infinities are null", [NaN, Infinity, -Infinity], { canonical: false });
value("empty", "an empty array and an empty object", [[], {}]);
value("long", "an array and an object beyond the short form", [Array.from({ length: 16 }, (_, n) => n), Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`k${n}`, n]))]);
value("placeholder", "what would be a placeholder in the default parser", { _placeholder: true, num: 0 });
value("keys", "keys that look like something else", { 1: 2, true: 3, "": 4, __proto: 5, "ключ": 6 });
value("nested", "a hundred arrays within each other", JSON.parse("[".repeat(100) + "]".repeat(100)));

// The same package in a page.
const page = { encode: browserEncode, from: "Encoder in a browser" };
value("page-values", "values out of a page", [1, -1, 1.5, "é", null, { a: [true] }], page);
value("page-array-buffer", "an ArrayBuffer out of a page", Uint8Array.of(1, 2, 3).buffer, page);
value("page-typed-array", "a typed array out of a page is an object", Uint8Array.of(1, 2), { ...page, data: { 0: 1, 1: 2 } });
value("page-undefined", "undefined and a Date out of a page", [undefined, new Date(1000)], { ...page, canonical: false });

// By hand. The members as they are on the wire.
const bytes = (...parts) => Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.from(part))));
const string = (text) => bytes([0xa0 | text.length], text);
const type = (number) => bytes(string("type"), [number]);
const nsp = bytes(string("nsp"), string("/"));
const data = (...parts) => bytes(string("data"), ...parts);
const ackId = (...parts) => bytes(string("id"), ...parts);
const map = (...members) => bytes([0x80 | members.length], ...members);
const name = [0x91, 0xa1, 0x61];

function hand(id, title, input, expect = { error: true }) {
  let says = "accepts it";
  try {
    new parser.Decoder().add(input);
  } catch {
    says = "refuses it";
  }
  vectors.push({ id, title, source: `by hand; ${source}: Decoder ${says}`, input: base64(input), expect });
}

const read = (content) => ({ type: 2, namespace: "/", data: ["a"], ...content });
hand("any-order", "the members in another order", map(data(name), nsp, type(2)), read());
hand("unknown-member", "a member that nobody knows, with anything in it", map(type(2), bytes(string("x"), [0x92, 0x81, 0xc0, 0x90, 0xc7, 1, 9, 0]), nsp, data(name)), read());
hand("absent-nil", "nil for what is not there, as python-socketio writes it", map(type(1), nsp, data([0xc0]), ackId([0xc0])), { type: 1, namespace: "/" });
hand("longer-forms", "numbers, strings, arrays and maps in longer forms than they need", bytes([0xdf, 0, 0, 0, 3], string("type"), [0xd3, 0, 0, 0, 0, 0, 0, 0, 2], [0xd9, 3], "nsp", [0xdb, 0, 0, 0, 1], "/", string("data"), [0xdd, 0, 0, 0, 1, 0xda, 0, 1], "a"), read({ canonical: false }));
hand("float-short", "a float of 32 bits", map(type(2), nsp, data([0x92, 0xa1, 0x61, 0xca, 0x3f, 0xc0, 0, 0])), read({ data: ["a", 1.5], canonical: false }));
hand("key-kinds", "keys of a map that are no strings", map(type(2), nsp, data([0x92, 0xa1, 0x61, 0x84, 1, 2, 0xc3, 3, 0xc0, 4, 0xff, 5])), read({ data: ["a", { 1: 2, true: 3, null: 4, "-1": 5 }], canonical: false }));
hand("ext-foreign", "an ext of somebody's own", map(type(2), nsp, data([0x92, 0xa1, 0x61, 0xd5, 0xfb, 1, 2])), read({ data: ["a", [-5, base64([1, 2])]], canonical: false }));
hand("date-beyond", "a Date beyond what a Date holds is null", map(type(2), nsp, data([0x92, 0xa1, 0x61, 0xd7, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])), read({ data: ["a", null], canonical: false }));
hand("last-counts", "a member twice: the last one counts", map(type(3), nsp, data(name), type(2)), read());
hand("no-map", "an array in place of the map", bytes([0x93, 2], string("/"), name));
hand("no-msgpack", "a packet of the default parser", bytes('2["a"]'));
hand("nothing", "no byte at all", bytes());
hand("no-type", "no type", map(nsp, data(name)));
hand("binary-type", "a binary type of the default parser", map(type(5), nsp, data(name)));
hand("type-negative", "a negative type", map(type(0xff), nsp, data(name)));
hand("type-text", "a type that is a string", map(bytes(string("type"), string("2")), nsp, data(name)));
hand("no-namespace", "no namespace", map(type(2), data(name)));
hand("namespace-number", "a namespace that is a number", map(type(2), bytes(string("nsp"), [1]), data(name)));
hand("namespace-slash", "a namespace that does not begin with a slash", map(type(2), bytes(string("nsp"), string("admin")), data(name)));
hand("id-negative", "a negative id", map(type(2), nsp, ackId([0xff]), data(name)));
hand("id-fraction", "an id with a fraction", map(type(2), nsp, ackId([0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]), data(name)));
hand("id-text", "an id that is a string", map(type(2), nsp, ackId(string("1")), data(name)));
hand("id-huge", "an id that JavaScript does not hold exactly", map(type(2), nsp, ackId([0xcf, 0, 0x20, 0, 0, 0, 0, 0, 0]), data(name)));
hand("ack-without-id", "an ACK without an id", map(type(3), nsp, data(name)));
hand("connect-array", "CONNECT with an array", map(type(0), nsp, data([0x90])));
hand("connect-text", "CONNECT with a string", map(type(0), nsp, data(string("x"))));
hand("disconnect-data", "DISCONNECT with data", map(type(1), nsp, data([0x80])));
hand("event-absent", "EVENT without data", map(type(2), nsp));
hand("event-map", "EVENT with a map", map(type(2), nsp, data([0x80])));
hand("event-empty", "EVENT with an empty array", map(type(2), nsp, data([0x90])));
hand("event-nil", "EVENT whose name is nil", map(type(2), nsp, data([0x91, 0xc0])));
hand("event-nan", "EVENT whose name is no number", map(type(2), nsp, data([0x91, 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0])));
hand("event-reserved", "EVENT with a reserved name", map(type(2), nsp, data([0x91], string("disconnect"))));
hand("connect-error-array", "CONNECT_ERROR with an array", map(type(4), nsp, data([0x90])));
hand("key-array", "a map's key that is an array", map(type(2), nsp, data([0x92, 0xa1, 0x61, 0x81, 0x90, 1])));
hand("member-number", "a packet's member whose name is a number", map(type(2), nsp, data(name), bytes([1, 1])));
hand("utf-8", "a string that is not UTF-8", map(type(2), nsp, data([0x92, 0xa1, 0x61, 0xa1, 0xff])));
hand("reserved-byte", "the byte that begins no value", map(type(2), nsp, data([0x92, 0xa1, 0x61, 0xc1])));
hand("trailing", "something behind the packet", bytes(map(type(2), nsp, data(name)), [0xc0]));
hand("cut-off", "a packet that is cut off", map(type(2), nsp, data(name)).subarray(0, -1));
for (const [what, lead] of [["string", 0xdb], ["binary", 0xc6], ["ext", 0xc9], ["array", 0xdd], ["map", 0xdf]]) {
  hand(`huge-${what}`, `four billion announced of a value (${what})`, map(type(2), nsp, data([0x92, 0xa1, 0x61, lead, 0xff, 0xff, 0xff, 0xff])));
}
hand("too-deep", "one level deeper than may be", map(type(2), nsp, data([0x92, 0xa1, 0x61], Buffer.alloc(256, 0x91), [0xc0])));

const line = (vector) => {
  const members = Object.entries(vector).map(([key, each]) => `    ${JSON.stringify(key)}: ${JSON.stringify(each)}`);
  return `  {\n${members.join(",\n")}\n  }`;
};
process.stdout.write(`[\n${vectors.map(line).join(",\n")}\n]\n`);
