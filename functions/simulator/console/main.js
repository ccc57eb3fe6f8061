// The frame: views, the keyboard, and what comes from the address.

import * as carriers from "./carriers.js";
import * as clock from "./clock.js";
import { compose } from "./composer.js";
import { $, fill, h, say } from "./dom.js";
import * as events from "./events.js";
import { listen } from "./live.js";
import * as messages from "./messages.js";
import * as numbers from "./numbers.js";
import * as phones from "./phones.js";
import { loadAgents, onState, readAddress, set, state } from "./state.js";
import { numberOf } from "./words.js";

const VIEWS = { messages: ["Messages", messages], events: ["Events", events], carriers: ["Carriers", carriers], numbers: ["Numbers", numbers] };
let mounted = "";
let reached = null;

const nav = () => fill($("nav"), Object.entries(VIEWS).map(([name, [label]]) =>
  h("a", { href: `#/${name}`, "aria-current": state.view === name ? "page" : null }, label)));

const show = () => {
  nav();
  if (mounted === state.view) return;
  mounted = state.view;
  document.body.dataset.view = mounted;
  fill($("main"), []);
  VIEWS[mounted][1].mount($("main"));
  VIEWS[mounted][1].draw();
  phones.draw();
};

const go = () => {
  const { view, message, event } = readAddress();
  // A link to one message is about that message: nothing else comes before it.
  set({ view, event, ...(view === "messages" ? { message } : {}), ...(message ? { follow: false, phone: numberOf(message.name) } : {}) });
};

const editable = (node) => node.closest("input, textarea, select, [contenteditable]");

addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
  if (event.ctrlKey || event.metaKey || event.altKey || editable(event.target) || document.querySelector("dialog[open]")) return;
  const view = Object.keys(VIEWS)[Number(event.key) - 1];
  if (view) location.hash = `#/${view}`;
  else if (event.key === "n") compose();
  else if (event.key === "t") clock.nextTimer();
  else if (event.key === "p") clock.pause();
  else if (event.key === "/" && $("search")) $("search").focus();
  else return;
  event.preventDefault();
});

// A menu closes when one looks elsewhere.
addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});

addEventListener("hashchange", go);
addEventListener("popstate", go);
onState(show);

go();
clock.start();
messages.start();
events.start();
carriers.start();
numbers.start();
phones.start();
loadAgents().catch((error) => say(error.message));
listen((there) => {
  if (reached === false && there) say("Connected again.");
  if (!there) say("The simulator does not answer. This page goes on when it does.");
  reached = there;
  document.body.classList.toggle("lost", !there);
});
