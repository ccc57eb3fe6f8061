// Phones as their owners see them, and what their owners can do.

import { get, phonePath, post, put } from "./api.js";
import { now } from "./clock.js";
import { actionOf, body, optionOf, suggestions } from "./content.js";
import { $, fill, h, say } from "./dom.js";
import { watch } from "./live.js";
import { onState, set, state } from "./state.js";
import { pretty, time } from "./words.js";

// Three to begin with: what an app meets in the world.
export const FIRST = [
  { number: "+15551230001", name: "Android", settings: { system: "android" } },
  { number: "+15551230002", name: "iPhone", settings: { system: "iphone" } },
  { number: "+15551230003", name: "SMS only", settings: { rcs: false } },
];
const SHOWN = 24;
const RECENT = 80;

const details = new Map();
const threads = new Map();
const lengths = new Map();
let seen = null;
let recent = [];
let listed = [];
let reserved = [];
let watching = null;

const nameOf = (number) => FIRST.find((first) => first.number === number)?.name;
export const labelOf = (number) => nameOf(number) ?? pretty(number);
const stateOf = (phone) => (phone.off ? "off" : !phone.rcs ? "SMS only" : phone.online ? "online" : "no data");

const columns = () => (innerWidth >= 2600 ? 3 : innerWidth >= 1900 ? 2 : 1);

// Those in view: the chosen one, then those to whom something happened last.
const inView = () => {
  const known = new Set([state.phone, ...recent, ...FIRST.map((first) => first.number)].filter(Boolean));
  const chosen = [...known].slice(0, columns());
  const order = FIRST.map((first) => first.number);
  return chosen.sort((a, b) => (order.indexOf(a) + 1 || 99) - (order.indexOf(b) + 1 || 99));
};

export const choose = (number) => {
  if (number !== state.phone) set({ phone: number });
};

const change = async (number, settings) => {
  try {
    await put(phonePath(number), settings);
  } catch (error) {
    say(error.message);
  }
};

const speak = async (number, said) => {
  try {
    await post(`${phonePath(number)}/messages`, said);
    return true;
  } catch (error) {
    say(error.message);
    return false;
  }
};

const tapper = (phone, item) => async (suggestion) => {
  const action = actionOf(suggestion);
  if (action && action.name !== "shareLocationAction") say(`${action.does}.`);
  const done = await speak(phone.number, {
    channel: "RCS", agentId: item.from,
    suggestion: { messageId: item.messageId, postbackData: optionOf(suggestion).postbackData ?? "" },
  });
  if (done && action?.name === "shareLocationAction") {
    await speak(phone.number, { channel: "RCS", agentId: item.from, location: { latitude: 59.9139, longitude: 10.7522 } });
  }
};

const sentWords = (item) => item.text ?? item.suggestionResponse?.text
  ?? (item.location ? `◎ ${item.location.latitude}, ${item.location.longitude}` : null)
  ?? (item.userFile ? `▨ ${item.userFile.payload.fileName}` : null)
  ?? (item.media ? `▨ ${item.media.join(" ")}` : "");

const ticks = (item, phone) => {
  if (item.receivedAt) {
    if (item.channel === "SMS") return h("small", { class: "ticks" }, time(item.receivedAt));
    return h("small", { class: item.readAt ? "ticks read" : "ticks" }, time(item.receivedAt), " ",
      h("span", { role: "img", "aria-label": item.readAt ? "read" : "delivered" }, "✓✓"), item.readAt ? " read" : " delivered");
  }
  const read = phone.agent?.read.includes(item.messageId);
  return h("small", { class: read ? "ticks read" : "ticks" }, time(item.sentAt), " ",
    h("span", { role: "img", "aria-label": read ? "read by the agent" : "sent" }, read ? "✓✓" : "✓"), read ? " read" : " sent");
};

const entry = (phone, item, place, all) => {
  const mine = Boolean(item.sentAt);
  const key = `${item.channel}-${item.messageId}-${place}`;
  if (mine) return h("li", { class: "mine", "data-key": key }, h("div", { class: "bubble" }, sentWords(item)), ticks(item, phone));
  const later = all.slice(place + 1);
  const used = later.some((other) => other.suggestionResponse);
  const tap = tapper(phone, item);
  const content = item.channel === "RCS" ? item.contentMessage : null;
  return h("li", { class: "theirs", "data-key": key },
    content
      ? [body(content, phone.system, tap), ticks(item, phone), suggestions(content, phone.system, tap, { newest: !later.length, used })]
      : [h("div", { class: "bubble" }, item.text, (item.media ?? []).map((url) => h("div", {}, `▨ ${url}`))), ticks(item, phone)]);
};

const items = (phone, channel) => [...phone.inbox, ...phone.outbox]
  .filter((item) => item.channel === channel)
  .sort((a, b) => ((a.receivedAt ?? a.sentAt) < (b.receivedAt ?? b.sentAt) ? -1 : 1));

const agentOf = (phone) => phone.inbox.findLast((item) => item.channel === "RCS")?.from ?? state.agents[0];
const agentName = (agent) => agent.replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());

const menu = (phone, channel) => {
  const agent = agentOf(phone);
  const rcs = channel === "RCS";
  const act = (label, what, title) => h("button", { class: "line", title, onclick: (event) => {
    event.target.closest("details").open = false;
    speak(phone.number, { channel, ...(rcs ? { agentId: agent } : {}), ...what });
  } }, label);
  return h("details", { class: "menu" },
    h("summary", { "aria-label": "What else the owner can do", title: "More" }, "⋮"),
    h("div", { class: "sheet" },
      rcs && phone.system === "android" ? [act("Unsubscribe", { event: "UNSUBSCRIBE" }), act("Subscribe", { event: "SUBSCRIBE" })] : null,
      rcs && phone.system === "android" ? null : [act("Write STOP", { text: "STOP" }, "There is no Unsubscribe here: one writes it"), act("Write START", { text: "START" })],
      act("Send a picture", { file: "https://example.com/photo.jpg" }),
      rcs ? act("Send a location", { location: { latitude: 59.9139, longitude: 10.7522 } }) : null,
      rcs ? act("Begin to type", { event: "IS_TYPING" }) : null));
};

const head = (phone, channel) => {
  const agent = agentOf(phone);
  if (channel === "SMS") {
    const sender = phone.inbox.findLast((item) => item.channel === "SMS")?.from ?? "+15550100001";
    return h("div", { class: "head sms" }, h("span", { class: "face", "aria-hidden": "true" }, "#"),
      h("div", {}, h("strong", {}, pretty(sender)), h("small", {}, "Text message · SMS")), menu(phone, channel));
  }
  return [
    phone.system === "android" ? h("div", { class: "banner", "aria-hidden": "true" }) : null,
    h("div", { class: "head" }, h("span", { class: "face", "aria-hidden": "true" }, agentName(agent)[0]),
      h("div", {}, h("strong", {}, agentName(agent), h("span", { class: "verified", title: "Verified sender" }, " ✓")), h("small", {}, "Business · RCS")), menu(phone, channel)),
  ];
};

const nobody = (phone, channel) => {
  if (phone.off) return "This phone is switched off.";
  if (channel === "SMS") return "No text message yet.";
  if (!phone.rcs) return "This phone has no RCS. What is sent to it comes by SMS.";
  return phone.online ? "Nothing has arrived yet." : "No data connection: RCS cannot reach this phone now.";
};

const write = (phone, channel) => h("form", { class: "write", onsubmit: async (event) => {
  event.preventDefault();
  const box = event.target.words;
  const text = box.value.trim();
  if (text && await speak(phone.number, { channel, text })) box.value = "";
} },
h("input", { name: "words", placeholder: channel === "SMS" ? "Text message" : "RCS message", "aria-label": `Write as the owner of ${labelOf(phone.number)}`, autocomplete: "off", maxlength: 2048, disabled: phone.off || (channel === "RCS" && !(phone.rcs && phone.online)) }),
h("button", { "aria-label": "Send", title: "Send" }, "➤"));

const newestChannel = (phone) => {
  const at = (channel) => { const all = items(phone, channel); const last = all[all.length - 1]; return last ? last.receivedAt ?? last.sentAt : ""; };
  if (!at("RCS") && !at("SMS")) return phone.rcs ? "RCS" : "SMS";
  return at("SMS") > at("RCS") ? "SMS" : "RCS";
};

const device = (phone) => {
  const channel = threads.get(phone.number) ?? newestChannel(phone);
  const all = items(phone, channel);
  const typing = phone.agent?.typingUntil && channel === "RCS"
    && Date.parse(phone.agent.typingUntil) > now() && !all.some((item) => item.receivedAt && Date.parse(item.receivedAt) > Date.parse(phone.agent.typingUntil) - 20000);
  const other = (name) => h("button", {
    role: "tab", "aria-selected": String(channel === name), id: `tab-${name}-${phone.number}`, "aria-controls": `thread-${phone.number}`,
    tabindex: channel === name ? "0" : "-1",
    onclick: () => { threads.set(phone.number, name); draw(); },
    onkeydown: (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      threads.set(phone.number, name === "RCS" ? "SMS" : "RCS");
      draw();
      $(`tab-${threads.get(phone.number)}-${phone.number}`)?.focus();
    },
  }, name === "RCS" ? "Business chat" : "Text messages", h("span", { class: "count" }, String(items(phone, name).length || "")));
  return h("section", { class: `phone ${phone.system} ${phone.off ? "off" : ""}`, "data-key": phone.number, "data-phone": phone.number, "aria-label": `Phone ${labelOf(phone.number)}` },
    h("div", { class: "top" }, h("strong", {}, labelOf(phone.number)), h("small", {}, nameOf(phone.number) ? pretty(phone.number) : phone.system === "iphone" ? "iPhone" : "Android"),
      h("span", { class: `signal ${phone.rcs && phone.online && !phone.off ? "on" : ""}` }, stateOf(phone))),
    h("div", { class: "screen" },
      h("div", { class: "tabs", role: "tablist", "aria-label": "Conversations" }, other("RCS"), other("SMS")),
      head(phone, channel),
      h("div", { class: `thread ${channel.toLowerCase()}`, id: `thread-${phone.number}`, tabindex: "0", role: "log", "aria-label": channel === "RCS" ? "Business chat" : "Text messages", "data-length": `${channel}${all.length}` },
        h("ol", {},
          all.length ? null : h("li", { class: "nobody" }, nobody(phone, channel)),
          all.slice(-RECENT).map((item, place, shown) => entry(phone, item, place, shown)),
          typing ? h("li", { class: "theirs", "data-key": "typing" }, h("div", { class: "bubble dots", role: "img", "aria-label": "The agent is typing" }, h("i"), h("i"), h("i"))) : null)),
      write(phone, channel)),
    h("div", { class: "switches", role: "group", "aria-label": "The phone's owner" },
      flag(phone, "online", "Data"), flag(phone, "rcs", "RCS"), flag(phone, "off", "Power", true), flag(phone, "reads", "Reads"),
      h("select", { "aria-label": "System", value: phone.system, onchange: (event) => change(phone.number, { system: event.target.value }) },
        h("option", { value: "android" }, "Android"), h("option", { value: "iphone" }, "iPhone"))),
    phone.reserved ? h("p", { class: "quiet" }, `A reserved number: ${phone.reserved}.`) : null);
};

const flag = (phone, name, label, inverse = false) => {
  const on = phone[name] !== inverse;
  return h("button", { role: "switch", "aria-checked": String(on), onclick: () => change(phone.number, { [name]: !phone[name] }) }, label);
};

const picker = () => {
  const chosen = inView();
  const offered = state.phone && !listed.includes(state.phone) ? [...listed, state.phone] : listed;
  return h("div", { class: "picker" },
    h("div", { class: "numbers", role: "group", "aria-label": "Phones", tabindex: "0" },
      offered.map((number) => h("button", { "data-key": number, "aria-pressed": String(chosen.includes(number)), onclick: () => { set({ follow: false }); choose(number); } }, labelOf(number)))),
    h("form", { onsubmit: (event) => {
      event.preventDefault();
      const number = event.target.number.value.replaceAll(/[\s()-]/g, "");
      if (!/^\+\d{7,15}$/.test(number)) say("A phone number is + and 7 to 15 digits.");
      else { event.target.reset(); set({ follow: false }); choose(number); change(number, {}); }
    } }, h("input", { name: "number", placeholder: "+ another number", "aria-label": "Show another phone", list: "reserved", autocomplete: "off", inputmode: "tel" }),
    h("datalist", { id: "reserved" }, reserved.map(({ number, description }) => h("option", { value: number }, description)))));
};

export const draw = () => {
  const root = $("phones");
  if (!root) return;
  const shown = inView().map((number) => details.get(number)).filter(Boolean);
  fill(root, [h("h2", { class: "hidden" }, "Phones"), picker(), h("div", { class: "stage" }, shown.map(device))]);
  for (const thread of root.querySelectorAll(".thread")) {
    // Newest words in view, unless nothing is new.
    if (lengths.get(thread.id) !== thread.dataset.length) thread.scrollTop = thread.scrollHeight;
    lengths.set(thread.id, thread.dataset.length);
  }
};

const load = async () => {
  await Promise.all(inView().map(async (number) => {
    const phone = await get(phonePath(number));
    const before = details.get(number);
    // Whatever is newest comes to the front, once.
    if (!before || before.inbox.length + before.outbox.length !== phone.inbox.length + phone.outbox.length) threads.delete(number);
    details.set(number, phone);
  }));
  draw();
};

const look = async () => {
  const { phones } = await get("/simulator/phones");
  const before = seen;
  seen = new Map(phones.map((phone) => [phone.number, phone.messages]));
  set({ phones });
  const news = phones.map((phone) => phone.number).filter((number) => before && (before.get(number) ?? 0) !== seen.get(number));
  recent = [...new Set([...news, ...recent])].slice(0, SHOWN);
  listed = [...new Set([...FIRST.map((first) => first.number), ...recent, ...phones.filter((phone) => phone.messages).map((phone) => phone.number)])].slice(0, SHOWN);
  if (news.length === 1 && state.follow && !$("phones")?.contains(document.activeElement?.closest("form.write") ?? null)) choose(news[0]);
  await load();
};

const begin = async () => {
  const { phones } = await get("/simulator/phones");
  const missing = FIRST.filter((first) => !phones.some((phone) => phone.number === first.number));
  await Promise.all(missing.map((first) => put(phonePath(first.number), first.settings)));
};

export const start = async () => {
  await begin().catch((error) => say(error.message));
  watching = watch(["phones", "messages"], look);
  onState((changes) => { if ("phone" in changes) watching.now(); });
  addEventListener("resize", () => watching.now());
  ({ reserved } = await get("/simulator/reserved"));
  // Dots go away by themselves.
  setInterval(() => { if (document.querySelector(".dots")) draw(); }, 1000);
};
