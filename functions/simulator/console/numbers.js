// What came of the messages of this run, drawn.

import { get } from "./api.js";
import { $, fill, h } from "./dom.js";
import { watch } from "./live.js";
import { onState, state } from "./state.js";
import { OUTCOMES, span } from "./words.js";

const NARROW = 760;

let told = null;
let watching = null;

const share = (part, whole) => (whole ? `${Math.round((100 * part) / whole)} %` : "–");

const bars = () => {
  const rows = Object.entries(told.outcomes).filter(([, count]) => count).sort((a, b) => b[1] - a[1]);
  const most = Math.max(1, ...rows.map(([, count]) => count));
  const words = rows.map(([outcome, count]) => `${OUTCOMES[outcome].label}: ${count}`).join(", ");
  // On a narrow screen the words stand above their bar, else they would shrink with it.
  const narrow = innerWidth < NARROW;
  const [high, left, top, wide, whole] = narrow ? [46, 0, 20, 320, 320] : [34, 160, 6, 380, 640];
  return h("svg", { class: "chart", viewBox: `0 0 ${whole} ${rows.length * high}`, role: "img", "aria-label": `Outcomes. ${words}` },
    rows.map(([outcome, count], place) => h("g", { "data-key": outcome, transform: `translate(0 ${place * high})` },
      h("text", { x: 0, y: narrow ? 13 : 19 }, OUTCOMES[outcome].label),
      h("rect", { class: "rail", x: left, y: top, width: wide, height: 18, rx: 4 }),
      h("rect", { class: "bar", x: left, y: top, width: Math.max(3, (wide * count) / most), height: 18, rx: 4 }),
      h("text", { class: "strong", x: narrow ? whole : 555, y: narrow ? 13 : 19, "text-anchor": narrow ? "end" : null }, `${count} (${share(count, told.messages)})`))));
};

const HEIGHT = 150;

// How many were there after how long: each value a step upward, on a scale of powers.
const curve = ({ values, count, p50, p95 }, label) => {
  const width = innerWidth < NARROW ? 270 : 560;
  const most = Math.max(1, values[count - 1] ?? 1);
  const x = (value) => (width * Math.log1p(value)) / Math.log1p(most);
  const y = (part) => HEIGHT - HEIGHT * part;
  const points = [`0,${y(0)}`];
  values.forEach((value, place) => points.push(`${x(value)},${y(place / count)}`, `${x(value)},${y((place + 1) / count)}`));
  points.push(`${width},${y(1)}`);
  const guide = (value, name, part) => h("g", { "data-key": name },
    h("line", { class: "guide", x1: x(value), x2: x(value), y1: y(part), y2: HEIGHT }),
    h("circle", { class: "bar", cx: x(value), cy: y(part), r: 4 }));
  const marks = [0, 1, 10, 60, 600, 3600, 86400].filter((value) => value <= most);
  const far = marks.filter((value, place) => place === 0 || x(value) - x(marks[place - 1]) > 40);
  return h("svg", { class: "chart", viewBox: `-40 -14 ${width + 70} ${HEIGHT + 40}`, role: "img", "aria-label": `${label}: half within ${span(p50)}, 95 of 100 within ${span(p95)}, of ${count}` },
    [0, 0.5, 1].map((part) => [h("line", { class: "axis", x1: 0, x2: width, y1: y(part), y2: y(part) }), h("text", { x: -8, y: y(part) + 4, "text-anchor": "end" }, `${part * 100} %`)]),
    far.map((value) => h("text", { x: x(value), y: HEIGHT + 18, "text-anchor": "middle" }, span(value))),
    h("polyline", { class: "curve", points: points.join(" ") }),
    guide(p50, "p50", 0.5), guide(p95, "p95", 0.95));
};

const spread = (title, what, told_) => h("div", { class: "box", "data-key": title },
  h("h3", {}, title), h("p", { class: "quiet" }, what),
  told_.count
    ? [h("div", { class: "row" }, h("div", {}, h("span", { class: "big" }, span(told_.p50)), h("small", {}, " p50")), h("div", {}, h("span", { class: "big" }, span(told_.p95)), h("small", {}, " p95")), h("small", {}, `of ${told_.count}`)), curve(told_, title)]
    : h("p", { class: "quiet" }, "None yet."));

const figure = (title, value, what) => h("div", { class: "box", "data-key": title }, h("h3", {}, title), h("span", { class: "big" }, value), h("p", { class: "quiet" }, what));

export const draw = () => {
  const root = $("numbers");
  if (!root || !told) return;
  fill(root, [
    h("h2", {}, "Numbers"), h("p", { class: "quiet" }, told.messages ? `Of the ${told.messages} newest messages of this run, by the messages' own clock.` : "Nothing has been sent yet."),
    h("section", {}, h("div", { class: "grid" },
      figure("Fallback share", share(told.fellBack, told.ended), `${told.fellBack} of ${told.ended} with an outcome arrived by SMS.`),
      figure("Doubles", String(told.doubles), "Arrived by RCS and by SMS."),
      figure("Still on their way", String(told.messages - told.ended), "Without an outcome; each has a timer."))),
    h("section", {}, h("h3", {}, "Outcomes"), told.messages ? h("div", { class: "box" }, bars()) : h("p", { class: "quiet" }, "None yet.")),
    h("section", {}, h("div", { class: "grid wide" },
      spread("Time to reach", "From the app's request to the first word that it arrived.", told.reached),
      spread("Lateness", "From the deadline to the SMS, where the SMS waited for it.", told.lateness))),
  ]);
};

export const mount = (main) => {
  fill(main, [h("div", { class: "page", id: "numbers", role: "region", "aria-label": "Numbers", tabindex: "0", "data-own": true })]);
  watching?.now();
};

export const start = () => {
  watching = watch(["messages"], async () => {
    if (state.view !== "numbers") return;
    told = await get("/simulator/numbers");
    draw();
  });
  onState((changes) => { if ("view" in changes) watching.now(); });
};
