// What a phone makes of rich content. The two systems differ where their makers and
// the large providers have documented it:
//                     Android                          iPhone
// media height        SHORT, MEDIUM, TALL              one height for all
// animated GIF        plays                            stands still
// carousel            all cards of one size            each as tall as its words
// card's buttons      coloured, in the card            grey, behind "Options" when several
// suggested replies   chips, gone with the next words  a list that stays until one is used
// suggested actions   chips among the replies          above the replies, behind "Options" from three on
// agent's banner      shown                            not shown

import { h } from "./dom.js";

const HEIGHTS = { SHORT: 112, MEDIUM: 168, TALL: 264 };
const IPHONE_HEIGHT = 190;
const ACTIONS = {
  openUrlAction: ["↗", (a) => `Opens ${a.url}`],
  dialAction: ["✆", (a) => `Dials ${a.phoneNumber}`],
  viewLocationAction: ["◎", (a) => `Shows ${a.label ?? a.query ?? "a place"} on a map`],
  shareLocationAction: ["◎", () => "Shares the location"],
  createCalendarEventAction: ["▦", (a) => `Makes a calendar event: ${a.title}`],
  composeAction: ["✎", () => "Begins a message"],
};

export const optionOf = (suggestion) => suggestion.reply ?? suggestion.action;
export const actionOf = (suggestion) => {
  const name = Object.keys(ACTIONS).find((known) => suggestion.action?.[known]);
  return name ? { name, sign: ACTIONS[name][0], does: ACTIONS[name][1](suggestion.action[name]) } : null;
};
export const cardsOf = (content) => {
  const card = content.richCard?.standaloneCard?.cardContent;
  return card ? [card] : content.richCard?.carouselCard?.cardContents ?? [];
};

const fileOf = (media) =>
  media?.contentInfo?.fileUrl ?? media?.fileUrl ?? media?.uploadedRbmFile?.fileName ?? media?.fileName ?? "";
const kindOf = (url) => {
  const end = url.split("?")[0].split(".").pop().toLowerCase();
  if (["mp4", "m4v", "webm", "mpeg", "mpg"].includes(end)) return ["▶", "Video"];
  if (["mp3", "aac", "ogg", "3gp"].includes(end)) return ["♪", "Audio"];
  if (end === "pdf") return ["▤", "PDF"];
  if (end === "gif") return ["▨", "GIF"];
  return ["▨", "Picture"];
};

// The file itself is never fetched: this page asks nobody but the simulator.
const media = (given, system, height) => {
  const url = fileOf(given);
  const [sign, kind] = kindOf(url);
  const still = kind === "GIF" ? (system === "iphone" ? ", stands still" : ", plays") : "";
  return h("div", { class: "media", role: "img", "aria-label": `${kind}${still}: ${url}`, style: { height: `${height}px` } },
    h("span", { class: "sign" }, sign), h("small", {}, `${url.split("/").pop() || kind}${still}`));
};

const button = (suggestion, tap, kind) => {
  const action = actionOf(suggestion);
  const option = optionOf(suggestion);
  return h("button", { class: kind, onclick: () => tap(suggestion), title: action?.does },
    action ? h("span", { class: "sign", "aria-hidden": "true" }, `${action.sign} `) : null, option.text);
};

const options = (suggestions, tap) => h("details", { class: "options" },
  h("summary", {}, "Options"),
  h("div", {}, suggestions.map((one) => button(one, tap, "card-button"))));

const card = (content, system, tap, more = {}) => {
  const iphone = system === "iphone";
  const height = iphone ? IPHONE_HEIGHT : HEIGHTS[content.media?.height] ?? HEIGHTS.MEDIUM;
  const suggestions = content.suggestions ?? [];
  const words = h("div", { class: "words" },
    content.title ? h("strong", {}, content.title) : null,
    content.description ? h("p", {}, content.description) : null);
  return h("div", { class: `card ${more.shape ?? ""}` },
    content.media ? media(content.media, system, more.shape?.startsWith("horizontal") ? 132 : height) : null,
    h("div", {}, words,
      iphone && suggestions.length > 1
        ? options(suggestions, tap)
        : suggestions.map((one) => button(one, tap, "card-button"))));
};

const rich = (content, system, tap) => {
  const standalone = content.richCard.standaloneCard;
  if (standalone) {
    const side = standalone.thumbnailImageAlignment === "RIGHT" ? "horizontal right" : "horizontal";
    return card(standalone.cardContent, system, tap, { shape: standalone.cardOrientation === "HORIZONTAL" ? side : "" });
  }
  const carousel = content.richCard.carouselCard;
  return h("div", { class: `carousel ${carousel.cardWidth === "SMALL" ? "small" : ""}`, tabindex: "0", role: "group", "aria-label": `${carousel.cardContents.length} cards, side by side` },
    carousel.cardContents.map((one) => card(one, system, tap)));
};

// The message itself, without what is suggested beneath it.
export const body = (content, system, tap) => {
  if (content.richCard) return rich(content, system, tap);
  if (content.text !== undefined) return h("div", { class: "bubble" }, content.text);
  return h("div", { class: "bubble file" }, media(content.contentInfo ?? content, system, 150));
};

// What is suggested beneath the message. `newest`: no words came after it. `used`: the owner has answered.
export const suggestions = (content, system, tap, { newest = true, used = false } = {}) => {
  const given = content.suggestions ?? [];
  if (!given.length) return null;
  if (system !== "iphone") {
    return newest ? h("div", { class: "chips" }, given.map((one) => button(one, tap, "chip"))) : null;
  }
  const actions = given.filter((one) => one.action);
  const replies = used ? [] : given.filter((one) => one.reply);
  if (!actions.length && !replies.length) return null;
  return h("div", { class: "list" },
    actions.length > 2 ? options(actions, tap) : actions.map((one) => button(one, tap, "card-button")),
    replies.map((one) => button(one, tap, "reply")));
};
