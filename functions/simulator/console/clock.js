// The clock in the hand: what time it is for the messages, and ways to move it.

import { get, post } from "./api.js";
import { $, fill, h, say } from "./dom.js";
import { watch } from "./live.js";
import { state } from "./state.js";
import { NEXT, idOf, numberOf, pretty, span } from "./words.js";

const RATES = [[0, "Pause", "❚❚"], [1, "Real time", "×1"], [60, "A minute a second", "×60"], [3600, "An hour a second", "×3600"]];
const BEFORE = 3;

let known = { now: Date.now(), rate: 1, read: performance.now() };
let timers = [];
let moving = false;

export const now = () => known.now + (performance.now() - known.read) * known.rate;
export const until = (at) => (Date.parse(at) - now()) / 1000;

const keep = (told) => {
  known = { now: Date.parse(told.now), rate: told.rate, read: performance.now() };
};

const turn = async (what, doing) => {
  moving = true;
  draw();
  try {
    const told = await post("/simulator/clock", what);
    keep(told);
    if (doing) say(told.settled ? `${doing}` : `${doing}, and something is still under way.`);
  } catch (error) {
    say(error.message);
  } finally {
    moving = false;
    draw();
  }
};

// Let time pass up to an instant, with everything that is due on the way.
export const jump = async (at, doing) => {
  const told = await get("/simulator/clock");
  const seconds = (Date.parse(at) - Date.parse(told.now)) / 1000;
  if (seconds <= 0) {
    say("That moment has passed already.");
    return;
  }
  await turn({ advance: `${seconds.toFixed(3)}s` }, doing ?? `Moved ahead by ${span(seconds)}.`);
};
export const beforeIt = (at) => jump(new Date(Date.parse(at) - BEFORE * 1000).toISOString(), `${BEFORE} seconds before the deadline.`);
export const advance = (seconds) => turn({ advance: `${seconds}s` }, `Moved ahead by ${span(seconds)}.`);

// The earliest deadline that is still ahead.
const nextDeadline = () => state.messages
  .filter((message) => message.outcome === "PENDING" && until(message.deadline) > BEFORE)
  .map((message) => message.deadline).sort()[0];
const beforeNext = () => {
  const at = nextDeadline();
  if (at) beforeIt(at);
  else say("No message has its deadline ahead.");
};

const amount = (text) => {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|d)?\s*$/.exec(text);
  return match ? Number(match[1]) * { s: 1, m: 60, min: 60, h: 3600, d: 86400 }[match[2] ?? "s"] : null;
};

export const nextTimer = () => {
  if (!timers.length) say("No timer is waiting.");
  else jump(timers[0].at, "At the next timer.");
};

export const pause = () => turn({ rate: known.rate ? 0 : 1 }, known.rate ? "The clock is paused." : "The clock runs.");

const face = () => {
  const at = new Date(now()).toISOString();
  return [h("span", { class: "date" }, new Date(now()).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" })), " ", at.slice(11, 19)];
};

const due = ({ message, at, what }) => h("li", {},
  h("button", { class: "line", onclick: () => jump(at) },
    h("span", {}, message ? `${idOf(message)}` : "A message that is being accepted", message ? h("small", {}, ` to ${pretty(numberOf(message))}`) : null, what ? h("small", {}, NEXT[what] ?? what) : null),
    h("b", { "data-until": at }, span(until(at)))));

const draw = () => fill($("clock"), [
  h("time", { id: "now", title: "The messages' own time, UTC", "aria-busy": moving ? "true" : "false" }, face()),
  h("div", { class: "segments", role: "group", "aria-label": "Speed" },
    RATES.map(([rate, label, sign]) => h("button", {
      "aria-pressed": String(known.rate === rate), title: label, "aria-label": label, onclick: () => turn({ rate }, `${label}.`),
    }, sign))),
  h("button", { id: "next-timer", class: "plain", onclick: nextTimer, disabled: moving || !timers.length, title: "Let time pass until the next timer rings (t)" }, "Next timer"),
  h("details", { class: "menu", id: "clock-menu" },
    h("summary", { "aria-label": "More ways to move the clock" }, "Jump"),
    h("div", { class: "sheet" },
      h("form", { class: "inline", onsubmit: (event) => {
        event.preventDefault();
        const seconds = amount(event.target.amount.value);
        if (seconds === null) say("Write an amount of time such as 90s, 10m, 2h or 3d.");
        else advance(seconds);
      } },
      h("label", {}, "Let pass ", h("input", { name: "amount", value: "10m", size: 6, autocomplete: "off" })),
      h("button", {}, "Go")),
      h("div", { class: "row" }, [[60, "1 min"], [600, "10 min"], [3600, "1 h"], [86400, "1 day"]].map(([seconds, text]) =>
        h("button", { onclick: () => advance(seconds) }, text))),
      h("button", { class: "line", onclick: beforeNext }, "To just before the next deadline"),
      h("h2", {}, "Due soon"),
      timers.length
        ? h("ul", { class: "due" }, timers.slice(0, 8).map(due))
        : h("p", { class: "quiet" }, "Nothing: every message has its outcome."))),
]);

export const tick = () => {
  const clock = $("now");
  if (clock) fill(clock, face());
  for (const node of document.querySelectorAll("[data-until]")) {
    const text = span(until(node.dataset.until));
    if (node.textContent !== text) node.textContent = text;
  }
};

export const start = () => {
  draw();
  watch(["clock"], async () => { keep(await get("/simulator/clock")); draw(); });
  watch(["messages", "clock"], async () => { ({ timers } = await get("/simulator/timers")); draw(); });
  setInterval(tick, 200);
};
