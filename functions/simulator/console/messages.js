// All messages, newest first, and the one that is looked at.

import { get } from "./api.js";
import { until } from "./clock.js";
import { compose } from "./composer.js";
import { $, fill, h } from "./dom.js";
import { longList } from "./list.js";
import { watch } from "./live.js";
import { choose as choosePhone, labelOf } from "./phones.js";
import { play } from "./carriers.js";
import { linkTo, onState, set, state } from "./state.js";
import * as timeline from "./timeline.js";
import { OUTCOMES, idOf, numberOf, span, stateOf, time } from "./words.js";

const SHOWN = 2000;
const FOLLOWED = 3;
const NARROW = 760;

let watching = null;
let list = null;
let filter = { outcome: "", q: "" };
let before = null;

const keyOf = (message) => `${message.agentId}/${message.name}`;

const row = (message) => {
  const { label, mark, tone } = OUTCOMES[message.outcome];
  return [
    h("span", { class: `mark ${tone}`, "aria-hidden": "true" }, mark),
    h("span", { class: "text" }, message.text || idOf(message.name)),
    h("span", { class: "when" }, message.next ? ["in ", h("span", { "data-until": message.next.at }, span(until(message.next.at)))] : time(message.sendTime)),
    h("small", {}, `${label} · to ${labelOf(numberOf(message.name))} · RCS ${stateOf(message.rcs)}, SMS ${stateOf(message.sms)}`),
  ];
};

export const open = (message, more = {}) => {
  set({ ...more, message: { name: message.name, agentId: message.agentId } });
  choosePhone(numberOf(message.name));
  const link = linkTo(message);
  if (location.hash !== link) history.pushState(null, "", link);
};

// Come into view by itself: the message to which something just happened.
const follow = (messages) => {
  if (!before && !state.message && state.view === "messages" && innerWidth > NARROW && messages.length) set({ message: { name: messages[0].name, agentId: messages[0].agentId }, phone: numberOf(messages[0].name) });
  const news = before && messages.filter((message) => before.get(keyOf(message)) !== `${message.steps}${message.outcome}`);
  before = new Map(messages.map((message) => [keyOf(message), `${message.steps}${message.outcome}`]));
  if (!news?.length || news.length > FOLLOWED || !state.follow || state.view !== "messages" || document.querySelector("dialog[open]")) return;
  const latest = news.toSorted((a, b) => (a.sendTime < b.sendTime ? 1 : -1))[0];
  set({ message: { name: latest.name, agentId: latest.agentId } });
  choosePhone(numberOf(latest.name));
  history.replaceState(null, "", linkTo(latest));
};

const refresh = async () => {
  const query = new URLSearchParams({ view: "summary", pageSize: SHOWN, ...(filter.outcome && { outcome: filter.outcome }), ...(filter.q && { q: filter.q }) });
  const { messages } = await get(`/simulator/messages?${query}`);
  state.messages = messages;
  if (!filter.q && !filter.outcome) follow(messages);
  draw();
};

const search = (changes) => {
  filter = { ...filter, ...changes };
  before = null;
  watching.now();
};

const welcome = () => h("div", { class: "welcome" },
  h("h2", {}, "See a message fall back"),
  h("p", {}, "Backstop sends a message by RCS. When the phone has not confirmed it by its deadline, it takes the RCS message back and sends an SMS instead."),
  h("ol", {},
    h("li", {}, "The Android phone loses its data connection, so RCS cannot reach it."),
    h("li", {}, "A message with a deadline of 30 seconds is sent to it."),
    h("li", {}, "Wait, or let the time pass with ", h("b", {}, "Past the deadline"), ", and watch the SMS arrive.")),
  h("button", { class: "primary", id: "first", onclick: () => play("offline") }, "Show me"),
  h("p", { class: "quiet" }, "Nothing leaves this machine: phones, carriers and time are simulated."));

const bar = () => h("div", { class: "tools" },
  h("button", { class: "primary", id: "compose", onclick: () => compose(), title: "Write a message (n)" }, "New message"),
  h("button", { class: "plain", role: "switch", "aria-checked": String(state.follow), title: "Whatever happens comes into view by itself", onclick: () => set({ follow: !state.follow }) }, "Follow"),
  h("input", { type: "search", id: "search", placeholder: "Search", "aria-label": "Search messages", autocomplete: "off", oninput: (event) => search({ q: event.target.value.trim() }) }),
  h("select", { "aria-label": "Outcome", id: "outcome", value: filter.outcome, onchange: (event) => search({ outcome: event.target.value }) },
    h("option", { value: "" }, "All outcomes"), Object.entries(OUTCOMES).map(([value, { label }]) => h("option", { value }, label))));

export const draw = () => {
  const root = $("messages");
  if (!root) return;
  const { messages, message } = state;
  root.classList.toggle("one", Boolean(message));
  fill($("tools"), [bar()]);
  list.show(messages, message && keyOf(message));
  const searched = filter.q || filter.outcome;
  $("none").hidden = Boolean(messages.length);
  fill($("none"), messages.length ? [] : [searched ? h("p", { class: "quiet" }, "No message is like that.") : h("p", { class: "quiet" }, "No message yet.")]);
  fill($("count"), [messages.length ? `${messages.length}${messages.length === SHOWN ? " newest" : ""} ${messages.length === 1 ? "message" : "messages"}` : ""]);
  if (!message && !messages.length && !searched) fill($("detail"), [welcome()]);
  else if (!message) fill($("detail"), [h("p", { class: "quiet middle" }, "Choose a message to see what happened to it, and why.")]);
};

export const mount = (main) => {
  list = longList({ label: "Messages", lines: 3.8, row, keyOf, choose: (message) => open(message, { follow: false }) });
  fill(main, [
    h("aside", { id: "phones", "aria-label": "Phones", "data-own": true }),
    h("section", { id: "messages", "aria-label": "Messages", "data-own": true },
      h("div", { class: "master" }, h("h2", { class: "hidden" }, "Messages"), h("div", { id: "tools" }), list.node, h("div", { id: "none" }), h("p", { id: "count", class: "quiet" })),
      h("article", { id: "detail", "aria-label": "Timeline", tabindex: "-1" })),
  ]);
  $("none").before(list.node);
};

export const start = () => {
  watching = watch(["messages", "phones"], refresh);
  onState(() => { if (state.view === "messages") draw(); });
  timeline.start();
};
