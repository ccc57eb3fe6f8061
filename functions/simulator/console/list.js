// A long list of which only the part in view is in the document. One stop of the Tab
// key; the arrows move within.

import { fill, h } from "./dom.js";

const SPARE = 6;

// `row(item)` returns what stands in a row, `lines` high; `choose(item)` is told of the choice.
export const longList = ({ label, lines, row, choose, keyOf }) => {
  const height = Math.round(lines * parseFloat(getComputedStyle(document.documentElement).fontSize));
  let items = [];
  let active = -1;
  let chosen = null;
  const id = `list-${label.toLowerCase().replaceAll(/\W+/g, "-")}`;
  const space = h("div", { class: "space", role: "presentation" });
  const box = h("div", {
    class: "long", role: "listbox", tabindex: "0", "aria-label": label, id,
    onscroll: () => draw(),
    onfocus: () => { if (active < 0 && items.length) move(Math.max(0, items.findIndex((item) => keyOf(item) === chosen))); },
    onkeydown: (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
      if (step) move(Math.min(items.length - 1, Math.max(0, active + step)));
      else if ((event.key === "Enter" || event.key === " ") && items[active]) choose(items[active]);
      else return;
      event.preventDefault();
    },
  }, space);

  const move = (to) => {
    active = to;
    const top = to * height;
    if (top < box.scrollTop) box.scrollTop = top;
    if (top + height > box.scrollTop + box.clientHeight) box.scrollTop = top + height - box.clientHeight;
    draw();
  };

  const draw = () => {
    space.style.height = `${items.length * height}px`;
    const first = Math.max(0, Math.floor(box.scrollTop / height) - SPARE);
    const last = Math.min(items.length, Math.ceil((box.scrollTop + (box.clientHeight || 600)) / height) + SPARE);
    const rows = [];
    for (let index = first; index < last; index += 1) {
      const item = items[index];
      const key = keyOf(item);
      rows.push(h("div", {
        class: `item ${index === active ? "active" : ""}`, role: "option", id: `${id}-${index}`, "data-key": key,
        "aria-selected": String(key === chosen), "aria-setsize": items.length, "aria-posinset": index + 1,
        style: { transform: `translateY(${index * height}px)`, height: `${height}px` },
        onclick: () => { active = index; choose(item); },
      }, row(item)));
    }
    fill(space, rows);
    if (active >= first && active < last) box.setAttribute("aria-activedescendant", `${id}-${active}`);
    else box.removeAttribute("aria-activedescendant");
  };

  new ResizeObserver(() => draw()).observe(box);
  return {
    node: box,
    show: (given, selected) => {
      // What the keyboard points at stays the same thing when others come before it.
      const pointed = items[active] && keyOf(items[active]);
      items = given;
      if (pointed) active = items.findIndex((item) => keyOf(item) === pointed);
      if (selected !== chosen) {
        chosen = selected;
        active = items.findIndex((item) => keyOf(item) === chosen);
        if (active >= 0 && box.clientHeight) move(active);
      }
      draw();
    },
  };
};
