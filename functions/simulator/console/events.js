// Every event as it was published, every carrier's call as it was verified, and what
// no subscriber would take.

import { get, post } from "./api.js";
import { $, copy, fill, h, say } from "./dom.js";
import { longList } from "./list.js";
import { watch } from "./live.js";
import { linkTo, onState, set, state } from "./state.js";
import { precise, say as words, time } from "./words.js";

const LISTS = { published: "Published", callbacks: "Carriers' calls", dead: "Dead letters" };
const VERDICTS = {
  believed: "Believed: the two are equal, the event was published, and only then answered with 2xx.",
  refused: "Refused: the sender could not prove itself. Nothing was published.",
  failed: "Not taken. The carrier brings it again later.",
  unanswered: "No answer. The carrier brings it again later.",
};

let all = { published: [], callbacks: [], dead: [] };
let list = null;
let words_ = "";
let watching = null;

const listName = () => (LISTS[state.event?.list] ? state.event.list : "published");
const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const textOf = (base64) => new TextDecoder().decode(bytesOf(base64));
const parsed = (text) => { try { return JSON.parse(text); } catch { return null; } };

const told = (callback) => {
  const body = callback.carrier === "rbm" ? parsed(textOf(callback.verification.baseBase64)) : parsed(callback.body)?.[0];
  return { ...callback, payload: body, type: body?.eventType ?? body?.type ?? (body?.text !== undefined ? "text" : Object.keys(body ?? {}).find((key) => ["suggestionResponse", "location", "userFile"].includes(key)) ?? "event"), message: body?.messageId ?? body?.message?.tag ?? "" };
};

const row = (item) => {
  const name = listName();
  if (name === "callbacks") {
    return [h("span", { class: `mark ${item.verification.verdict === "believed" ? "good" : "bad"}`, "aria-hidden": "true" }, item.verification.verdict === "believed" ? "✓" : "✕"),
      h("span", {}, item.type), h("span", { class: "when" }, time(item.time)), h("small", {}, `${item.carrier} → ${new URL(item.url).pathname} · ${item.verification.verdict}, ${item.status ?? "no answer"}`)];
  }
  const event = name === "dead" ? item.event : item;
  return [h("span", { class: `mark ${name === "dead" ? "bad" : "quiet"}`, "aria-hidden": "true" }, name === "dead" ? "✕" : "·"), h("span", {}, words(event.type)), h("span", { class: "when" }, time(event.time)),
    h("small", {}, `${event.type}${event.attributes.messageId ? ` · ${event.attributes.messageId}` : ""}`)];
};

const callbackOf = (event) => all.callbacks.find((callback) => callback.carrier === "rbm"
  ? callback.verification.baseBase64 === event.dataBase64
  : JSON.stringify(callback.payload) === JSON.stringify(event.data));

// Offset, bytes, and the letters they make.
export const dump = (bytes) => {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const part = [...bytes.slice(at, at + 16)];
    lines.push(`${at.toString(16).padStart(4, "0")}  ${part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(47)}  ${part.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : ".")).join("")}`);
  }
  return lines.join("\n");
};

const facts = (values) => h("dl", { class: "facts" }, Object.entries(values).map(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value ?? "–"))]));
const folded = (label, text, open) => h("details", { class: "raw", open }, h("summary", {}, label), h("pre", { tabindex: "0", "aria-label": label }, text));

const resend = async (callback, forged) => {
  try {
    await post(`/simulator/callbacks/${callback.id}:resend`, { forged });
    say(forged ? "Sent once more, with a forged proof." : "Sent once more, byte for byte.");
  } catch (error) {
    say(error.message);
  }
};

const proof = (callback) => {
  const { verification: v } = callback;
  const equal = v.sent === v.expected;
  const signed = v.scheme === "X-Goog-Signature";
  return h("section", { class: `proof ${v.verdict}` },
    h("h3", {}, "How its sender was verified"),
    h("p", {}, `${v.scheme}: ${v.how}.`),
    facts({ [signed ? "signed" : "user"]: signed ? `${bytesOf(v.baseBase64).length} bytes, those of message.data` : textOf(v.baseBase64), sent: v.sent || "nothing: the URL did not ask", expected: v.expected, equal: equal ? "yes" : "no", answer: callback.status ?? "none" }),
    h("p", {}, h("strong", {}, VERDICTS[v.verdict])),
    folded(signed ? "Signature base" : "User", signed ? dump(bytesOf(v.baseBase64)) : textOf(v.baseBase64)),
    folded("The request's body", callback.body),
    h("div", { class: "row" }, h("button", { id: "resend", onclick: () => resend(callback, false) }, "Resend"), h("button", { class: "plain", onclick: () => resend(callback, true) }, "Resend with a forged proof")));
};

const published = (event) => {
  const { agentId, messageId } = event.attributes;
  const about = state.messages.find((message) => message.agentId === agentId && message.name.endsWith(`/agentMessages/${messageId}`));
  return [
    h("p", {}, words(event.type), "."),
    facts(event.attributes),
    h("div", { class: "row" },
      about ? h("a", { href: linkTo(about) }, "Its message") : null,
      h("button", { class: "plain", onclick: () => copy(JSON.stringify(event, null, 2), "Event") }, "Copy as JSON"),
      h("button", { class: "plain", onclick: () => copy(location.href, "Link") }, "Copy link")),
    folded("Data", JSON.stringify(event.data, null, 2), true),
    folded("Raw bytes", dump(bytesOf(event.dataBase64))),
  ];
};

const replay = async (letter) => {
  try {
    await post(`/simulator/dead-letters/${letter.id}:replay`);
    say("It is delivered again.");
  } catch (error) {
    say(error.message);
  }
};

const detail = (item) => {
  const name = listName();
  if (name === "callbacks") return [h("h2", {}, item.type), facts({ carrier: item.carrier, time: item.time, url: item.url, "try": item.tries + 1 }), proof(item), folded("What it says", JSON.stringify(item.payload, null, 2))];
  if (name === "dead") {
    return [h("h2", {}, item.event.type), h("p", {}, `${item.subscription} would not take it after ${item.tries} tries: ${item.reason}`),
      h("div", { class: "row" }, h("button", { class: "primary", id: "replay", onclick: () => replay(item) }, "Replay"), h("button", { class: "plain", onclick: () => copy(`curl -X POST '${location.origin}/simulator/dead-letters/${item.id}:replay'`, "curl command") }, "Copy as curl")), published(item.event)];
  }
  const callback = callbackOf(item);
  return [h("h2", {}, item.type), published(item), callback ? proof(callback) : h("p", { class: "quiet" }, "Backstop published this itself: no carrier had to prove anything.")];
};

export const draw = () => {
  if (!$("events")) return;
  const name = listName();
  const items = all[name].filter((item) => !words_ || JSON.stringify(item).toLowerCase().includes(words_));
  const chosen = items.find((item) => item.id === state.event?.id);
  $("events").classList.toggle("one", Boolean(chosen));
  fill($("event-tools"), [h("div", { class: "tools" },
    h("div", { class: "segments", role: "group", "aria-label": "What is listed" }, Object.entries(LISTS).map(([key, label]) =>
      h("button", { "aria-pressed": String(key === name), onclick: () => { location.hash = `#/events/${key}`; } }, all[key].length && key === "dead" ? `${label} (${all[key].length})` : label))),
    h("input", { type: "search", id: "search", placeholder: "Search", "aria-label": "Search events", autocomplete: "off", oninput: (event) => { words_ = event.target.value.trim().toLowerCase(); draw(); } }))]);
  list.show(items, chosen?.id ?? null);
  fill($("event"), chosen
    ? [h("button", { class: "plain back", onclick: () => { location.hash = `#/events/${name}`; } }, "‹ All"), detail(chosen)]
    : [h("p", { class: "quiet middle" }, items.length ? "Choose one to see its attributes, its raw bytes, and how its sender was verified." : name === "dead" ? "None: every event was taken by all its subscribers." : "None yet.")]);
};

export const mount = (main) => {
  list = longList({ label: "Events", lines: 3.8, row, keyOf: (item) => item.id, choose: (item) => { location.hash = `#/events/${listName()}/${encodeURIComponent(item.id)}`; } });
  fill(main, [h("div", { class: "split", id: "events", "data-own": true },
    h("section", { class: "master", "aria-label": "Events" }, h("h2", { class: "hidden" }, "Events"), h("div", { id: "event-tools" }), list.node),
    h("article", { id: "event", "aria-label": "Event" }))]);
  watching?.now();
};

export const start = () => {
  watching = watch(["messages", "phones"], async () => {
    if (state.view !== "events") return;
    const [events, callbacks, letters] = await Promise.all([get("/simulator/events"), get("/simulator/callbacks"), get("/simulator/dead-letters")]);
    all = { published: events.events.toReversed(), callbacks: callbacks.callbacks.map(told).toReversed(), dead: letters.deadLetters };
    draw();
  });
  onState((changes) => { if ("event" in changes || "view" in changes) { draw(); watching.now(); } });
};
