// After the report's own script, as dress(root). Keeps the page up to date: parts of HTML come as server-sent events and replace those that they are newer than.
"use strict";

const main = document.getElementById("parts");
const one = document.body.classList.contains("one");
let source = null;
let token = new URLSearchParams((document.body.dataset.events || "").split("?")[1]).get("since");

function show(update) {
  document.title = update.title + " - zerosum";
  for (const [key, part] of Object.entries(update.parts)) put("part-" + key, part);
  const wanted = update.order.map((key) => "part-" + key);
  for (const old of [...main.children]) if (!wanted.includes(old.id)) old.remove();
  wanted.forEach((id, place) => {
    const own = document.getElementById(id);
    if (own && main.children[place] !== own) keepingFocus(() => main.insertBefore(own, main.children[place] || null));
  });
  if (update.say) document.getElementById("said").textContent = update.say;
}

function put(id, part) {
  let own = document.getElementById(id);
  if (own && own.dataset.digest === part.digest) return;
  if (!own) {
    own = document.createElement("section");
    own.id = id;
    own.classList.add("fresh");
    main.append(own);
  }
  const fresh = document.createElement("template");
  fresh.innerHTML = part.html;
  own.dataset.digest = part.digest;
  own.className = part.kind;
  keepingFocus(() => {
    carry(own, fresh.content);
    const scrolled = [...own.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
    own.replaceChildren(fresh.content);
    own.querySelectorAll(".scroll").forEach((box, place) => { box.scrollLeft = scrolled[place] || 0; });
    dress(own);
  });
}

// What somebody has opened, chosen or is looking at stays as it is.
function carry(old, fresh) {
  const images = new Map([...old.querySelectorAll("img")].map((image) => [image.getAttribute("src"), image]));
  for (const image of fresh.querySelectorAll("img")) {
    const known = images.get(image.getAttribute("src"));
    if (known) { known.alt = image.alt; image.replaceWith(known); }
  }
  const opened = [...old.querySelectorAll("details")].map((details) => details.open);
  fresh.querySelectorAll("details").forEach((details, place) => { details.open = opened[place] ?? details.open; });
  old.querySelectorAll("fieldset").forEach((group, place) => {
    const radios = [...group.querySelectorAll("input[type=radio]")];
    const chosen = radios.findIndex((radio) => radio.checked);
    const next = fresh.querySelectorAll("fieldset")[place];
    if (!next || chosen < 0 || chosen === radios.length - 1) return;  // who looks at the newest goes on doing so
    const same = [...next.querySelectorAll("input[type=radio]")].find((radio) => radio.title === radios[chosen].title);
    if (same) same.checked = true;
  });
  for (const kept of old.querySelectorAll("[data-keep]")) {
    const next = fresh.querySelector(`[data-keep="${kept.dataset.keep}"]`);
    if (next) next.replaceWith(kept);
  }
}

function keepingFocus(change) {
  const focused = document.activeElement;
  const holder = focused && main.contains(focused) ? focused.closest("section") : null;
  const way = "a[href], input, button, summary, [tabindex]";
  const place = holder ? [...holder.querySelectorAll(way)].indexOf(focused) : -1;
  const radio = focused && focused.type === "radio";
  change();
  if (!holder || document.activeElement === focused) return;
  const again = holder.querySelectorAll(way)[place];
  const target = radio ? again && again.closest("fieldset").querySelector("input:checked") : again;
  if (target) target.focus({ preventScroll: true });
}

function connect() {
  if (source || !document.body.dataset.events || document.hidden) return;
  const address = new URL(document.body.dataset.events, location.href);
  address.searchParams.set("since", token || "");
  source = new EventSource(address);
  source.addEventListener("error", () => linked(false));
  source.addEventListener("parts", (event) => { linked(true); token = event.lastEventId; show(JSON.parse(event.data)); });
  source.addEventListener("gone", () => { leave(); linked(false, "this run is gone"); });
}

function leave() {
  if (source) source.close();
  source = null;
}

function linked(good, words) {
  const link = document.getElementById("link");
  const text = words || (good ? "live" : "connection lost, trying again");
  link.hidden = false;
  link.classList.toggle("lost", !good);
  if (link.lastChild.textContent !== text) link.lastChild.textContent = text;
  if (!good && source && source.readyState === EventSource.CLOSED) { leave(); setTimeout(connect, 4000); }
}

// A tab that nobody sees holds no connection.
document.addEventListener("visibilitychange", () => { if (document.hidden) leave(); else connect(); });
addEventListener("pagehide", leave);
addEventListener("pageshow", connect);
dress(document);
connect();

// Keys.
const cards = () => [...main.querySelectorAll(".card a")];

function step(by) {
  if (one) {
    const way = document.querySelector(by > 0 ? "a[rel=next]" : "a[rel=prev]");
    if (way) location.href = way.href;
    return;
  }
  const all = cards();
  const at = all.indexOf(document.activeElement);
  const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
  if (next) { next.focus(); next.closest("section").scrollIntoView({ block: "nearest" }); }
}

function columns() {
  return getComputedStyle(main).gridTemplateColumns.split(" ").length;
}

function scrub(by) {
  const radios = [...main.querySelectorAll(".scrub input")];
  if (!radios.length) return false;
  const at = radios.findIndex((radio) => radio.checked) + by;
  radios[Math.min(radios.length - 1, Math.max(0, at))].checked = true;
}

function play() {
  const button = main.querySelector(".scrub + button");
  if (!button) return false;
  button.click();
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("dialog[open]")) return;
  const typing = event.target.closest("input:not([type=radio]), textarea, select");
  const pressed = event.target.closest("main a, main button, main summary, main input, header a");
  if (typing) return;
  const radio = event.target.type === "radio";
  const across = one ? 0 : 1;
  const keys = {
    j: () => step(1), k: () => step(-1), u: () => document.querySelector("a[rel=up]")?.click(),
    ArrowDown: () => !one && step(columns()), ArrowUp: () => !one && step(-columns()),
    ArrowRight: () => across ? step(1) : !radio && scrub(1), ArrowLeft: () => across ? step(-1) : !radio && scrub(-1),
    " ": () => one && (!pressed || radio) && play(),
    "?": () => document.getElementById("keys").showModal(),
  };
  if (keys[event.key] && keys[event.key]() !== false) event.preventDefault();
});

// A walk is made on demand: the picture comes when it is ready, or a sentence says why there is none.
addEventListener("submit", async (event) => {
  const form = event.target.closest("form.walk");
  if (!form) return;
  event.preventDefault();
  const stage = form.querySelector(".stage");
  const address = new URL(form.action);
  address.search = new URLSearchParams(new FormData(form));
  if (stage.dataset.of === address.href && stage.querySelector("img")) {
    stage.replaceChildren();
    form.querySelector("button").textContent = "Walk";
    return;
  }
  stage.dataset.of = address.href;
  stage.textContent = "Walking through the latents ...";
  const answer = await fetch(address).catch(() => null);
  if (stage.dataset.of !== address.href) return;
  if (!answer || !answer.ok) {
    stage.textContent = answer ? await answer.text() : "The server does not answer.";
    return;
  }
  const picture = new Image();
  picture.alt = "Pictures that change while their latents do";
  picture.src = address.href;
  stage.replaceChildren(picture);
  form.querySelector("button").textContent = "Stop";
});
